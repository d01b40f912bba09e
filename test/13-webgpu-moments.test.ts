/** grad_moment, grad_moment_dense and grad_moment_sum on the GPU, over pairwise tables of shapes and options. */
import {afterAll, expect, it} from 'vitest';
import type {Params} from '../dist/kernels/table.js';
import {describeGpu} from './gpu.js';
import {filled, type Kind, kinds, momentParity, onGpu, pairwise, reportParity, seen} from './gpu-parity.js';

const phis = ['abs', 'square', 'identity'] as const;
const everyKind = Object.keys(kinds) as Kind[];

afterAll(() => reportParity(100));

describeGpu('the moment kernels on the GPU', () => {
  const image = {
    inHeight: 6,
    inWidth: 5,
    inChannels: 4,
    filterHeight: 3,
    filterWidth: 3,
    outHeight: 6,
    outWidth: 5,
    fanOut: 8,
    strideHeight: 1,
    strideWidth: 1,
    dilationHeight: 1,
    dilationWidth: 1,
    padTop: 1,
    padLeft: 1,
  };
  function patches(s: Omit<Params<'grad_moment'>, 'outHeight' | 'outWidth'>): Params<'grad_moment'> {
    const out = (size: number, filter: number, stride: number, dilation: number, pad: number): number =>
      Math.max(0, Math.floor((size + 2 * pad - dilation * (filter - 1) - 1) / stride) + 1);
    return {
      ...s,
      outHeight: out(s.inHeight, s.filterHeight, s.strideHeight, s.dilationHeight, s.padTop),
      outWidth: out(s.inWidth, s.filterWidth, s.strideWidth, s.dilationWidth, s.padLeft),
    };
  }
  function gradMoment(p: Params<'grad_moment'>, kind: Kind, times = 1): Promise<void> {
    const lengths = {
      activations: p.samples * p.uses * p.inHeight * p.inWidth * p.inChannels,
      deltas: p.samples * p.uses * p.outHeight * p.outWidth * p.fanOut,
      moment: p.filterHeight * p.filterWidth * p.inChannels * p.fanOut,
    };
    return momentParity('grad_moment', p, kind, lengths, p.samples * p.uses * p.outHeight * p.outWidth, times);
  }

  it('grad_moment: patches', async () => {
    const table = pairwise({
      phi: phis,
      kind: everyKind,
      samples: [1, 2, 7],
      uses: [1, 3],
      size: [
        [5, 7],
        [9, 4],
        [1, 12],
      ],
      filter: [
        [1, 1],
        [3, 3],
        [1, 4],
      ],
      stride: [
        [1, 1],
        [2, 3],
      ],
      dilation: [
        [1, 1],
        [1, 2],
      ],
      pad: [
        [0, 0],
        [1, 1],
        [0, 2],
      ],
      inChannels: [1, 3, 4, 20],
      fanOut: [1, 8, 17],
    });
    for (const t of table) {
      const p = patches({
        phi: t.phi,
        samples: t.samples,
        uses: t.uses,
        inChannels: t.inChannels,
        fanOut: t.fanOut,
        inHeight: t.size[0],
        inWidth: t.size[1],
        filterHeight: t.filter[0],
        filterWidth: t.filter[1],
        strideHeight: t.stride[0],
        strideWidth: t.stride[1],
        dilationHeight: t.dilation[0],
        dilationWidth: t.dilation[1],
        padTop: t.pad[0],
        padLeft: t.pad[1],
      });
      await gradMoment(p, t.kind);
    }
  });

  it('grad_moment: sizes at the edges of tiles, rows, samples in slices', async () => {
    const rows = {...image, inHeight: 1, outHeight: 1, filterHeight: 1, filterWidth: 1, padTop: 0, padLeft: 0};
    const sized = (samples: number, positions: number, inChannels: number, fanOut: number) =>
      ({...rows, phi: 'abs', samples, uses: 1, inWidth: positions, outWidth: positions, inChannels, fanOut}) as const;
    await gradMoment(sized(2, 63, 65, 255), 'normal');
    await gradMoment(sized(3, 5, 256, 64), 'normal');
    await gradMoment(sized(1, 257, 63, 65), 'normal');
    await gradMoment(sized(1, 3, 1284, 1300), 'normal');
    await gradMoment(sized(2, 2, 1281, 1301), 'normal');
    await gradMoment({...image, phi: 'abs', samples: 257, uses: 1}, 'normal');
    await gradMoment({...image, phi: 'square', samples: 64, uses: 2, inChannels: 3, fanOut: 5}, 'normal');
  });

  it('grad_moment: nothing to add, and adding twice', async () => {
    for (const empty of ['samples', 'uses', 'outHeight', 'fanOut', 'inChannels'] as const) {
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
