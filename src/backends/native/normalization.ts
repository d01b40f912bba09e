/** Softmax and FusedBatchNorm. (LogSoftmax is no kernel: tfjs composes it, of kernels that are all native.) */
import * as tf from '@tensorflow/tfjs-core';
import {areFloat, type Call, kernel, type NativeKernel, result, runCpuKernel, valuesOf} from './tensors.js';

function softmax(call: Call<'logits', {dim: number}>): tf.TensorInfo {
  const {inputs, backend, attrs} = call;
  const {shape} = inputs.logits;
  const last = attrs.dim === -1 || attrs.dim === shape.length - 1;
  if (!areFloat(inputs.logits) || !last || shape.length === 0) return runCpuKernel('Softmax', call);
  const params = {rows: tf.util.sizeFromShape(shape.slice(0, -1)), columns: shape[shape.length - 1]};
  return result(backend, shape, 'softmax', params, [valuesOf(backend, inputs.logits)]);
}

const one = Float32Array.of(1);
const zero = Float32Array.of(0);

type BatchNormCall = Call<'x' | 'mean' | 'variance', {varianceEpsilon?: number | null}>;

function batchNorm(call: BatchNormCall): tf.TensorInfo {
  const {inputs, backend, attrs} = call;
  const {x, mean, variance} = inputs;
  const {scale, offset} = inputs as {scale?: tf.TensorInfo | null; offset?: tf.TensorInfo | null};
  const statistics = [mean, variance, scale, offset].filter((tensor) => tensor != null);
  const sameRank = statistics.every(({shape}) => shape.length === mean.shape.length);
  const empty = statistics.some(({shape}) => tf.util.sizeFromShape(shape) === 0);
  if (!areFloat(x, ...statistics) || !sameRank || empty) return runCpuKernel('FusedBatchNorm', call);
  const operands = [
    valuesOf(backend, mean),
    valuesOf(backend, variance),
    scale ? valuesOf(backend, scale) : one,
    offset ? valuesOf(backend, offset) : zero,
  ];
  const [meanSize, varianceSize, scaleSize, offsetSize] = operands.map(({length}) => length);
  const values = valuesOf(backend, x);
  const epsilon = attrs.varianceEpsilon ?? 0.001;
  const params = {size: values.length, meanSize, varianceSize, scaleSize, offsetSize, epsilon};
  return result(backend, x.shape, 'batch_norm', params, [values, ...operands]);
}

export const normalizationKernels: NativeKernel[] = [kernel('Softmax', softmax), kernel('FusedBatchNorm', batchNorm)];
