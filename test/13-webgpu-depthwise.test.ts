/** grad_moment_depthwise on the GPU, over a pairwise table of shapes and options. */
import {afterAll, expect, it} from 'vitest';
import type {Params} from '../dist/kernels/table.js';
import {describeGpu} from './gpu.js';
import {filled, type Kind, kinds, momentParity, onGpu, pairwise, reportParity, seen} from './gpu-parity.js';

afterAll(() => reportParity(30));

type Depthwise = Params<'grad_moment_depthwise'>;
const image: Depthwise = {
  phi: 'abs',
  samples: 2,
  uses: 1,
  inHeight: 6,
  inWidth: 5,
  inChannels: 4,
  multiplier: 1,
  filterHeight: 3,
  filterWidth: 2,
  outHeight: 6,
  outWidth: 5,
  strideHeight: 1,
  strideWidth: 1,
  dilationHeight: 1,
  dilationWidth: 1,
  padTop: 1,
  padLeft: 1,
};
const lengths = (p: Depthwise) => ({
  activations: p.samples * p.uses * p.inHeight * p.inWidth * p.inChannels,
  deltas: p.samples * p.uses * p.outHeight * p.outWidth * p.inChannels * p.multiplier,
  moment: p.filterHeight * p.filterWidth * p.inChannels * p.multiplier,
});
const check = (p: Depthwise, kind: Kind, times = 1) =>
  momentParity('grad_moment_depthwise', p, kind, lengths(p), p.samples * p.uses * p.outHeight * p.outWidth, times);

describeGpu('depthwise moments on the GPU', () => {
  it('are the reference, rounded', async () => {
    const table = pairwise({
      phi: ['abs', 'square', 'identity'],
      kind: Object.keys(kinds) as Kind[],
      samples: [1, 7, 64],
      uses: [1, 3],
      stride: [1, 2],
      dilation: [1, 2],
      pad: [0, 2],
      inChannels: [1, 3, 20],
      multiplier: [1, 2],
    });
    for (const {kind, stride, dilation, pad, ...rest} of table) {
      const p = {...image, ...rest, strideHeight: stride, dilationWidth: dilation, padTop: pad, padLeft: 2 - pad};
      const outHeight = Math.floor((p.inHeight + 2 * p.padTop - 3) / stride) + 1;
      await check({...p, outHeight, outWidth: p.inWidth + 2 * p.padLeft - dilation}, kind);
    }
  });

  it('of many samples are split into slices, and of none are nothing', async () => {
    await check({...image, samples: 1500, multiplier: 2}, 'normal', 2);
    for (const empty of ['samples', 'uses', 'multiplier', 'inHeight', 'outWidth'] as const) {
      await check({...image, [empty]: 0}, 'normal');
    }
    expect(seen).toContain('grad_moment_depthwise accumulate 0');
    expect(seen).toContain('grad_moment_depthwise accumulate 1');
  });

  it('are the same bits for the same input', async () => {
    const p = {...image, samples: 64};
    const size = lengths(p);
    const arrays = {
      activations: filled(size.activations, 30),
      deltas: filled(size.deltas, 31),
      moment: new Float32Array(size.moment),
    };
    expect(await onGpu('grad_moment_depthwise', p, arrays)).toEqual(await onGpu('grad_moment_depthwise', p, arrays));
  });
});
