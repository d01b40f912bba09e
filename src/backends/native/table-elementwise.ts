/** Rows of the backend's table: what is done to each element by itself. */
import {choice, type OperationSpec, read, scalar, size, write} from './spec.js';

export const elementwiseTable = {
  elementwise: {
    does: 'c[i] = a[i] (op) b[i mod period]; relu and step have no b, and a period of 0',
    params: {
      op: choice('add', 'multiply', 'relu', 'step'),
      size: size('elements'),
      period: size('elements of b'),
      alpha: scalar('step of what is not positive'),
    },
    buffers: {a: read('size'), b: read('period'), c: write('size')},
    flops: (s) => s.size,
  },
} as const satisfies Record<string, OperationSpec>;
