/** Rows of the backend's table: what is moved and not computed with. */
import {type OperationSpec, size, step} from './spec.js';

/** Axes of a walk, outermost first. */
export const walkAxes = [0, 1, 2, 3, 4, 5] as const;
const each = <const P extends string>(prefix: P) => walkAxes.map((k) => `${prefix}${k}` as const);
const params = <const P extends string, S>(prefix: P, spec: S) =>
  Object.fromEntries(each(prefix).map((name) => [name, spec])) as Record<`${P}${(typeof walkAxes)[number]}`, S>;

export const movementTable = {
  copy: {
    does: 'moves the words of one walk to the places of another; other places keep what they have',
    params: {
      ...params('count', size('elements')),
      ...params('from', step('elements')),
      ...params('to', step('elements')),
      fromStart: size('elements'),
      toStart: size('elements'),
      fromSize: size('elements'),
      toSize: size('elements'),
    },
    buffers: {
      from: {access: 'read', dtype: 'x32', length: ['fromSize']},
      to: {access: 'read_write', dtype: 'x32', length: ['toSize']},
    },
    reaches: [
      {buffer: 'from', start: 'fromStart', counts: each('count'), steps: each('from')},
      {buffer: 'to', start: 'toStart', counts: each('count'), steps: each('to')},
    ],
    flops: (s) => walkAxes.reduce<number>((product, k) => product * s[`count${k}`], 1),
  },
  gather_rows: {
    does: 'rows of tables, picked by number; a number beyond the table gives zeros',
    params: {
      batches: size('lists of numbers'),
      outer: size('tables a list'),
      rows: size('rows of a table'),
      picks: size('numbers of a list'),
      length: size('elements of a row'),
    },
    buffers: {
      from: {access: 'read', dtype: 'x32', length: ['batches', 'outer', 'rows', 'length']},
      ids: {access: 'read', dtype: 'i32', length: ['batches', 'picks']},
      to: {access: 'write', dtype: 'x32', length: ['batches', 'outer', 'picks', 'length']},
    },
    flops: (s) => s.batches * s.outer * s.picks * s.length,
  },
  scatter_rows: {
    does: 'writes rows by number, in order; numbers beyond the table write nothing',
    params: {rows: size('rows'), picks: size('numbers'), length: size('elements of a row')},
    buffers: {
      ids: {access: 'read', dtype: 'i32', length: ['picks']},
      updates: {access: 'read', dtype: 'x32', length: ['picks', 'length']},
      to: {access: 'read_write', dtype: 'x32', length: ['rows', 'length']},
    },
    flops: (s) => s.picks * s.length,
  },
} as const satisfies Record<string, OperationSpec>;
