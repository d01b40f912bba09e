/** grad_moment, grad_moment_dense and grad_moment_sum on the GPU, over pairwise tables of shapes and options. */
import {afterAll, expect, it} from 'vitest';
import type {Params} from '../dist/kernels/table.js';
import {describeGpu} from './gpu.js';
import {filled, type Kind, kinds, momentParity, onGpu, pairwise, reportParity, seen} from './gpu-parity.js';
import {geometry, patchFactors, patchGeometry, volumes} from './volumes.js';

const phis = ['abs', 'square', 'identity'] as const;
const everyKind = Object.keys(kinds) as Kind[];

afterAll(() => reportParity(120));

describeGpu('the moment kernels on the GPU', () => {
  const same = {filter: 3, before: 1, after: 1};
  const image = {inChannels: 4, fanOut: 8, ...geometry({in: 6, ...same}, {in: 5, ...same})};
  function gradMoment(p: Params<'grad_moment'>, kind: Kind, times = 1): Promise<void> {
    const positions = p.samples * p.uses * p.outDepth * p.outHeight * p.outWidth;
    const lengths = {
      activations: p.samples * p.uses * p.inDepth * p.inHeight * p.inWidth * p.inChannels,
      deltas: positions * p.fanOut,
      moment: p.filterDepth * p.filterHeight * p.filterWidth * p.inChannels * p.fanOut,
    };
    return momentParity('grad_moment', p, kind, lengths, positions, times);
  }

  it('grad_moment: patches', async () => {
    const table = pairwise({
      phi: phis,
      kind: everyKind,
      samples: [1, 2, 7],
      uses: [1, 3],
      ...patchFactors,
      inChannels: [1, 3, 4, 20],
      fanOut: [1, 8, 17],
    });
    for (const {kind, size, filter, stride, dilation, pad, ...rest} of table) {
      await gradMoment({...rest, ...patchGeometry({size, filter, stride, dilation, pad})}, kind);
    }
  });

  it('grad_moment: 3-D patches', async () => {
    for (const [i, volume] of volumes.entries()) {
      await gradMoment({phi: phis[i % 3], ...volume}, everyKind[i % everyKind.length]);
    }
  });

  it('grad_moment: sizes at the edges of tiles, rows, samples in slices', async () => {
    const sized = (samples: number, positions: number, inChannels: number, fanOut: number) =>
      ({phi: 'abs', samples, uses: 1, inChannels, fanOut, ...geometry({in: positions, filter: 1})}) as const;
    await gradMoment(sized(2, 63, 65, 255), 'normal');
    await gradMoment(sized(3, 5, 256, 64), 'normal');
    await gradMoment(sized(1, 257, 63, 65), 'normal');
    await gradMoment(sized(1, 3, 1284, 1300), 'normal');
    await gradMoment(sized(2, 2, 1281, 1301), 'normal');
    await gradMoment({...image, phi: 'abs', samples: 257, uses: 1}, 'normal');
    await gradMoment({...image, phi: 'square', samples: 64, uses: 2, inChannels: 3, fanOut: 5}, 'normal');
  });

  it('grad_moment: nothing to add, and adding twice', async () => {
    for (const empty of ['samples', 'uses', 'outDepth', 'outHeight', 'fanOut', 'inChannels', 'filterDepth'] as const) {
      await gradMoment({...image, phi: 'abs', samples: 2, uses: 1, [empty]: 0}, 'normal');
    }
    await gradMoment({...image, phi: 'abs', samples: 3, uses: 1}, 'normal', 2);
  });

  const dense = (phi: (typeof phis)[number], samples: number, fanIn: number, fanOut: number, kind: Kind, times = 1) =>
    momentParity(
      'grad_moment_dense',
      {phi, samples, fanIn, fanOut},
      kind,
      {activations: samples * fanIn, deltas: samples * fanOut, moment: fanIn * fanOut},
      samples,
      times,
    );

  it('grad_moment_dense', async () => {
    const sizes = [1, 63, 65, 256] as const;
    const table = pairwise({
      phi: phis,
      kind: everyKind,
      samples: [1, 7, 64, 257],
      fanIn: sizes,
      fanOut: [1, 64, 66, 255],
    });
    for (const t of table) await dense(t.phi, t.samples, t.fanIn, t.fanOut, t.kind);
    await dense('abs', 5, 1282, 1301, 'normal');
    await dense('square', 3, 1284, 1300, 'normal');
    await dense('identity', 3000, 10, 6, 'normal');
    await dense('abs', 9, 12, 10, 'normal', 2);
    for (const [b, p, q] of [
      [0, 3, 4],
      [3, 0, 4],
      [3, 4, 0],
    ])
      await dense('abs', b, p, q, 'normal');
  });

  const sum = (
    phi: (typeof phis)[number],
    samples: number,
    positions: number,
    fanOut: number,
    scaled: number,
    kind: Kind,
    times = 1,
  ) =>
    momentParity(
      'grad_moment_sum',
      {phi, samples, positions, fanOut, scaled},
      kind,
      {activations: samples * positions * fanOut * scaled, deltas: samples * positions * fanOut, moment: fanOut},
      samples * positions,
      times,
    );

  it('grad_moment_sum', async () => {
    const table = pairwise({
      phi: phis,
      kind: everyKind,
      scaled: [0, 1],
      samples: [1, 6, 64],
      positions: [1, 5, 63, 257],
      fanOut: [1, 10, 65],
    });
    for (const t of table) await sum(t.phi, t.samples, t.positions, t.fanOut, t.scaled, t.kind);
    await sum('abs', 1500, 9, 255, 1, 'normal');
    await sum('abs', 5, 2, 3, 0, 'normal', 2);
    for (const [b, l, q] of [
      [0, 3, 4],
      [3, 0, 4],
      [3, 4, 0],
    ])
      await sum('abs', b, l, q, 0, 'normal');
  });

  it('the tables above reach both micro-tiles, slices, and vector and scalar loads', () => {
    for (const kernel of ['grad_moment', 'grad_moment_dense']) {
      for (const option of [
        'micro 4',
        'micro 8',
        'accumulate 0',
        'accumulate 1',
        'vectorA 0',
        'vectorA 1',
        'vectorD 0',
        'vectorD 1',
      ]) {
        expect(seen).toContain(`${kernel} ${option}`);
      }
    }
    expect(seen).toContain('grad_moment_sum accumulate 0');
  });

  it('the same input gives the same bits', async () => {
    const p = {...image, phi: 'abs', samples: 64, uses: 1, inChannels: 3, fanOut: 5} as const;
    const arrays = {activations: filled(64 * 90, 30), deltas: filled(64 * 30 * 5, 31), moment: new Float32Array(135)};
    expect(await onGpu('grad_moment', p, arrays)).toEqual(await onGpu('grad_moment', p, arrays));
  });
});
