/** Add, Multiply, Relu, Step, and Sum over leading axes on the addon: what a training step spends its time on besides. */
import * as tf from '@tensorflow/tfjs-core';
import {packParams} from '../../kernels/check.js';
import {callAddon} from '../../kernels/native.js';
import {kernelNames} from '../../kernels/table.js';
import {
  type Backend,
  type Call,
  kernel,
  type NativeKernel,
  noValues,
  result,
  runCpuKernel,
  valuesOf,
} from './tensors.js';

/** Whether `shape`, repeated from its start, fills `whole`: its own sizes are the last ones, before them only ones. */
function repeatsIn(shape: number[], whole: number[]): boolean {
  const size = tf.util.sizeFromShape(shape);
  let own = 1;
  let axis = 1;
  for (; axis <= Math.min(shape.length, whole.length) && shape.at(-axis) === whole.at(-axis); axis++) {
    own *= shape.at(-axis) as number;
  }
  return own === size && shape.length <= whole.length;
}

function binary(kernelName: 'Add' | 'Multiply', call: Call<'a' | 'b', object>): tf.TensorInfo {
  const {inputs, backend} = call;
  let {a, b} = inputs;
  if (a.dtype !== 'float32' || b.dtype !== 'float32') return runCpuKernel(kernelName, call);
  // Both operations commute, exactly.
  if (!repeatsIn(b.shape, a.shape)) [a, b] = [b, a];
  const period = tf.util.sizeFromShape(b.shape);
  if (!repeatsIn(b.shape, a.shape) || period === 0) return runCpuKernel(kernelName, call);
  return elementwise(backend, kernelName === 'Add' ? 'add' : 'multiply', a, b, period);
}

function unary(kernelName: 'Relu' | 'Step', call: Call<'x', {alpha?: number}>): tf.TensorInfo {
  const {inputs, backend, attrs} = call;
  if (inputs.x.dtype !== 'float32') return runCpuKernel(kernelName, call);
  return elementwise(
    backend,
    kernelName === 'Relu' ? 'relu' : 'step',
    inputs.x,
    null,
    0,
    (attrs as typeof attrs | undefined)?.alpha ?? 0,
  );
}

function elementwise(
  backend: Backend,
  op: string,
  a: tf.TensorInfo,
  b: tf.TensorInfo | null,
  period: number,
  alpha = 0,
): tf.TensorInfo {
  const values = valuesOf(backend, a);
  const right = b ? valuesOf(backend, b) : noValues;
  return result(backend, a.shape, 'elementwise', {op, size: values.length, period, alpha}, [values, right]);
}

/** The gradient of a bias: a sum over all axes but the last ones. */
function sum(call: Call<'x', {axis: number | number[]; keepDims: boolean}>): tf.TensorInfo {
  const {inputs, backend, attrs} = call;
  const {shape, dtype} = inputs.x;
  const axes = tf.util.parseAxisParam(attrs.axis, shape).sort((i, j) => i - j);
  const leading = axes.length < shape.length && axes.every((axis, i) => axis === i);
  if (dtype !== 'float32' || !leading) return runCpuKernel('Sum', call);
  const rest = shape.slice(axes.length);
  const fanOut = tf.util.sizeFromShape(rest);
  const positions = tf.util.sizeFromShape(shape.slice(0, axes.length));
  const sums = backend.allocate([fanOut]).fill(0);
  const params = packParams('grad_moment_sum', {phi: 'identity', samples: 1, positions, fanOut, scaled: 0});
  const buffers = [noValues, valuesOf(backend, inputs.x), sums];
  callAddon(() => backend.addon.run(kernelNames.indexOf('grad_moment_sum'), params, buffers));
  return backend.wrap(sums, attrs.keepDims ? [...axes.map(() => 1), ...rest] : rest);
}

export const elementwiseKernels: NativeKernel[] = [
  kernel('Add', (call: Call<'a' | 'b', object>) => binary('Add', call)),
  kernel('Multiply', (call: Call<'a' | 'b', object>) => binary('Multiply', call)),
  kernel('Relu', (call: Call<'x', object>) => unary('Relu', call)),
  kernel('Step', (call: Call<'x', {alpha: number}>) => unary('Step', call)),
  kernel('Sum', sum),
];
