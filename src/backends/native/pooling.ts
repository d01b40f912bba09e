/** MaxPool and MaxPoolGrad on the addon. */
import * as tf from '@tensorflow/tfjs-core';
import {type Call, kernel, type NativeKernel, result, runCpuKernel, valuesOf} from './tensors.js';

interface PoolAttributes {
  filterSize: [number, number] | number;
  strides: [number, number] | number;
  pad: 'valid' | 'same' | number | tf.backend_util.ExplicitPadding;
  dimRoundingMode?: 'floor' | 'round' | 'ceil';
}

/** The windows as the addon's parameters, or null for what it does not do. */
function poolOf(shape: number[], {filterSize, strides, pad, dimRoundingMode}: PoolAttributes) {
  const image = shape as [number, number, number, number];
  const info = tf.backend_util.computePool2DInfo(image, filterSize, strides, 1, pad, dimRoundingMode);
  // The addon numbers the pixels of an image with 32 bits.
  if (info.outHeight < 0 || info.outWidth < 0 || info.inHeight * info.inWidth >= 2 ** 31) return null;
  const params = {
    samples: info.batchSize,
    inHeight: info.inHeight,
    inWidth: info.inWidth,
    filterHeight: info.filterHeight,
    filterWidth: info.filterWidth,
    outHeight: info.outHeight,
    outWidth: info.outWidth,
    strideHeight: info.strideHeight,
    strideWidth: info.strideWidth,
    dilationHeight: info.dilationHeight,
    dilationWidth: info.dilationWidth,
    padTop: info.padInfo.top,
    padLeft: info.padInfo.left,
    channels: info.inChannels,
  };
  return {params, outShape: info.outShape};
}

function maxPool(call: Call<'x', PoolAttributes>): tf.TensorInfo {
  const {inputs, backend, attrs} = call;
  const pool = inputs.x.dtype === 'float32' ? poolOf(inputs.x.shape, attrs) : null;
  // Windows of one pixel each are the images themselves, NaN included.
  const trivial = pool?.params.filterHeight === 1 && pool.params.filterWidth === 1;
  if (!pool || trivial) return runCpuKernel('MaxPool', call);
  return result(backend, pool.outShape, 'max_pool', pool.params, [valuesOf(backend, inputs.x)]);
}

function maxPoolGrad(call: Call<'dy' | 'input' | 'output', PoolAttributes>): tf.TensorInfo {
  const {inputs, backend, attrs} = call;
  const {dy, input} = inputs;
  const pool = input.dtype === 'float32' && dy.dtype === 'float32' ? poolOf(input.shape, attrs) : null;
  if (!pool) return runCpuKernel('MaxPoolGrad', call);
  const buffers = [valuesOf(backend, input), valuesOf(backend, dy)];
  return result(backend, input.shape, 'max_pool_gradient', pool.params, buffers);
}

export const poolKernels: NativeKernel[] = [kernel('MaxPool', maxPool), kernel('MaxPoolGrad', maxPoolGrad)];
