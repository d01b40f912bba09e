/** Depthwise convolution of NHWC images, fused or not, and its gradients. */
import * as tf from '@tensorflow/tfjs-core';
import {type ConvolutionAttributes, convolutionOf} from './convolution.js';
import {
  type Call,
  type FusedAttributes,
  type FusedInputs,
  finishFused,
  fusedEnd,
  kernel,
  knowsActivation,
  moment,
  type NativeKernel,
  result,
  runCpuKernel,
  valuesOf,
} from './tensors.js';

type Attributes = Omit<ConvolutionAttributes, 'dataFormat'>;

/** The geometry, or null for what the addon does not do. */
function geometryOf(x: number[], filter: number[], attrs: Attributes, tensors: tf.TensorInfo[]) {
  if (tensors.some(({dtype}) => dtype !== 'float32')) return null;
  const found = convolutionOf(x, filter, attrs, attrs.dilations ?? 1, true);
  return found && {outShape: found.outShape, sizes: {...found.plane, multiplier: filter[3]}};
}

function convolve(kernelName: string, call: Call<'x' | 'filter', Attributes & FusedAttributes>): tf.TensorInfo {
  const {inputs, backend, attrs} = call;
  const {x, filter} = inputs;
  const fused = inputs as FusedInputs;
  const either = tf.backend_util.eitherStridesOrDilationsAreOne(attrs.strides, attrs.dilations ?? 1);
  const geometry = either ? geometryOf(x.shape, filter.shape, attrs, [x, filter]) : null;
  if (!geometry || !knowsActivation(attrs.activation)) return runCpuKernel(kernelName, call);
  const {outShape, sizes} = geometry;
  const end = fusedEnd(backend, sizes.inChannels * sizes.multiplier, fused, attrs);
  const buffers = [valuesOf(backend, x), valuesOf(backend, filter), end.bias];
  const output = result(backend, outShape, 'depthwise_conv2d', [sizes, end.params], buffers);
  return finishFused(backend, output, end, fused, attrs);
}

function filterGradient(call: Call<'x' | 'dy', Attributes & {filterShape: number[]}>): tf.TensorInfo {
  const {inputs, backend, attrs} = call;
  const {x, dy} = inputs;
  const geometry = geometryOf(x.shape, attrs.filterShape, attrs, [x, dy]);
  if (!geometry || !tf.util.arraysEqual(geometry.outShape, dy.shape)) {
    return runCpuKernel('DepthwiseConv2dNativeBackpropFilter', call);
  }
  const buffers = [valuesOf(backend, x), valuesOf(backend, dy)];
  const params = [geometry.sizes, {phi: 'identity', uses: 1}];
  return moment(backend, attrs.filterShape, 'grad_moment_depthwise', params, buffers);
}

function inputGradient(call: Call<'dy' | 'filter', Attributes & {inputShape: number[]}>): tf.TensorInfo {
  const {inputs, backend, attrs} = call;
  const {dy, filter} = inputs;
  const geometry = geometryOf(attrs.inputShape, filter.shape, attrs, [dy, filter]);
  if (!geometry || !tf.util.arraysEqual(geometry.outShape, dy.shape)) {
    return runCpuKernel('DepthwiseConv2dNativeBackpropInput', call);
  }
  const buffers = [valuesOf(backend, dy), valuesOf(backend, filter)];
  return result(backend, attrs.inputShape, 'depthwise_conv2d_input', geometry.sizes, buffers);
}

type Convolution = Parameters<typeof convolve>[1];

export const depthwiseKernels: NativeKernel[] = [
  kernel('DepthwiseConv2dNative', (call: Convolution) => convolve('DepthwiseConv2dNative', call)),
  kernel('FusedDepthwiseConv2D', (call: Convolution) => convolve('FusedDepthwiseConv2D', call)),
  kernel('DepthwiseConv2dNativeBackpropFilter', filterGradient),
  kernel('DepthwiseConv2dNativeBackpropInput', inputGradient),
];
