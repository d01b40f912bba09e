/** Kernels of the native backend that pick, write and sum rows by number. */
import * as tf from '@tensorflow/tfjs';
import fc from 'fast-check';
import {afterAll, beforeAll, expect, it} from 'vitest';
import '../dist/backends/native.js';
import {expectSame, oddTensor, sumTolerance, tensor} from './backend.js';
import {describeAddon, randomIds, randomNumbers, setups, use, useDefaults} from './native.js';

/** Ids of `rows` rows. */
const idsTensor = (shape: number[], rows: number, seed: number): tf.Tensor => {
  const random = randomNumbers(seed);
  const size = tf.util.sizeFromShape(shape);
  return tf.tensor(
    Int32Array.from({length: size}, () => Math.floor(Math.abs(random()) * rows)),
    shape,
    'int32',
  );
};
const shapes = fc.array(fc.integer({min: 1, max: 5}), {minLength: 1, maxLength: 4});

describeAddon('gathering on the native backend', () => {
  beforeAll(async () => {
    await tf.ready();
    await tf.setBackend('native');
  });
  afterAll(useDefaults);

  it('gathers along any axis, a list of ids for each batch too', () => {
    fc.assert(
      fc.property(shapes, fc.array(fc.nat(4), {maxLength: 3}), fc.nat(3), fc.nat(3), (shape, more, a, b) => {
        const axis = a % shape.length;
        const batchDims = b % (axis + 1);
        const ids = () => idsTensor([...shape.slice(0, batchDims), ...more], shape[axis], 3);
        expectSame(() => tf.gather(oddTensor(shape, 1), ids(), axis, batchDims));
        expectSame(() => tf.gather(tensor(shape, 1).mul(100).toInt(), ids(), axis, batchDims));
      }),
      {numRuns: 100},
    );
    for (const [set, threads] of setups) {
      use(set, threads);
      expectSame(() => tf.gather(oddTensor([500, 70], 1), idsTensor([2000], 500, 2)));
      expectSame(() => tf.gather(oddTensor([70, 500], 1), idsTensor([900], 500, 2), 1));
    }
    useDefaults();
  });

  it('refuses ids beyond the axis with the words of cpu', () => {
    for (const id of [-1, 3, 2 ** 31 - 1]) {
      const ids = tf.tensor1d([0, id], 'int32');
      expect(() => tf.gather(tensor([3, 2], 1), ids)).toThrow(`GatherV2: the index value ${id} is not in [0, 2]`);
    }
    const params = tensor([3, 2], 1);
    expect(() => tf.gatherND(params, tf.tensor2d([[3, 0]], [1, 2], 'int32'))).toThrow('Invalid indices: 3,0');
    const [ids, updates] = [tf.tensor2d([[4]], [1, 1], 'int32'), tf.tensor1d([1])];
    expect(() => tf.scatterND(ids, updates, [4])).toThrow('Invalid indices: 4');
  });

  it('sums segments, ids beyond them nowhere', () => {
    fc.assert(
      fc.property(fc.integer({min: 1, max: 60}), fc.array(fc.nat(4), {maxLength: 3}), fc.nat(9), (n, rest, most) => {
        const segments = most + 1;
        const ids = () => tf.tensor1d(randomIds(n, segments, 5), 'int32');
        expectSame(() => tf.unsortedSegmentSum(tensor([n, ...rest], 1), ids(), segments), sumTolerance(n));
      }),
      {numRuns: 60},
    );
    // cpu multiplies by zero what is not a segment's own, so that one NaN spoils them all.
    const odd = tf.unsortedSegmentSum(tf.tensor1d([1, Number.NaN, 3]), tf.tensor1d([0, 1, 0], 'int32'), 2);
    expect([...odd.dataSync()]).toEqual([4, Number.NaN]);
  });

  it('gathers and scatters by several axes', () => {
    fc.assert(
      fc.property(shapes, fc.nat(3), fc.integer({min: 0, max: 20}), (shape, drawn, count) => {
        const rank = 1 + (drawn % shape.length);
        const ids = () => {
          if (count === 0) return tf.zeros([0, rank], 'int32');
          const columns = shape.slice(0, rank).map((size, j) => idsTensor([count], size, 7 + j));
          return tf.stack(columns, 1) as tf.Tensor2D;
        };
        const updates = () => oddTensor([count, ...shape.slice(rank)], 2);
        if (count > 0) expectSame(() => tf.gatherND(oddTensor(shape, 1), ids()));
        if (count === 0) return;
        expectSame(() => tf.scatterND(ids() as tf.Tensor2D, updates(), shape as [number]));
        expectSame(() => tf.tensorScatterUpdate(oddTensor(shape, 1), ids() as tf.Tensor2D, updates()));
      }),
      {numRuns: 80},
    );
  });

  it('updates a copy: the tensor stays', () => {
    const whole = tf.tensor1d([1, 2, 3]);
    const updated = tf.tensorScatterUpdate(whole, tf.tensor2d([[1], [1]], [2, 1], 'int32'), tf.tensor1d([8, 9]));
    expect([...updated.dataSync()]).toEqual([1, 9, 3]);
    expect([...whole.dataSync()]).toEqual([1, 2, 3]);
  });

  it('makes one-hot rows', () => {
    for (const shape of [[], [0], [7], [3, 2]]) {
      for (const dtype of ['float32', 'int32'] as const) {
        const ids = () => tf.tensor(randomIds(tf.util.sizeFromShape(shape), 4, 1), shape, 'int32');
        expectSame(() => tf.oneHot(ids(), 4, 2, -1, dtype));
      }
    }
  });
});
