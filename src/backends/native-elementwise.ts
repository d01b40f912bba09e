/** Add, Multiply, Relu, Step, and Sum over leading axes on the addon: what a training step spends its time on besides. */
import * as tf from '@tensorflow/tfjs-core';
import {packParams} from '../kernels/check.js';
import {callAddon} from '../kernels/native.js';
import {kernelNames} from '../kernels/table.js';
import {
  type Backend,
  type Call,
  type NativeKernel,
  noValues,
  operate,
  runCpuKernel,
  valuesOf,
} from './native-tensors.js';

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
  const result = new Float32Array(values.length);
  const right = b ? valuesOf(backend, b) : noValues;
  operate(backend, 'elementwise', {op, size: values.length, period, alpha}, [values, right, result]);
  return backend.makeTensorInfo(a.shape, 'float32', result);
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
  const result = new Float32Array(fanOut);
  const params = packParams('grad_moment_sum', {phi: 'identity', samples: 1, positions, fanOut, scaled: 0});
  const buffers = [noValues, valuesOf(backend, inputs.x), result];
  callAddon(() => backend.addon.run(kernelNames.indexOf('grad_moment_sum'), params, buffers));
  return backend.makeTensorInfo(attrs.keepDims ? [...axes.map(() => 1), ...rest] : rest, 'float32', result);
}

export const elementwiseKernels: NativeKernel[] = [
  {kernelName: 'Add', kernelFunc: (call) => binary('Add', call as unknown as Call<'a' | 'b', object>)},
  {kernelName: 'Multiply', kernelFunc: (call) => binary('Multiply', call as unknown as Call<'a' | 'b', object>)},
  {kernelName: 'Relu', kernelFunc: (call) => unary('Relu', call as unknown as Call<'x', object>)},
  {kernelName: 'Step', kernelFunc: (call) => unary('Step', call as unknown as Call<'x', {alpha: number}>)},
  {kernelName: 'Sum', kernelFunc: (call) => sum(call as unknown as Parameters<typeof sum>[0])},
];
