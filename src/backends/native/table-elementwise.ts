/** Rows of the backend's table: what is done to each element by itself. */
import {choice, flag, type OperationSpec, read, scalar, size, step, write} from './spec.js';

const axes = [0, 1, 2, 3, 4, 5] as const;
const named = <P extends string>(prefix: P) => axes.map((k) => `${prefix}${k}`);

/** Six axes of a result, and the steps of two operands along them: 0 where an operand is repeated. */
const walks = {
  count0: size('elements'),
  count1: size('elements'),
  count2: size('elements'),
  count3: size('elements'),
  count4: size('elements'),
  count5: size('elements'),
  aStep0: step('elements'),
  aStep1: step('elements'),
  aStep2: step('elements'),
  aStep3: step('elements'),
  aStep4: step('elements'),
  aStep5: step('elements'),
  bStep0: step('elements'),
  bStep1: step('elements'),
  bStep2: step('elements'),
  bStep3: step('elements'),
  bStep4: step('elements'),
  bStep5: step('elements'),
  aSize: size('elements of a'),
  bSize: size('elements of b'),
} as const;
const counts = named('count');
const reaches = [
  {buffer: 'a', counts, steps: named('aStep')},
  {buffer: 'b', counts, steps: named('bStep')},
];
const booleans = (access: 'read' | 'write', ...length: string[]) => ({access, dtype: 'u8', length}) as const;
const elements: OperationSpec['flops'] = (s) => counts.reduce((product, name) => product * s[name], 1);

export const elementwiseTable = {
  unary: {
    does: 'y[i] = op(x[i])',
    params: {
      op: choice(
        'abs',
        'acos',
        'acosh',
        'asin',
        'asinh',
        'atan',
        'atanh',
        'ceil',
        'clip',
        'cos',
        'cosh',
        'elu',
        'erf',
        'exp',
        'expm1',
        'floor',
        'leakyrelu',
        'log',
        'log1p',
        'neg',
        'reciprocal',
        'relu',
        'relu6',
        'round',
        'rsqrt',
        'selu',
        'sigmoid',
        'sign',
        'sin',
        'sinh',
        'softplus',
        'sqrt',
        'square',
        'step',
        'tan',
        'tanh',
      ),
      size: size('elements'),
      alpha: scalar('slope of leakyrelu, step of what is not positive, lower end of clip'),
      beta: scalar('upper end of clip'),
    },
    buffers: {x: read('size'), y: write('size')},
    flops: (s) => s.size,
  },
  classify: {
    does: 'y[i] = whether x[i] is finite, infinite or not a number',
    params: {op: choice('finite', 'infinite', 'nan'), size: size('elements')},
    buffers: {x: read('size'), y: booleans('write', 'size')},
    flops: (s) => s.size,
  },
  binary: {
    does: 'c = op(a, b) with broadcasting',
    params: {
      op: choice(
        'add',
        'sub',
        'multiply',
        'divide',
        'maximum',
        'minimum',
        'pow',
        'squaredDifference',
        'mod',
        'atan2',
        'prelu',
        'eluGradient',
      ),
      ...walks,
    },
    buffers: {a: read('aSize'), b: read('bSize'), c: write(...counts)},
    reaches,
    flops: elements,
  },
  floor_divide: {
    does: 'c = floor(a / b) as an integer, with broadcasting',
    params: walks,
    buffers: {a: read('aSize'), b: read('bSize'), c: {access: 'write', dtype: 'i32', length: counts}},
    reaches,
    flops: elements,
  },
  compare: {
    does: 'c = whether a and b compare so, with broadcasting',
    params: {op: choice('equal', 'notEqual', 'less', 'lessEqual', 'greater', 'greaterEqual'), ...walks},
    buffers: {a: read('aSize'), b: read('bSize'), c: booleans('write', ...counts)},
    reaches,
    flops: elements,
  },
  logical: {
    does: 'c = a and b, or a or b, with broadcasting',
    params: {op: choice('conjunction', 'disjunction'), ...walks},
    buffers: {a: booleans('read', 'aSize'), b: booleans('read', 'bSize'), c: booleans('write', ...counts)},
    reaches,
    flops: elements,
  },
  logical_not: {
    does: 'y[i] = not x[i]',
    params: {size: size('elements')},
    buffers: {x: booleans('read', 'size'), y: booleans('write', 'size')},
    flops: (s) => s.size,
  },
  select: {
    does: 'row i of chosen where condition[i] is 1, else of other',
    params: {rows: size('conditions'), columns: size('elements for each condition')},
    buffers: {
      condition: booleans('read', 'rows'),
      chosen: read('rows', 'columns'),
      other: read('rows', 'columns'),
      result: write('rows', 'columns'),
    },
    flops: (s) => s.rows * s.columns,
  },
  accumulate: {
    does: 'sum[i] += x[i], from 0 where x is the first',
    params: {size: size('elements'), first: flag},
    buffers: {x: read('size'), sum: {access: 'read_write', dtype: 'f32', length: ['size']}},
    flops: (s) => s.size,
  },
  prelu_rows: {
    does: 'PReLU of the rows of a matrix, in place; the rows of slopes are repeated',
    params: {rows: size('rows'), columns: size('columns'), slopeRows: size('rows of slopes')},
    buffers: {
      slopes: read('slopeRows', 'columns'),
      values: {access: 'read_write', dtype: 'f32', length: ['rows', 'columns']},
    },
    flops: (s) => s.rows * s.columns,
  },
} as const satisfies Record<string, OperationSpec>;
