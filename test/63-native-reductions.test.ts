/** Reductions and normalisations of the native backend against tfjs' cpu: any axes, odd values, empty tensors. */
import * as tf from '@tensorflow/tfjs';
import fc from 'fast-check';
import {afterAll, beforeAll, expect, it} from 'vitest';
import '../dist/backends/native.js';
import {anyShape, bytesOf, expectClose, expectSame, oddTensor, sumTolerance, tensor} from './backend.js';
import {addon, describeAddon, randomArray, use, useDefaults} from './native.js';

type Reduction = (x: tf.Tensor, axes: number[], keepDims: boolean) => tf.Tensor;

/** A shape, and some of its axes in any order. */
const reduction = anyShape.chain((shape) =>
  fc.tuple(fc.constant(shape), fc.shuffledSubarray(shape.map((_, axis) => axis)), fc.boolean(), fc.nat(1000)),
);

const exact: Record<string, Reduction> = {
  max: tf.max,
  min: tf.min,
  all: (x, axes, keepDims) => tf.all(x.greater(0), axes, keepDims),
  any: (x, axes, keepDims) => tf.any(x.greater(2), axes, keepDims),
};

describeAddon('reductions of the native backend', () => {
  beforeAll(async () => {
    await tf.ready();
    await tf.setBackend('native');
  });
  afterAll(useDefaults);

  it.each(Object.entries(exact))('%s is as on cpu, bit for bit', (_, run) => {
    fc.assert(
      fc.property(reduction, ([shape, axes, keepDims, seed]) =>
        expectSame(() => run(oddTensor(shape, seed, 3), axes, keepDims), 0),
      ),
      {numRuns: 100},
    );
  });

  it('sum, mean and prod are as on cpu but for rounding', () => {
    fc.assert(
      fc.property(reduction, ([shape, axes, keepDims, seed]) => {
        const terms = axes.reduce((count, axis) => count * shape[axis], 1);
        for (const run of [tf.sum, tf.mean, tf.prod] as Reduction[]) {
          expectSame(() => run(tensor(shape, seed), axes, keepDims), sumTolerance(terms));
        }
      }),
      {numRuns: 100},
    );
  });

  it('sums where elements differ by eighteen orders of magnitude, in any layout, to the last digit of cpu', () => {
    for (const [shape, axes] of [
      [[200_000], [0]],
      [[100_000, 2], [0]],
      [[300, 700], [0]],
      [[300, 700], [1]],
      [
        [20, 30, 40, 5],
        [0, 2],
      ],
    ]) {
      const values = randomArray(tf.util.sizeFromShape(shape), 3, 20).map((x) => Math.sign(x) * Math.exp(x));
      expectClose(() => tf.sum(tf.tensor(values, shape), axes), 1);
      expectClose(() => tf.sum(tf.abs(tf.tensor(values, shape)), axes), 1);
      expectClose(() => tf.mean(tf.abs(tf.tensor(values, shape)), axes), 2);
    }
  });

  it('gives the same bits on any number of threads, on every instruction set', () => {
    for (const [shape, axes] of [
      [[300_001], [0]],
      [[70_001, 7], [0]],
      [[100_000, 3], [1]],
      [[513, 600], [0]],
      [
        [9, 31, 8, 33, 5, 6],
        [1, 3, 5],
      ],
    ]) {
      const [x, odd] = [tensor(shape, 1), oddTensor(shape, 1)];
      const all = () => [() => tf.max(odd, axes), () => tf.sum(x, axes), () => tf.softmax(x)].map(bytesOf);
      const [extremes] = all();
      for (const set of addon.instructionSets()) {
        use(set, 1);
        const alone = all();
        expect(alone[0].equals(extremes), set).toBe(true);
        use(set, 3);
        all().forEach((bytes, i) => {
          expect(bytes.equals(alone[i]), `${i} on ${set}`).toBe(true);
        });
      }
      useDefaults();
      tf.dispose([x, odd]);
    }
  });

  it('keeps NaN and infinity in sums and products', () => {
    for (const axis of [0, 1]) {
      for (const run of [tf.sum, tf.prod]) expectClose(() => run(oddTensor([40, 50], 1, 1), axis), 1);
      expectClose(() => tf.mean(oddTensor([40, 50], 1, 1), axis), 64); // cpu rounds each quotient
    }
  });

  it('finds the first extreme along any axis; ties and NaN as on cpu', () => {
    fc.assert(
      fc.property(
        anyShape.filter((shape) => shape.length > 0),
        fc.nat(5),
        fc.nat(1000),
        (shape, axis, seed) => {
          const x = () => oddTensor(shape, seed, 3).round(); // many ties
          expectSame(() => tf.argMax(x(), axis % shape.length), 0);
          expectSame(() => tf.argMin(x(), axis % shape.length), 0);
        },
      ),
      {numRuns: 100},
    );
    for (const axis of [0, 1]) expectSame(() => tf.argMax(oddTensor([300, 700], 2), axis), 0);
  });

  it('reduces integers and booleans as cpu', () => {
    const x = () => tf.tensor2d([1, 2, 3, 4, 5, 6], [2, 3], 'int32');
    for (const run of [tf.sum, tf.mean, tf.prod, tf.max, tf.min, tf.argMax])
      expectSame(() => run(x(), 1), sumTolerance(1));
    expectSame(() => tf.sum(tf.tensor1d([true, true, false], 'bool')), 0);
    expect(() => tf.sum(tensor([2], 1), 3)).toThrow();
  });

  it('softmax and logSoftmax of any rows', () => {
    const rows = fc.tuple(fc.integer({min: 0, max: 50}), fc.integer({min: 1, max: 300}), fc.nat(1000));
    fc.assert(
      fc.property(rows, ([count, columns, seed]) => {
        const x = () => tensor([count, columns], seed).mul(20);
        expectClose(() => tf.softmax(x()), 8);
        expectSame(() => tf.logSoftmax(x()), sumTolerance(20));
      }),
      {numRuns: 50},
    );
    expectClose(() => tf.softmax(oddTensor([1, 30], 1)), 8);
    expectClose(() => tf.softmax(tf.fill([2, 3], Number.NEGATIVE_INFINITY)), 0);
    expectClose(() => tf.softmax(tensor([40], 1)), 8);
    tf.setBackend('native');
    expect(() => tf.softmax(tensor([2, 3], 1), 0)).toThrow('non-last dimension');
  });

  it('normalises batches with any operands, absent ones too', () => {
    const operands = fc.record({
      channels: fc.constantFrom(1, 3, 16, 70, 1100),
      positions: fc.integer({min: 0, max: 40}),
      scaled: fc.boolean(),
      shifted: fc.boolean(),
      whole: fc.boolean(),
    });
    fc.assert(
      fc.property(operands, ({channels, positions, scaled, shifted, whole}) => {
        const shape = [2, 1, positions, channels];
        const operand = whole && positions > 0 ? shape : [channels];
        expectSame(
          () =>
            tf.batchNorm(
              tensor(shape, 1),
              tensor(operand, 2) as tf.Tensor1D,
              tf.abs(tensor(operand, 3)) as tf.Tensor1D,
              shifted ? (tensor(operand, 4) as tf.Tensor1D) : undefined,
              scaled ? (tensor(operand, 5) as tf.Tensor1D) : undefined,
              0.1,
            ),
          sumTolerance(4),
        );
      }),
      {numRuns: 50},
    );
    const [x, two, three] = [() => tensor([4, 5], 1), () => tensor([2], 2), () => tf.abs(tensor([3], 3))];
    expectSame(
      () => tf.batchNorm(x(), two() as tf.Tensor1D, three() as tf.Tensor1D, two() as tf.Tensor1D),
      sumTolerance(4),
    );
  });

  it('gives results that later kernels do not change', () => {
    tf.setBackend('native');
    const result = tf.tidy(() => tf.sum(tensor([300, 2000], 1), 0).dataSync());
    const copy = result.slice();
    tf.tidy(() => {
      for (let i = 0; i < 50; i++) tf.sum(tensor([300, 2000], i), 0);
    });
    expect(result).toEqual(copy);
  });
});
