/** Rows of the backend's table: convolution of volumes. */
import type {KernelSpec} from '../../kernels/table.js';
import {type OperationSpec, read, size, step, write} from './spec.js';

const geometry = {
  samples: size('samples'),
  inDepth: size('pixels'),
  inHeight: size('pixels'),
  inWidth: size('pixels'),
  inChannels: size('channels'),
  filterDepth: size('pixels'),
  filterHeight: size('pixels'),
  filterWidth: size('pixels'),
  outDepth: size('pixels'),
  outHeight: size('pixels'),
  outWidth: size('pixels'),
  outChannels: size('channels'),
  strideDepth: size('pixels'),
  strideHeight: size('pixels'),
  strideWidth: size('pixels'),
  dilationDepth: size('pixels'),
  dilationHeight: size('pixels'),
  dilationWidth: size('pixels'),
  // 'same' padding of tfjs passes over the first pixels where a stride is longer than the filter: less than none.
  padFront: step('pixels'),
  padTop: step('pixels'),
  padLeft: step('pixels'),
} as const;
const volumes = ['samples', 'inDepth', 'inHeight', 'inWidth', 'inChannels'];
const filter = ['filterDepth', 'filterHeight', 'filterWidth', 'inChannels', 'outChannels'];
const results = ['samples', 'outDepth', 'outHeight', 'outWidth', 'outChannels'];
const flops: KernelSpec['flops'] = (s) =>
  2 *
  (s.samples * s.outDepth * s.outHeight * s.outWidth) *
  (s.filterDepth * s.filterHeight * s.filterWidth * s.inChannels * s.outChannels);

export const volumesTable = {
  conv3d: {
    does: 'convolution of NDHWC volumes',
    params: geometry,
    buffers: {volumes: read(...volumes), filter: read(...filter), results: write(...results)},
    flops,
  },
  conv3d_input: {
    does: 'gradient of conv3d with respect to its volumes',
    params: geometry,
    buffers: {deltas: read(...results), filter: read(...filter), gradient: write(...volumes)},
    flops,
  },
} as const satisfies Record<string, OperationSpec>;
