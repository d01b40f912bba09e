/** Rows of the backend's table: reductions over axes, and what normalises with them. */
import {choice, type OperationSpec, read, scalar, size, write} from './spec.js';

/** Axes of a tensor, outermost first, kept and reduced in turn. */
const layout = {
  kept0: size('results'),
  reduced0: size('elements'),
  kept1: size('results'),
  reduced1: size('elements'),
  kept2: size('results'),
  reduced2: size('elements'),
  kept3: size('results'),
} as const;
const all = Object.keys(layout);
const kept = all.filter((name) => name.startsWith('kept'));
const product: OperationSpec['flops'] = (s) => all.reduce((count, name) => count * s[name], 1);

export const reductionTable = {
  reduce: {
    does: 'sums, means, products, maxima or minima over every second axis',
    params: {op: choice('sum', 'mean', 'product', 'maximum', 'minimum'), ...layout},
    buffers: {x: read(...all), y: write(...kept)},
    flops: product,
  },
  reduce_booleans: {
    does: 'whether all or any are true over every second axis',
    params: {op: choice('all', 'any'), ...layout},
    buffers: {x: {access: 'read', dtype: 'u8', length: all}, y: {access: 'write', dtype: 'u8', length: kept}},
    flops: product,
  },
  arg_reduce: {
    does: 'index of the first maximum or minimum along an axis',
    params: {
      op: choice('maximum', 'minimum'),
      outer: size('results'),
      reduced: size('elements'),
      inner: size('results'),
    },
    buffers: {x: read('outer', 'reduced', 'inner'), y: {access: 'write', dtype: 'i32', length: ['outer', 'inner']}},
    flops: (s) => s.outer * s.reduced * s.inner,
  },
  softmax: {
    does: 'y = e^(x - max x) / sum e^(x - max x), row by row',
    params: {rows: size('rows'), columns: size('columns')},
    buffers: {x: read('rows', 'columns'), y: write('rows', 'columns')},
    flops: (s) => 4 * s.rows * s.columns,
  },
  batch_norm: {
    does: 'y = offset + (x - mean) scale / sqrt(variance + epsilon), each operand repeated to the length of x',
    params: {
      size: size('elements'),
      meanSize: size('means'),
      varianceSize: size('variances'),
      scaleSize: size('scales'),
      offsetSize: size('offsets'),
      epsilon: scalar('added to the variance'),
    },
    buffers: {
      x: read('size'),
      mean: read('meanSize'),
      variance: read('varianceSize'),
      scale: read('scaleSize'),
      offset: read('offsetSize'),
      y: write('size'),
    },
    flops: (s) => 2 * s.size,
  },
} as const satisfies Record<string, OperationSpec>;
