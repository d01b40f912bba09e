/** Conv2D, FusedConv2D and both gradients of a convolution on the addon; what is not float32 stays with cpu. */
import * as tf from '@tensorflow/tfjs-core';
import {flatDepth} from '../../kernels/table.js';
import {
  convolveChannelsFirst,
  filterGradientChannelsFirst,
  fusedChannelsFirst,
  inputGradientChannelsFirst,
} from './channels-first.js';
import {type ConvolutionAttributes, convolutionOf} from './convolution.js';
import {
  areFloat,
  type Backend,
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
  runKernel,
  sharing,
  valuesOf,
} from './tensors.js';

/** The geometry, or null for what tfjs itself does not do. */
function geometryOf(x: number[], filter: number[], attrs: ConvolutionAttributes, dilations = attrs.dilations ?? 1) {
  const found = convolutionOf(x, filter, attrs, dilations);
  return found && {outShape: found.outShape, sizes: {...found.plane, outChannels: filter[3]}};
}

type Convolution = Call<'x' | 'filter', ConvolutionAttributes & FusedAttributes>;

function convolve(kernelName: 'Conv2D' | 'FusedConv2D', call: Convolution): tf.TensorInfo {
  const {inputs, backend, attrs} = call;
  const {x, filter} = inputs;
  if (!areFloat(x, filter) || !knowsActivation(attrs.activation)) return runCpuKernel(kernelName, call);
  if (attrs.dataFormat === 'NCHW') {
    return kernelName === 'Conv2D' ? convolveChannelsFirst(call) : fusedChannelsFirst(call);
  }
  const geometry = geometryOf(x.shape, filter.shape, attrs);
  if (!geometry) return runCpuKernel(kernelName, call);
  const {outShape, sizes} = geometry;
  const fused = inputs as FusedInputs;
  const end = fusedEnd(backend, sizes.outChannels, fused, attrs);
  const inputsOfAddon = [valuesOf(backend, x), valuesOf(backend, filter), end.bias];
  const output = result(backend, outShape, 'conv2d', [sizes, end.params], inputsOfAddon);
  return finishFused(backend, output, end, fused, attrs);
}

/** The deltas that the geometry names: cpu lets larger ones pass and reads their first. null for smaller ones. */
function fitted(backend: Backend, dy: tf.TensorInfo, outShape: number[]): tf.TensorInfo | null {
  if (dy.shape.some((size, axis) => size < outShape[axis])) return null;
  return tf.util.arraysEqual(outShape, dy.shape)
    ? sharing(backend, dy, dy.shape)
    : runKernel(backend, 'Slice', {x: dy}, {begin: outShape.map(() => 0), size: outShape});
}

function filterGradient(call: Call<'x' | 'dy', ConvolutionAttributes & {filterShape: number[]}>): tf.TensorInfo {
  const {inputs, backend, attrs} = call;
  const {x, dy} = inputs;
  if (!areFloat(x, dy)) return runCpuKernel('Conv2DBackpropFilter', call);
  if (attrs.dataFormat === 'NCHW') return filterGradientChannelsFirst(call);
  const geometry = geometryOf(x.shape, attrs.filterShape, attrs, 1);
  const deltas = geometry && fitted(backend, dy, geometry.outShape);
  if (!deltas) return runCpuKernel('Conv2DBackpropFilter', call);
  const {sizes} = geometry;
  const params = [sizes, flatDepth, {phi: 'identity', uses: 1, fanOut: sizes.outChannels}];
  const buffers = [valuesOf(backend, x), valuesOf(backend, deltas)];
  const gradient = moment(backend, attrs.filterShape, 'grad_moment', params, buffers);
  backend.disposeIntermediateTensorInfo(deltas);
  return gradient;
}

function inputGradient(call: Call<'dy' | 'filter', ConvolutionAttributes & {inputShape: number[]}>): tf.TensorInfo {
  const {inputs, backend, attrs} = call;
  const {dy, filter} = inputs;
  if (!areFloat(dy, filter)) return runCpuKernel('Conv2DBackpropInput', call);
  if (attrs.dataFormat === 'NCHW') return inputGradientChannelsFirst(call);
  const geometry = geometryOf(attrs.inputShape, filter.shape, attrs, 1);
  const deltas = geometry && fitted(backend, dy, geometry.outShape);
  if (!deltas) return runCpuKernel('Conv2DBackpropInput', call);
  const buffers = [valuesOf(backend, deltas), valuesOf(backend, filter)];
  const gradient = result(backend, attrs.inputShape, 'conv2d_input', geometry.sizes, buffers);
  backend.disposeIntermediateTensorInfo(deltas);
  return gradient;
}

export const convolutionKernels: NativeKernel[] = [
  kernel('Conv2D', (call: Convolution) => convolve('Conv2D', call)),
  kernel('FusedConv2D', (call: Convolution) => convolve('FusedConv2D', call)),
  kernel('Conv2DBackpropFilter', filterGradient),
  kernel('Conv2DBackpropInput', inputGradient),
];
