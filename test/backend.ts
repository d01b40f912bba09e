/** What the tests of the native backend share: the same on tfjs' cpu backend, and data with odd values in it. */
import * as tf from '@tensorflow/tfjs';
import fc from 'fast-check';
import {expect} from 'vitest';
import {randomArray, randomNumbers} from './native.js';

/** Uniform in [-1, 1), the same in every run. */
export const tensor = (shape: number[], seed: number): tf.Tensor =>
  tf.tensor(randomArray(tf.util.sizeFromShape(shape), seed), shape);

const odd = [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, -0, 0, 1e38, 1e-40];

/** The same with values that arithmetic and moves may spoil, one in four. */
export function oddTensor(shape: number[], seed: number, scale = 1): tf.Tensor {
  const values = randomArray(tf.util.sizeFromShape(shape), seed, scale);
  const random = randomNumbers(seed + 1);
  for (let i = 0; i < values.length; i++) {
    const x = Math.abs(random()) * 4;
    if (x < 1) values[i] = odd[Math.floor(x * odd.length)];
  }
  return tf.tensor(values, shape);
}

type Result = tf.Tensor | tf.Tensor[];
const listOf = (result: Result) => (Array.isArray(result) ? result : [result]);

/**
 * Runs the same on both backends, from the same data, and compares shapes, types and elements, each within `tolerance`.
 * On the native one no tensor is left but the results.
 */
export function expectSame(run: () => Result, tolerance = 0): void {
  tf.setBackend('cpu');
  const truth = tf.tidy(() =>
    listOf(run()).map((t) => ({shape: t.shape, dtype: t.dtype, values: t.dataSync().slice()})),
  );
  tf.setBackend('native');
  const before = tf.memory().numTensors;
  const results = listOf(tf.tidy(run));
  expect(tf.memory().numTensors).toBeLessThanOrEqual(before + results.length);
  expect(results.map(({shape, dtype}) => ({shape, dtype}))).toEqual(truth.map(({shape, dtype}) => ({shape, dtype})));
  results.forEach((result, at) => {
    const values = result.dataSync();
    expect(values.length).toBe(truth[at].values.length);
    for (let i = 0; i < values.length; i++) {
      const expected = truth[at].values[i];
      if (Object.is(values[i], expected) || Math.abs(values[i] - expected) <= tolerance) continue;
      expect.fail(`element ${i} of result ${at} is ${values[i]}, on cpu ${expected}`);
    }
  });
  for (const result of results) result.dispose();
  expect(tf.memory().numTensors).toBe(before);
}

/** The tolerance for sums of so many products of values in [-1, 1). */
export const sumTolerance = (terms: number): number => 2 ** -20 * Math.log2(terms + 2) * (terms + 1);

/** Runs the same on both backends, and compares by units in the last place of cpu's result; below 2^-126 by those there. */
export function expectClose(run: () => tf.Tensor, ulps: number): void {
  tf.setBackend('cpu');
  const truth = tf.tidy(() => run().dataSync());
  tf.setBackend('native');
  const values = tf.tidy(() => run().dataSync());
  expect(values.length).toBe(truth.length);
  for (let i = 0; i < values.length; i++) {
    const unit = 2 ** (Math.floor(Math.log2(Math.max(Math.abs(truth[i]), 2 ** -126))) - 23);
    if (Object.is(values[i], truth[i]) || Math.abs(values[i] - truth[i]) <= ulps * unit) continue;
    expect.fail(`element ${i} is ${values[i]}, on cpu ${truth[i]}`);
  }
}

/** The bytes of a result, to compare large ones at once. */
export const bytesOf = (run: () => tf.Tensor): Buffer => Buffer.from(tf.tidy(() => run().dataSync()).slice().buffer);

/** Shapes of rank 0 to 6, axes of 0 and 1 among them, few elements in all. */
export const anyShape: fc.Arbitrary<number[]> = fc.array(
  fc.oneof({weight: 6, arbitrary: fc.integer({min: 1, max: 5})}, {weight: 1, arbitrary: fc.constant(0)}),
  {
    maxLength: 6,
  },
);

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
