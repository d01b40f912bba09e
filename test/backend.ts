/** What the tests of the `native` TensorFlow.js backend share: the same computation on cpu and on native, compared. */
import * as tf from '@tensorflow/tfjs';
import fc from 'fast-check';
import {expect} from 'vitest';
import '../dist/backends/native.js';
import {randomArray} from './native.js';

export const tensor = (shape: number[], seed: number): tf.Tensor =>
  tf.tensor(randomArray(tf.util.sizeFromShape(shape), seed), shape);

/** What tests of odd values put among others. */
export const odd = [
  Number.NaN,
  Number.POSITIVE_INFINITY,
  Number.NEGATIVE_INFINITY,
  -0,
  0,
  1e38,
  -1e38,
  1e-40,
  0.5,
  -0.5,
];

/** The same with NaN, infinities, zeros of both signs and numbers at the ends of the range among the first elements. */
export function oddTensor(shape: number[], seed: number, scale = 3): tf.Tensor {
  const array = randomArray(tf.util.sizeFromShape(shape), seed, scale);
  odd.forEach((value, i) => {
    array[(i * 5 + seed) % Math.max(1, array.length)] = value;
  });
  return tf.tensor(array, shape);
}

/** Runs the same on both backends, from the same data: the result on native, the one on cpu. No tensor may leak. */
export function onBoth(run: () => tf.Tensor): {result: tf.TypedArray; truth: tf.TypedArray} {
  tf.setBackend('cpu');
  const cpu = tf.tidy(run);
  const truth = {values: cpu.dataSync().slice(), shape: cpu.shape, dtype: cpu.dtype};
  cpu.dispose();
  tf.setBackend('native');
  const before = tf.memory().numTensors;
  const native = tf.tidy(run);
  expect(native.shape).toEqual(truth.shape);
  expect(native.dtype).toEqual(truth.dtype);
  const result = native.dataSync();
  expect(result.constructor).toBe(truth.values.constructor);
  expect(result.length).toBe(truth.values.length);
  native.dispose();
  expect(tf.memory().numTensors).toBe(before);
  return {result, truth: truth.values};
}

/** Compares results of sums of so many products of numbers below 1; 0 terms: bit for bit, but for which NaN it is. */
export function expectSame(run: () => tf.Tensor, terms: number): void {
  const {result, truth} = onBoth(run);
  const bound = terms === 0 ? 0 : 2 ** -20 * Math.log2(terms + 2) * (terms + 1);
  for (let i = 0; i < result.length; i++) {
    if (Object.is(result[i], truth[i]) || (bound > 0 && Math.abs(result[i] - truth[i]) <= bound)) continue;
    expect.fail(`element ${i} is ${result[i]}, on cpu ${truth[i]}`);
  }
}

/** Compares by units in the last place of cpu's result; below the normal range by those of its end. */
export function expectClose(run: () => tf.Tensor, ulps: number): void {
  const {result, truth} = onBoth(run);
  for (let i = 0; i < result.length; i++) {
    const unit = 2 ** (Math.floor(Math.log2(Math.max(Math.abs(truth[i]), 2 ** -126))) - 23);
    if (Object.is(result[i], truth[i]) || Math.abs(result[i] - truth[i]) <= ulps * unit) continue;
    expect.fail(`element ${i} is ${result[i]}, on cpu ${truth[i]}`);
  }
}

/** Shapes of rank 0 to 6, axes of 0 and 1 among them, few elements in all. */
export const anyShape: fc.Arbitrary<number[]> = fc
  .array(fc.oneof({weight: 6, arbitrary: fc.integer({min: 1, max: 5})}, {weight: 1, arbitrary: fc.constant(0)}), {
    maxLength: 6,
  })
  .map((shape) => shape);

/** Two shapes that broadcast: axes of one of them, or of both, are left out or 1. */
export const broadcastPair: fc.Arbitrary<[number[], number[]]> = fc
  .tuple(anyShape, fc.array(fc.constantFrom('both', 'a', 'b'), {minLength: 6, maxLength: 6}), fc.nat(6), fc.nat(6))
  .map(([shape, has, aMissing, bMissing]) => {
    const own = (side: string, missing: number) => {
      const axes = shape.map((length, axis) => (has[axis] === 'both' || has[axis] === side ? length : 1));
      let first = 0;
      while (first < missing && axes[first] === 1) first++;
      return axes.slice(first);
    };
    return [own('a', aMissing), own('b', bMissing)];
  });
