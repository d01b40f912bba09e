/**
 * Gradients of filters on tfjs' `webgpu` backend by the kernels of the table. tfjs' own have one thread for each weight,
 * which reads all that it meets from global memory; these stage tiles in workgroup memory and split the batch.
 */
import * as tf from '@tensorflow/tfjs-core';
import {flatDepth} from '../kernels/table.js';
import {type WebGpuBackendLike, webGpuTensorEngine} from '../kernels/tensors-webgpu.js';
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

type Gradient = (call: Call) => tf.TensorInfo | null;

const filterGradient: Gradient = (call) => {
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

const depthwiseGradient: Gradient = (call) => {
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

const gradients: Record<string, Gradient> = {
  Conv2DBackpropFilter: filterGradient,
  DepthwiseConv2dNativeBackpropFilter: depthwiseGradient,
};

/** Puts them in the place of tfjs' kernels, which keep what they do not do. */
export function registerGradients(): void {
  for (const [kernelName, gradient] of Object.entries(gradients)) {
    const theirs = tf.getKernel(kernelName, 'webgpu') as tf.KernelConfig;
    tf.unregisterKernel(kernelName, 'webgpu');
    tf.registerKernel({
      ...theirs,
      kernelFunc: (call) => gradient(call as unknown as Call) ?? theirs.kernelFunc(call),
    });
  }
}
