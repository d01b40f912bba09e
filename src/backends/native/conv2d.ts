/** Conv2D, FusedConv2D and both gradients of a convolution on the addon: float32 in NHWC; the rest stays with cpu. */
import * as tf from '@tensorflow/tfjs-core';
import {flatDepth} from '../../kernels/table.js';
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
import {planeOf} from './windows.js';

type Shape4 = [number, number, number, number];

export interface ConvolutionAttributes {
  strides: [number, number] | number;
  pad: 'valid' | 'same' | number | tf.backend_util.ExplicitPadding;
  dataFormat: 'NHWC' | 'NCHW';
  dimRoundingMode?: 'floor' | 'round' | 'ceil';
  dilations?: [number, number] | number;
}

/** The geometry of a convolution, or null for what the addon does not do. */
function geometryOf(x: number[], filter: number[], attrs: ConvolutionAttributes, dtypes: tf.DataType[]) {
  if (dtypes.some((dtype) => dtype !== 'float32') || attrs.dataFormat === 'NCHW') return null;
  const info = tf.backend_util.computeConv2DInfo(
    x as Shape4,
    filter as Shape4,
    attrs.strides,
    attrs.dilations ?? 1,
    attrs.pad,
    attrs.dimRoundingMode,
  );
  if (info.outHeight < 0 || info.outWidth < 0 || info.inChannels !== filter[2]) return null;
  return {
    outShape: info.outShape,
    outChannels: info.outChannels,
    ...planeOf(info),
    inChannels: info.inChannels,
  };
}

function convolve(
  kernelName: string,
  call: Call<'x' | 'filter', ConvolutionAttributes & FusedAttributes>,
): tf.TensorInfo {
  const {inputs, backend, attrs} = call;
  const {x, filter} = inputs;
  const fused = inputs as FusedInputs;
  const geometry = geometryOf(x.shape, filter.shape, attrs, [x.dtype, filter.dtype]);
  if (!geometry || !knowsActivation(attrs.activation)) return runCpuKernel(kernelName, call);
  const {outShape, ...sizes} = geometry;
  const {bias, ...end} = fusedEnd(backend, sizes.outChannels, fused, attrs);
  const inputsOfAddon = [valuesOf(backend, x), valuesOf(backend, filter), bias];
  const output = result(backend, outShape, 'conv2d', {...sizes, ...end}, inputsOfAddon);
  return finishFused(backend, output, {...end, bias}, fused, attrs);
}

function filterGradient(call: Call<'x' | 'dy', ConvolutionAttributes & {filterShape: number[]}>): tf.TensorInfo {
  const {inputs, backend, attrs} = call;
  const {x, dy} = inputs;
  const geometry = geometryOf(x.shape, attrs.filterShape, {...attrs, dilations: 1}, [x.dtype, dy.dtype]);
  if (!geometry || !tf.util.arraysEqual(geometry.outShape, dy.shape)) return runCpuKernel('Conv2DBackpropFilter', call);
  const {outShape: _, outChannels: fanOut, ...sizes} = geometry;
  const params = {phi: 'identity', uses: 1, ...flatDepth, fanOut, ...sizes} as const;
  const buffers = [valuesOf(backend, x), valuesOf(backend, dy)];
  return moment(backend, attrs.filterShape, 'grad_moment', params, buffers);
}

function inputGradient(call: Call<'dy' | 'filter', ConvolutionAttributes & {inputShape: number[]}>): tf.TensorInfo {
  const {inputs, backend, attrs} = call;
  const {dy, filter} = inputs;
  const geometry = geometryOf(attrs.inputShape, filter.shape, {...attrs, dilations: 1}, [dy.dtype, filter.dtype]);
  // cpu lets deltas of another size than the geometry's pass, and reads beyond or short of them.
  if (!geometry || !tf.util.arraysEqual(geometry.outShape, dy.shape)) return runCpuKernel('Conv2DBackpropInput', call);
  const {outShape: _, ...sizes} = geometry;
  const buffers = [valuesOf(backend, dy), valuesOf(backend, filter)];
  return result(backend, attrs.inputShape, 'conv2d_input', sizes, buffers);
}

export const convolutionKernels: NativeKernel[] = [
  kernel('Conv2D', (call: Parameters<typeof convolve>[1]) => convolve('Conv2D', call)),
  kernel('FusedConv2D', (call: Parameters<typeof convolve>[1]) => convolve('FusedConv2D', call)),
  kernel('Conv2DBackpropFilter', filterGradient),
  kernel('Conv2DBackpropInput', inputGradient),
];
