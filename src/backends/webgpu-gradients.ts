/**
 * Gradients of weights on tfjs' `webgpu` backend by the kernels of the table.
 *
 * tfjs' own for filters have one thread for each weight, which reads all that it meets from global memory; these stage
 * tiles in workgroup memory and split the batch. Its matrix product keeps 4x4 sums a thread, and reads a transposed
 * operand one by one; for x^T dy of large layers grad_moment_dense keeps 8x8 and reads vectors. The sizes from which on it
 * is taken are derived from that, and `npm run bench:gpu -- gradients` measures them.
 */
import * as tf from '@tensorflow/tfjs-core';
import {flatDepth} from '../kernels/table.js';
import {webGpuTensorEngine} from '../kernels/tensors-webgpu.js';
import type {WebGpuBackendLike} from '../kernels/tfjs-webgpu.js';
import {planeOf} from './windows.js';

type Shape4 = [number, number, number, number];

interface Attributes {
  strides: [number, number] | number;
  pad: 'valid' | 'same' | number | tf.backend_util.ExplicitPadding;
  dataFormat?: 'NHWC' | 'NCHW';
  dilations?: [number, number] | number;
  dimRoundingMode?: 'floor' | 'round' | 'ceil';
  filterShape: Shape4;
}
interface Call {
  inputs: {x: tf.TensorInfo; dy: tf.TensorInfo};
  backend: WebGpuBackendLike;
  attrs: Attributes;
}
interface ProductCall {
  inputs: {a: tf.TensorInfo; b: tf.TensorInfo};
  backend: WebGpuBackendLike;
  attrs: {transposeA: boolean; transposeB: boolean};
}

/**
 * The geometry of float32 images in NHWC whose deltas are of its size; null for what is left to tfjs. Its kernels know no
 * dilation: those of convolutions have no such attribute, and those of depthwise ones do not heed it.
 */
function geometryOf({inputs: {x, dy}, attrs}: Call, depthwise: boolean) {
  const dilations = depthwise ? (attrs.dilations ?? 1) : 1;
  if (!tf.backend_util.tupleValuesAreOne(dilations)) return null;
  if (x.dtype !== 'float32' || dy.dtype !== 'float32' || (attrs.dataFormat ?? 'NHWC') !== 'NHWC') return null;
  const {strides, pad, dimRoundingMode, filterShape} = attrs;
  const images = x.shape as Shape4;
  const {computeConv2DInfo} = tf.backend_util;
  const info = computeConv2DInfo(images, filterShape, strides, dilations, pad, dimRoundingMode, depthwise);
  return tf.util.arraysEqual(info.outShape, dy.shape) ? info : null;
}

const filterGradient = (call: Call): tf.TensorInfo | null => {
  const info = geometryOf(call, false);
  if (!info) return null;
  const params = {
    ...planeOf(info),
    ...flatDepth,
    phi: 'identity',
    uses: 1,
    inChannels: info.inChannels,
    fanOut: info.outChannels,
  } as const;
  const {x, dy} = call.inputs;
  const engine = webGpuTensorEngine(call.backend);
  return engine.moment('grad_moment', params, {activations: x, deltas: dy}, call.attrs.filterShape);
};

const depthwiseGradient = (call: Call): tf.TensorInfo | null => {
  const info = geometryOf(call, true);
  if (!info) return null;
  const params = {
    ...planeOf(info),
    phi: 'identity',
    uses: 1,
    inChannels: info.inChannels,
    multiplier: call.attrs.filterShape[3],
  } as const;
  const {x, dy} = call.inputs;
  const engine = webGpuTensorEngine(call.backend);
  return engine.moment('grad_moment_depthwise', params, {activations: x, deltas: dy}, call.attrs.filterShape);
};

const sizeOf = ({shape}: tf.TensorInfo): number => tf.util.sizeFromShape(shape);

/** Sums from which on a product of a layer's batch has enough tiles of 8x8 sums a thread, and rows that are worth it. */
const smallestProduct = {sums: 128 * 128, edge: 64, samples: 16};

/** x^T dy of a dense layer; null for other products, stacks of several, and small ones. */
const denseGradient = ({inputs: {a, b}, attrs, backend}: ProductCall): tf.TensorInfo | null => {
  if (!attrs.transposeA || attrs.transposeB || a.dtype !== 'float32' || b.dtype !== 'float32') return null;
  const [samples, fanIn] = a.shape.slice(-2);
  const fanOut = b.shape.at(-1)!;
  const one = a.shape.length === b.shape.length && sizeOf(a) === samples * fanIn && sizeOf(b) === samples * fanOut;
  const {sums, edge, samples: fewest} = smallestProduct;
  if (!one || samples < fewest || Math.min(fanIn, fanOut) < edge || fanIn * fanOut < sums) return null;
  const params = {phi: 'identity', samples, fanIn, fanOut} as const;
  const shape = [...a.shape.slice(0, -2), fanIn, fanOut];
  return webGpuTensorEngine(backend).moment('grad_moment_dense', params, {activations: a, deltas: b}, shape);
};

const gradients = {
  Conv2DBackpropFilter: filterGradient,
  DepthwiseConv2dNativeBackpropFilter: depthwiseGradient,
  BatchMatMul: denseGradient,
} as unknown as Record<string, (call: unknown) => tf.TensorInfo | null>;

/** Puts them in the place of tfjs' kernels, which keep what they do not do. */
export function registerGradients(): void {
  for (const [kernelName, gradient] of Object.entries(gradients)) {
    const theirs = tf.getKernel(kernelName, 'webgpu') as tf.KernelConfig;
    tf.unregisterKernel(kernelName, 'webgpu');
    tf.registerKernel({
      ...theirs,
      kernelFunc: (call) => gradient(call) ?? theirs.kernelFunc(call),
    });
  }
}
