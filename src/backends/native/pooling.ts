/** Maximum and mean over windows of images and volumes, and their gradients. */
import * as tf from '@tensorflow/tfjs-core';
import {flatDepth} from '../../kernels/table.js';
import {depthOf, planeOf} from '../windows.js';
import {type Call, kernel, type NativeKernel, result, runCpuKernel, sharing, valuesOf} from './tensors.js';

interface PoolAttributes {
  filterSize: number[] | number;
  strides: number[] | number;
  pad: 'valid' | 'same' | number | tf.backend_util.ExplicitPadding;
  dimRoundingMode?: 'floor' | 'round' | 'ceil';
  dataFormat?: 'NDHWC' | 'NCDHW';
}

/** How a kernel differs from its like: both kinds of pooling in two and three dimensions. */
interface Pooling {
  kernelName: string;
  operation: 'max' | 'avg';
  volumes: boolean;
}

type Pair = [number, number];
type Triple = [number, number, number];

/** The windows as the addon's parameters, or null for what it does not do. */
function poolOf(shape: number[], volumes: boolean, attrs: PoolAttributes, rounding: PoolAttributes['dimRoundingMode']) {
  const {filterSize, strides, pad} = attrs;
  const {computePool2DInfo, computePool3DInfo} = tf.backend_util;
  let depth: ReturnType<typeof depthOf> = flatDepth;
  let info: ReturnType<typeof computePool2DInfo> | ReturnType<typeof computePool3DInfo>;
  if (volumes) {
    const volume = shape as [number, number, number, number, number];
    const found = computePool3DInfo(volume, filterSize as Triple, strides as Triple, 1, pad as 'same', rounding);
    depth = depthOf(found);
    info = found;
  } else {
    const image = shape as [number, number, number, number];
    info = computePool2DInfo(image, filterSize as Pair, strides as Pair, 1, pad, rounding);
  }
  const pixels = depth.inDepth * info.inHeight * info.inWidth;
  // The addon numbers the pixels of an image with 32 bits.
  if (Math.min(depth.outDepth, info.outHeight, info.outWidth) < 0 || pixels >= 2 ** 31) return null;
  const plane = {...planeOf(info), channels: info.inChannels};
  return {plane, depth, outShape: info.outShape as number[]};
}

function pool({kernelName, operation, volumes}: Pooling, call: Call<'x', PoolAttributes>): tf.TensorInfo {
  const {inputs, backend, attrs} = call;
  const {x} = inputs;
  const known = x.dtype === 'float32' && attrs.dataFormat !== 'NCDHW';
  const found = known ? poolOf(x.shape, volumes, attrs, attrs.dimRoundingMode) : null;
  if (!found) return runCpuKernel(kernelName, call);
  const {plane, depth, outShape} = found;
  // Windows of one pixel each are the images themselves, NaN included; not so the volumes, as in cpu.
  const trivial = !volumes && plane.filterHeight === 1 && plane.filterWidth === 1;
  if (trivial && tf.util.arraysEqual(outShape, x.shape)) return sharing(backend, x, x.shape);
  const values = [valuesOf(backend, x)];
  if (operation === 'max') return result(backend, outShape, 'max_pool', [plane, depth], values);
  // The mean of no pixel is NaN in images and 0 in volumes, as in cpu.
  return result(backend, outShape, 'avg_pool', [plane, depth, {leastPixels: volumes ? 1 : 0}], values);
}

function gradient({kernelName, operation, volumes}: Pooling, call: Call<'dy' | 'input', PoolAttributes>) {
  const {inputs, backend, attrs} = call;
  const {dy, input} = inputs;
  // As in cpu: the gradients know no format, and the one of means of images no rounding.
  const rounding = operation === 'avg' && !volumes ? undefined : attrs.dimRoundingMode;
  const floats = dy.dtype === 'float32' && input.dtype === 'float32';
  const found = floats ? poolOf(input.shape, volumes, attrs, rounding) : null;
  if (!found || !tf.util.arraysEqual(found.outShape, dy.shape)) return runCpuKernel(kernelName, call);
  const {plane, depth} = found;
  const deltas = valuesOf(backend, dy);
  if (operation === 'avg') return result(backend, input.shape, 'avg_pool_gradient', [plane, depth], [deltas]);
  const params = [plane, depth, {tie: volumes ? 'last' : 'first'}];
  return result(backend, input.shape, 'max_pool_gradient', params, [valuesOf(backend, input), deltas]);
}

export const poolKernels: NativeKernel[] = (['max', 'avg'] as const).flatMap((operation) =>
  [false, true].flatMap((volumes) => {
    const kernelName = `${operation === 'max' ? 'MaxPool' : 'AvgPool'}${volumes ? '3D' : ''}`;
    const forwards = {operation, volumes, kernelName};
    const backwards = {operation, volumes, kernelName: `${kernelName}Grad`};
    return [
      kernel(forwards.kernelName, (call: Parameters<typeof pool>[1]) => pool(forwards, call)),
      kernel(backwards.kernelName, (call: Parameters<typeof gradient>[1]) => gradient(backwards, call)),
    ];
  }),
);
