/**
 * Kernels of the native backend that move as much memory as they compute, next to tfjs' cpu and wasm: what a training
 * step is made of besides products and convolutions. One call is timed from JavaScript, with the memory of its result.
 */
import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-backend-cpu';
import '@tensorflow/tfjs-backend-wasm';
import '../dist/backends/native.js';
import {interleave} from './measure.mjs';

const backends = ['native', 'cpu', 'wasm'];
const sizes = [1 << 20, 1 << 10];
/** Milliseconds of calls in one turn of a backend. */
const turn = 10;

const {abs, neg, square, sqrt, rsqrt, relu, exp, log, sigmoid, tanh, elu, softplus} = tf;
const unary = {abs, neg, square, sqrt, rsqrt, relu, exp, log, sigmoid, tanh, elu, softplus};
const matrix = (columns) => (n) => [n / columns, columns];
const wide = matrix(64);
const image = (n) => [n / 1024, 4, 4, 64];

/** [name, shapes of the inputs for n elements, what is run on them]. Inputs lie in (0, 1). */
const kernels = [
  ...Object.entries(unary).map(([name, run]) => [name, (n) => [[n]], run]),
  ['add', (n) => [[n], [n]], tf.add],
  ['multiply by a scalar', (n) => [[n], []], tf.mul],
  ['add a row', (n) => [wide(n), [64]], tf.add],
  ['subtract a column', (n) => [wide(n), [n / 64, 1]], tf.sub],
  ['divide', (n) => [[n], [n]], tf.div],
  ['maximum', (n) => [[n], [n]], tf.maximum],
  ['greater', (n) => [[n], [n]], tf.greater],
  ['sum of all', (n) => [[n]], (x) => tf.sum(x)],
  ['sum over rows (bias)', (n) => [wide(n)], (x) => tf.sum(x, 0)],
  ['sum over images', (n) => [image(n)], (x) => tf.sum(x, [0, 1, 2])],
  ['sum of each row', (n) => [wide(n)], (x) => tf.sum(x, 1)],
  ['mean of each row', (n) => [wide(n)], (x) => tf.mean(x, 1)],
  ['max of each row', (n) => [wide(n)], (x) => tf.max(x, 1)],
  ['argMax of each row', (n) => [wide(n)], (x) => tf.argMax(x, 1)],
  ['softmax of 64', (n) => [wide(n)], (x) => tf.softmax(x)],
  ['softmax of 1024', (n) => [matrix(1024)(n)], (x) => tf.softmax(x)],
  [
    'batchNorm',
    (n) => [image(n), [64], [64], [64], [64]],
    (x, mean, variance, offset, scale) => tf.batchNorm(x, mean, variance, offset, scale),
  ],
];

const bytesOf = (tensors) => tensors.reduce((sum, {size, dtype}) => sum + size * tf.util.bytesPerElement(dtype), 0);

/** A turn of one backend: milliseconds a call. The tensors live there. */
async function contender(backend, shapes, run) {
  await tf.setBackend(backend);
  const inputs = shapes.map((shape) => tf.randomUniform(shape, 0.01, 0.99, 'float32', 1));
  const call = () => run(...inputs).dispose();
  const start = performance.now();
  let calls = 0;
  do {
    call();
    calls++;
  } while (performance.now() - start < turn);
  const measure = async () => {
    await tf.setBackend(backend);
    const began = performance.now();
    for (let i = 0; i < calls; i++) call();
    return (performance.now() - began) / calls;
  };
  const result = run(...inputs);
  const bytes = bytesOf([...inputs, result]);
  result.dispose();
  return {measure, bytes, dispose: () => tf.dispose(inputs)};
}

/** @returns rows {kernel, elements, native, cpu, wasm, GB/s, cpu / native, wasm / native}; times in milliseconds a call */
export async function backend({rounds = 7} = {}) {
  const rows = [];
  for (const elements of sizes) {
    for (const [kernel, shapes, run] of kernels) {
      const all = {};
      for (const name of backends) all[name] = await contender(name, shapes(elements), run);
      const turns = Object.fromEntries(Object.entries(all).map(([name, {measure}]) => [name, measure]));
      const times = await interleave(turns, rounds);
      for (const {dispose} of Object.values(all)) dispose();
      rows.push({
        ...{kernel, elements, ...times, 'GB/s': all.native.bytes / times.native / 1e6},
        ...{'cpu / native': times.cpu / times.native, 'wasm / native': times.wasm / times.native},
      });
    }
  }
  return rows;
}
