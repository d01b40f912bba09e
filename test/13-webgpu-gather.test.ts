/** grad_moment_gather on the GPU: rows met by several samples, ids beyond the rows, columns in one and several blocks. */
import {afterAll, expect, it} from 'vitest';
import {bodies} from '../dist/kernels/reference/engine.js';
import {describeGpu} from './gpu.js';
import {filled, magnitudes, onGpu, parity, reportParity} from './gpu-parity.js';
import {randomIds} from './native.js';

afterAll(() => reportParity(20));

const arraysOf = (places: number, rows: number, fanOut: number) => ({
  ids: randomIds(places, rows, places),
  deltas: filled(places * fanOut, 2),
  moment: filled(rows * fanOut, 3),
});

describeGpu('moments of embeddings on the GPU', () => {
  it.each([
    ['abs', 1, 1, 1, 1],
    ['abs', 3, 5, 4, 7],
    ['square', 7, 33, 60, 64],
    ['identity', 2, 40, 70_000, 33],
    ['abs', 16, 100, 9, 300],
    ['square', 300, 1, 20, 65],
    ['abs', 0, 4, 3, 2],
    ['abs', 4, 0, 3, 2],
    ['abs', 4, 3, 0, 2],
    ['abs', 4, 3, 2, 0],
  ] as const)('%s: %i samples of %i ids, %i rows of %i', async (phi, samples, positions, rows, fanOut) => {
    const params = {phi, samples, positions, rows, fanOut};
    const arrays = arraysOf(samples * positions, rows, fanOut);
    const scale = {
      ids: Float64Array.from(arrays.ids),
      deltas: magnitudes(arrays.deltas),
      moment: magnitudes(arrays.moment),
    };
    bodies.grad_moment_gather(params, scale as never);
    await parity('grad_moment_gather', params, arrays, samples * positions, {moment: scale.moment});
  });

  it('are the same bits for the same input', async () => {
    const params = {phi: 'abs', samples: 16, positions: 100, rows: 9, fanOut: 300} as const;
    const arrays = arraysOf(1600, 9, 300);
    expect(await onGpu('grad_moment_gather', params, arrays)).toEqual(
      await onGpu('grad_moment_gather', params, arrays),
    );
  });
});
