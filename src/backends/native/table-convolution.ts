/** Rows of the backend's table: matrix products and convolutions. */
import type {KernelSpec} from '../../kernels/table.js';
import {choice, flag, type OperationSpec, read, scalar, size, write} from './spec.js';

/** What the addon can apply while the result is in the cache; other activations follow as kernels of their own. */
export const activation = choice('linear', 'relu', 'relu6', 'leakyrelu', 'elu', 'sigmoid');
export const alpha = scalar('slope of leakyrelu');

export const geometry = {
  samples: size('samples'),
  inHeight: size('pixels'),
  inWidth: size('pixels'),
  inChannels: size('channels'),
  filterHeight: size('pixels'),
  filterWidth: size('pixels'),
  outHeight: size('pixels'),
  outWidth: size('pixels'),
  outChannels: size('channels'),
  strideHeight: size('pixels'),
  strideWidth: size('pixels'),
  dilationHeight: size('pixels'),
  dilationWidth: size('pixels'),
  padTop: size('pixels'),
  padLeft: size('pixels'),
} as const;
const images = ['samples', 'inHeight', 'inWidth', 'inChannels'];
const filter = ['filterHeight', 'filterWidth', 'inChannels', 'outChannels'];
const results = ['samples', 'outHeight', 'outWidth', 'outChannels'];
const convolutionFlops: KernelSpec['flops'] = (s) =>
  2 * s.samples * s.outHeight * s.outWidth * s.filterHeight * s.filterWidth * s.inChannels * s.outChannels;

export const convolutionTable = {
  matmul: {
    does: 'C = activation(A B + bias), either side transposed, a shorter batch repeated',
    params: {
      activation,
      batch: size('matrices'),
      batchA: size('matrices'),
      batchB: size('matrices'),
      rows: size('rows'),
      depth: size('terms'),
      columns: size('columns'),
      transposeA: flag,
      transposeB: flag,
      biased: flag,
      alpha,
    },
    buffers: {
      a: read('batchA', 'rows', 'depth'),
      b: read('batchB', 'depth', 'columns'),
      bias: read('biased', 'columns'),
      c: write('batch', 'rows', 'columns'),
    },
    flops: (s) => 2 * s.batch * s.rows * s.depth * s.columns,
  },
  conv2d: {
    does: 'convolution of NHWC images, then bias and activation',
    params: {activation, ...geometry, biased: flag, alpha},
    buffers: {
      images: read(...images),
      filter: read(...filter),
      bias: read('biased', 'outChannels'),
      results: write(...results),
    },
    flops: convolutionFlops,
  },
  conv2d_input: {
    does: 'gradient of conv2d with respect to its images',
    params: geometry,
    buffers: {deltas: read(...results), filter: read(...filter), gradient: write(...images)},
    flops: convolutionFlops,
  },
} as const satisfies Record<string, OperationSpec>;
