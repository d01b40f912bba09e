/** What the tests of the native backend share: the same on tfjs' cpu backend, and data with odd values in it. */
import * as tf from '@tensorflow/tfjs';
import {expect} from 'vitest';
import {randomArray, randomNumbers} from './native.js';

/** Uniform in [-1, 1), the same in every run. */
export const tensor = (shape: number[], seed: number): tf.Tensor =>
  tf.tensor(randomArray(tf.util.sizeFromShape(shape), seed), shape);

const odd = [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, -0, 0, 1e38, 1e-40];

/** The same with values that arithmetic and moves may spoil, one in four. */
export function oddTensor(shape: number[], seed: number): tf.Tensor {
  const values = randomArray(tf.util.sizeFromShape(shape), seed);
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
