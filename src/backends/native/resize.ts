/** NHWC images in another size, and the gradients. */
import type * as tf from '@tensorflow/tfjs-core';
import type {Operation} from './table.js';
import {type Call, kernel, type NativeKernel, result, runCpuKernel, valuesOf} from './tensors.js';

interface Attributes {
  alignCorners: boolean;
  halfPixelCenters?: boolean;
  size: [number, number];
}

/** The parameters for images of one shape and their resized form, or null for what the addon does not do. */
function sizesOf(shape: number[], outHeight: number, outWidth: number, {alignCorners}: Attributes, x: tf.TensorInfo[]) {
  const [samples, inHeight, inWidth, channels] = shape;
  if (x.some(({dtype}) => dtype !== 'float32') || inHeight * inWidth === 0) return null;
  return {samples, inHeight, inWidth, outHeight, outWidth, channels, alignCorners: alignCorners ? 1 : 0};
}

function resize(kernelName: string, operation: Operation, call: Call<'images', Attributes>): tf.TensorInfo {
  const {inputs, backend, attrs} = call;
  const {images} = inputs;
  const [height, width] = attrs.size;
  const sizes = sizesOf(images.shape, height, width, attrs, [images]);
  if (!sizes) return runCpuKernel(kernelName, call);
  const params = {...sizes, halfPixels: attrs.halfPixelCenters ? 1 : 0};
  const shape = [sizes.samples, height, width, sizes.channels];
  return result(backend, shape, operation, params, [valuesOf(backend, images)]);
}

function gradient(kernelName: string, operation: Operation, call: Call<'images' | 'dy', Attributes>): tf.TensorInfo {
  const {inputs, backend, attrs} = call;
  const {images, dy} = inputs;
  const sizes = sizesOf(images.shape, dy.shape[1], dy.shape[2], attrs, [images, dy]);
  if (!sizes) return runCpuKernel(kernelName, call);
  // cpu exchanges height and width of the bilinear gradient's shape, and takes the deltas of later images from elsewhere.
  return result(backend, images.shape, operation, sizes, [valuesOf(backend, dy)]);
}

export const resizeKernels: NativeKernel[] = (['bilinear', 'nearest'] as const).flatMap((way) => {
  const kernelName = way === 'bilinear' ? 'ResizeBilinear' : 'ResizeNearestNeighbor';
  const gradientName = `${kernelName}Grad`;
  return [
    kernel(kernelName, (call: Parameters<typeof resize>[2]) => resize(kernelName, `resize_${way}`, call)),
    kernel(gradientName, (call: Parameters<typeof gradient>[2]) =>
      gradient(gradientName, `resize_${way}_gradient`, call),
    ),
  ];
});
