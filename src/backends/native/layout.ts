/** Kernels that give a tensor another name, shape or type, and those that fill one: nothing is computed. */
import * as tf from '@tensorflow/tfjs-core';
import {type Backend, type Call, kernel, type NativeKernel, runCpuKernel, sharing} from './tensors.js';

function reshape({inputs, backend, attrs}: Call<'x', {shape: number[]}>): tf.TensorInfo {
  const size = tf.util.sizeFromShape(inputs.x.shape);
  const shape = tf.util.inferFromImplicitShape(attrs.shape, size);
  tf.util.assert(
    size === tf.util.sizeFromShape(shape),
    () =>
      `The new shape (${shape}) has ${tf.util.sizeFromShape(shape)} elements, the tensor (${inputs.x.shape}) ${size}.`,
  );
  return sharing(backend, inputs.x, shape);
}

function expandDims({inputs, backend, attrs}: Call<'input', {dim: number}>): tf.TensorInfo {
  const {shape} = inputs.input;
  tf.util.assert(
    attrs.dim >= -(shape.length + 1) && attrs.dim <= shape.length,
    () => `Axis must be in the interval [${-(shape.length + 1)}, ${shape.length}]`,
  );
  const axis = attrs.dim < 0 ? attrs.dim + shape.length + 1 : attrs.dim;
  return sharing(backend, inputs.input, shape.toSpliced(axis, 0, 1));
}

function cast(call: Call<'x', {dtype: tf.DataType}>): tf.TensorInfo {
  const {inputs, backend, attrs} = call;
  return attrs.dtype === inputs.x.dtype && attrs.dtype !== 'complex64'
    ? sharing(backend, inputs.x, inputs.x.shape)
    : runCpuKernel('Cast', call);
}

const filled = (backend: Backend, shape: number[], value: number): tf.TensorInfo =>
  backend.wrap(backend.allocate(shape).fill(value), shape);

function like(kernelName: 'ZerosLike' | 'OnesLike', value: number, call: Call<'x', object>): tf.TensorInfo {
  const {x} = call.inputs;
  return x.dtype === 'float32' ? filled(call.backend, x.shape, value) : runCpuKernel(kernelName, call);
}

function fill(call: Call<never, {shape: number[]; value: number | string; dtype?: tf.DataType}>): tf.TensorInfo {
  const {shape, value, dtype = tf.util.inferDtype(value)} = call.attrs;
  return dtype === 'float32' ? filled(call.backend, shape, value as number) : runCpuKernel('Fill', call);
}

export const layoutKernels: NativeKernel[] = [
  kernel('Identity', ({inputs, backend}: Call<'x', object>) => sharing(backend, inputs.x, inputs.x.shape)),
  kernel('Reshape', reshape),
  kernel('ExpandDims', expandDims),
  kernel('Cast', cast),
  kernel('ZerosLike', (call: Call<'x', object>) => like('ZerosLike', 0, call)),
  kernel('OnesLike', (call: Call<'x', object>) => like('OnesLike', 1, call)),
  kernel('Fill', fill),
];
