// Random networks, many of them nonsense, some coupling samples: whatever the tape does with them, the sums are right.
import * as tf from '@tensorflow/tfjs';
import fc from 'fast-check';
import {beforeAll, expect, it} from 'vitest';
import {definition, deviation, measure, normal, type Tensors, tapeOf} from './tape.js';

beforeAll(() => tf.setBackend('cpu'));

const width = 4;
const shapes = {matrix: [width, width], other: [width, width], row: [width], scalar: [], column: [2, 1]};
type Variables = Record<keyof typeof shapes, tf.Variable>;
type Layer = (h: tf.Tensor, v: Variables) => tf.Tensor;

const rows = (h: tf.Tensor) => tf.reshape(h, [-1, width]);
const back = (h: tf.Tensor, like: tf.Tensor) => tf.reshape(h, like.shape);
const pairs = (h: tf.Tensor) => tf.reshape(h, [-1, 2, 2]);
const image = (h: tf.Tensor) => tf.reshape(h, [-1, 2, 2, 1]) as tf.Tensor4D;
const filter = (w: tf.Tensor) => tf.reshape(w, [2, 2, 2, 2]).slice([0, 0, 0, 0], [2, 2, 1, 1]) as tf.Tensor4D;
const pointwise = (w: tf.Tensor) => tf.reshape(w, [2, 2, 1, 4]) as tf.Tensor4D;

/** Layers keep [B, 4] in, [B, 4] out; those named with an exclamation mark mix samples or their order. */
const layers: Record<string, Layer> = {
  dense: (h, {matrix}) => tf.matMul(h, matrix),
  'dense transposed': (h, {matrix}) => tf.matMul(h, matrix, false, true),
  'dense on the left': (h, {matrix}) => tf.transpose(tf.matMul(matrix, h, true, true)),
  'dense by another name': (h, {other}) =>
    tf.matMul(h, tf.transpose(tf.reshape(other, [4, 1, 4]), [2, 1, 0]).reshape([4, 4])),
  'dense of a square': (h, {other}) => tf.matMul(h, tf.mul(other, other)),
  'small dense': (h, {column}) => back(tf.matMul(tf.matMul(tf.reshape(h, [-1, 2]), column), column, false, true), h),
  bias: (h, {row}) => tf.add(h, row),
  'bias from the right': (h, {row}) => tf.sub(row, h),
  scale: (h, {row}) => tf.mul(h, row),
  scalar: (h, {scalar}) => tf.mul(scalar, h),
  shift: (h, {scalar}) => tf.add(h, scalar),
  'middle bias': (h, {column}) => back(tf.add(pairs(h), column), h),
  quotient: (h, {row}) => tf.div(h, tf.add(tf.square(row), 1)),
  convolution: (h, {matrix}) => back(tf.conv2d(image(h), filter(matrix), 1, 'same'), h),
  'strided convolution': (h, {other}) => rows(tf.conv2d(image(h), pointwise(other), 2, 'valid')),
  relu: (h) => tf.relu(h),
  tanh: (h) => tf.tanh(h),
  softmax: (h) => tf.softmax(h),
  norm: (h) => tf.sub(h, tf.mean(h, 1, true)),
  residual: (h, {matrix}) => tf.add(h, tf.matMul(tf.relu(h), matrix)),
  'swapped in the sample': (h) => back(tf.transpose(pairs(h), [0, 2, 1]), h),
  halves: (h) => tf.concat([tf.slice(h, [0, 2], [-1, 2]), tf.slice(h, [0, 0], [-1, 2])], 1),
  '!mean of the batch': (h) => tf.sub(h, tf.mean(h, 0)),
  '!softmax over the batch': (h) => tf.softmax(tf.transpose(h)).transpose(),
  '!reversed batch': (h) => tf.add(h, tf.reverse(h, 0)),
  '!time-major dense': (h, {column, matrix}) => {
    const swapped = tf.transpose(pairs(h), [1, 0, 2]);
    const hidden = tf.matMul(tf.matMul(tf.reshape(swapped, [-1, 2]), column), tf.slice(matrix, [0, 0], [1, 2]));
    return back(tf.transpose(tf.reshape(hidden, [2, -1, 2]), [1, 0, 2]), h);
  },
  '!time-major bias': (h, {column}) =>
    back(tf.transpose(tf.tanh(tf.add(tf.transpose(pairs(h), [1, 0, 2]), tf.reshape(column, [2]))), [1, 0, 2]), h),
  '!transposed batch': (h) => rows(tf.transpose(h)),
  '!flat softmax': (h) => back(tf.softmax(tf.reshape(h, [-1])), h),
  '!step over the mean of the batch': (h) => tf.mul(h, tf.step(tf.sub(h, tf.mean(h, 0)))),
};

it('are measured as the definition says', async () => {
  const names = fc.array(fc.constantFrom(...Object.keys(layers)), {minLength: 1, maxLength: 6});
  let taken = 0;
  const property = fc.asyncProperty(names, fc.constantFrom(1, 2, 4, 5), fc.nat(1000), async (chosen, samples, seed) => {
    const variables = Object.fromEntries(
      Object.entries(shapes).map(([name, shape], i) => [name, tf.variable(normal(shape, seed + i + 1))]),
    ) as Variables;
    const forward = (x: Tensors) => chosen.reduce((h, name) => layers[name](h, variables), x as tf.Tensor);
    const list = Object.values(variables);
    const x = normal([samples, width], seed + 9);
    const connected = chosen.some((name) => layers[name].length > 1);
    try {
      if (!connected) return;
      const measured = await measure(tapeOf({forward, variables: list}, 'output'), [x]);
      taken += Object.keys(measured.rules).length;
      // Random networks cancel more than real ones; what is silently wrong is wrong by much more.
      expect(deviation(measured.sums, definition(forward, list, [x]), 1e-5)).toBeLessThan(1e-2);
      if (!chosen.some((name) => name.startsWith('!'))) {
        expect(Object.values(measured.fallback).filter((why) => /depend|sorted/.test(why))).toEqual([]);
      }
    } finally {
      tf.dispose([...list, x]);
    }
  });
  await fc.assert(property, {
    numRuns: Number(process.env.ENGRAM_RUNS ?? 150),
    seed: Number(process.env.ENGRAM_SEED ?? 1),
  });
  expect(taken).toBeGreaterThan(100);
});
