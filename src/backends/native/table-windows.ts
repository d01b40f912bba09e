/** Rows of the backend's table: windows slid over images channel by channel, and images in another size. */
import type {KernelSpec} from '../../kernels/table.js';
import {choice, flag, type OperationSpec, read, size, step, write} from './spec.js';
import {activation, alpha, geometry} from './table-convolution.js';

const {inChannels, outChannels: _, ...window} = geometry;
const depthwise = {...window, inChannels, multiplier: size('output channels of each input channel')} as const;
const images = ['samples', 'inHeight', 'inWidth', 'inChannels'];
const filter = ['filterHeight', 'filterWidth', 'inChannels', 'multiplier'];
const results = ['samples', 'outHeight', 'outWidth', 'inChannels', 'multiplier'];
const depthwiseFlops: KernelSpec['flops'] = (s) =>
  2 * s.samples * s.outHeight * s.outWidth * s.filterHeight * s.filterWidth * s.inChannels * s.multiplier;

/** Of volumes tfjs pads 'same' by less than nothing where a stride is longer than the filter. */
const pad = step('pixels');
const pooling = {
  ...window,
  padTop: pad,
  padLeft: pad,
  inDepth: size('pixels'),
  filterDepth: size('pixels'),
  outDepth: size('pixels'),
  strideDepth: size('pixels'),
  dilationDepth: size('pixels'),
  padFront: pad,
  channels: size('channels'),
} as const;
const pooled = {
  images: ['samples', 'inDepth', 'inHeight', 'inWidth', 'channels'],
  results: ['samples', 'outDepth', 'outHeight', 'outWidth', 'channels'],
};
const poolingFlops: KernelSpec['flops'] = (s) =>
  s.samples * s.outDepth * s.outHeight * s.outWidth * s.channels * (s.filterDepth * s.filterHeight * s.filterWidth);

const resizing = {
  samples: size('samples'),
  inHeight: size('pixels'),
  inWidth: size('pixels'),
  outHeight: size('pixels'),
  outWidth: size('pixels'),
  channels: size('channels'),
  alignCorners: flag,
} as const;
const resized = {
  images: ['samples', 'inHeight', 'inWidth', 'channels'],
  results: ['samples', 'outHeight', 'outWidth', 'channels'],
};
const resizingFlops: KernelSpec['flops'] = (s) => 6 * s.samples * s.outHeight * s.outWidth * s.channels;

export const windowsTable = {
  depthwise_conv2d: {
    does: 'depthwise convolution of NHWC images, then bias and activation',
    params: {activation, ...depthwise, biased: flag, alpha},
    buffers: {
      images: read(...images),
      filter: read(...filter),
      bias: read('biased', 'inChannels', 'multiplier'),
      results: write(...results),
    },
    flops: depthwiseFlops,
  },
  depthwise_conv2d_input: {
    does: 'gradient of depthwise_conv2d with respect to its images',
    params: depthwise,
    buffers: {deltas: read(...results), filter: read(...filter), gradient: write(...images)},
    flops: depthwiseFlops,
  },
  max_pool: {
    does: 'maximum over windows of NDHWC images; depth 1 for 2-D',
    params: pooling,
    buffers: {images: read(...pooled.images), results: write(...pooled.results)},
    flops: poolingFlops,
  },
  max_pool_gradient: {
    does: 'gradient of max_pool: to the first or the last pixel that has the maximum',
    params: {tie: choice('first', 'last'), ...pooling},
    buffers: {images: read(...pooled.images), deltas: read(...pooled.results), gradient: write(...pooled.images)},
    flops: poolingFlops,
  },
  avg_pool: {
    does: 'mean over the pixels of windows of NDHWC images; depth 1 for 2-D',
    params: {...pooling, leastPixels: size('pixels that a mean counts at least')},
    buffers: {images: read(...pooled.images), results: write(...pooled.results)},
    flops: poolingFlops,
  },
  avg_pool_gradient: {
    does: 'gradient of avg_pool',
    params: pooling,
    buffers: {deltas: read(...pooled.results), gradient: write(...pooled.images)},
    flops: poolingFlops,
  },
  resize_bilinear: {
    does: 'NHWC images in another size, interpolated',
    params: {...resizing, halfPixels: flag},
    buffers: {images: read(...resized.images), results: write(...resized.results)},
    flops: resizingFlops,
  },
  resize_bilinear_gradient: {
    does: 'gradient of resize_bilinear',
    params: resizing,
    buffers: {deltas: read(...resized.results), gradient: write(...resized.images)},
    flops: resizingFlops,
  },
  resize_nearest: {
    does: 'NHWC images in another size, each pixel from the nearest',
    params: {...resizing, halfPixels: flag},
    buffers: {images: read(...resized.images), results: write(...resized.results)},
    flops: resizingFlops,
  },
  resize_nearest_gradient: {
    does: 'gradient of resize_nearest',
    params: resizing,
    buffers: {deltas: read(...resized.results), gradient: write(...resized.images)},
    flops: resizingFlops,
  },
} as const satisfies Record<string, OperationSpec>;
