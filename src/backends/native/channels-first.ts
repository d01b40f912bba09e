/** Convolutions of NCHW images: turned into NHWC order, convolved there, and turned back. */
import type * as tf from '@tensorflow/tfjs-core';
import type {ConvolutionAttributes} from './convolution.js';
import {
  type Backend,
  type Call,
  type FusedAttributes,
  type FusedInputs,
  finishFused,
  noValues,
  runKernel,
} from './tensors.js';

const toLast = [0, 2, 3, 1];
const toFirst = [0, 3, 1, 2];
const ordered = <T>(items: T[], perm: number[]): T[] => perm.map((axis) => items[axis]);

/** The attributes of the same call in NHWC order; explicit paddings are listed in the order of the axes. */
function channelsLast<A extends ConvolutionAttributes>(attrs: A): A {
  const {pad} = attrs;
  const turned = Array.isArray(pad) ? (ordered(pad, toLast) as tf.backend_util.ExplicitPadding) : pad;
  return {...attrs, pad: turned, dataFormat: 'NHWC'};
}

/** Runs `compute` on copies of the images in NHWC order. */
function onChannelsLast(
  backend: Backend,
  images: tf.TensorInfo[],
  compute: (...turned: tf.TensorInfo[]) => tf.TensorInfo,
): tf.TensorInfo {
  const turned = images.map((x) => runKernel(backend, 'Transpose', {x}, {perm: toLast}));
  try {
    return compute(...turned);
  } finally {
    for (const copy of turned) backend.disposeIntermediateTensorInfo(copy);
  }
}

/** A result in NHWC order, turned back. */
function turnedBack(backend: Backend, result: tf.TensorInfo): tf.TensorInfo {
  const images = runKernel(backend, 'Transpose', {x: result}, {perm: toFirst});
  backend.disposeIntermediateTensorInfo(result);
  return images;
}

export function convolveChannelsFirst({inputs, backend, attrs}: Call<'x' | 'filter', ConvolutionAttributes>) {
  const {x, filter} = inputs;
  const convolved = onChannelsLast(backend, [x], (images) =>
    runKernel(backend, 'Conv2D', {x: images, filter}, channelsLast(attrs)),
  );
  return turnedBack(backend, convolved);
}

/** A list of one value per channel, as tfjs' fused convolution of NCHW images lets it meet them. */
function perChannel(values: tf.TensorInfo | undefined): tf.TensorInfo | undefined {
  const isList = values?.shape.length === 1 && values.shape[0] !== 1;
  return isList ? {...values, shape: [values.shape[0], 1, 1]} : values;
}

export function fusedChannelsFirst(call: Call<'x' | 'filter', ConvolutionAttributes & FusedAttributes>) {
  const {bias, preluActivationWeights} = call.inputs as FusedInputs;
  const {activation: _, leakyreluAlpha: __, ...attrs} = call.attrs;
  const done = {params: {activation: 'linear', alpha: 0, biased: 0 as const}, bias: noValues};
  const left = {bias: perChannel(bias), preluActivationWeights: perChannel(preluActivationWeights)};
  return finishFused(call.backend, convolveChannelsFirst({...call, attrs}), done, left, call.attrs);
}

export function filterGradientChannelsFirst({
  inputs,
  backend,
  attrs,
}: Call<'x' | 'dy', ConvolutionAttributes & {filterShape: number[]}>): tf.TensorInfo {
  return onChannelsLast(backend, [inputs.x, inputs.dy], (x, dy) =>
    runKernel(backend, 'Conv2DBackpropFilter', {x, dy}, channelsLast(attrs)),
  );
}

export function inputGradientChannelsFirst({
  inputs,
  backend,
  attrs,
}: Call<'dy' | 'filter', ConvolutionAttributes & {inputShape: number[]}>): tf.TensorInfo {
  const {filter} = inputs;
  const inputShape = ordered(attrs.inputShape, toLast);
  const gradient = onChannelsLast(backend, [inputs.dy], (dy) =>
    runKernel(backend, 'Conv2DBackpropInput', {dy, filter}, {...channelsLast(attrs), inputShape}),
  );
  return turnedBack(backend, gradient);
}
