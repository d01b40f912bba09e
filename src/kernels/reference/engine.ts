/** The reference engine: runs the plain-loop kernels. Used where there is neither addon nor GPU, and as truth in tests. */
import {EngramError} from '../../errors.js';
import {checkCall} from '../check.js';
import type {Buffers, Engine, HostInput} from '../engine.js';
import {type KernelName, type Params, row} from '../table.js';
import type {Body} from './body.js';
import {count_nonfinite} from './count_nonfinite.js';
import {fold} from './fold.js';
import {grad_moment} from './grad_moment.js';
import {grad_moment_dense} from './grad_moment_dense.js';
import {grad_moment_depthwise} from './grad_moment_depthwise.js';
import {grad_moment_gather} from './grad_moment_gather.js';
import {grad_moment_sum} from './grad_moment_sum.js';
import {merge} from './merge.js';
import {output_norm} from './output_norm.js';
import {penalized_step} from './penalized_step.js';
import {penalty_value} from './penalty_value.js';

/** The reference body of every kernel in the table. */
export const bodies: {[K in KernelName]: Body<K>} = {
  grad_moment,
  grad_moment_dense,
  grad_moment_sum,
  grad_moment_depthwise,
  grad_moment_gather,
  output_norm,
  count_nonfinite,
  fold,
  merge,
  penalized_step,
  penalty_value,
};

const arrayTypes = {f32: Float32Array, u32: Uint32Array, i32: Int32Array};

export const referenceEngine: Engine<HostInput> = {
  name: 'reference',
  run<K extends KernelName>(kernel: K, params: Params<K>, buffers: Buffers<K, HostInput>): void {
    const lengths: Record<string, number> = {};
    for (const [name, spec] of Object.entries(row(kernel).buffers)) {
      const array = (buffers as Record<string, HostInput>)[name];
      const wanted = arrayTypes[spec.dtype];
      if (!(array instanceof wanted)) {
        throw new EngramError('DTYPE', {
          expected: `${kernel}.${name} to be a ${wanted.name}`,
          received: array === undefined ? 'nothing' : Object.prototype.toString.call(array).slice(8, -1),
          remedy: 'Convert the data first; Engram computes in 32-bit floats.',
        });
      }
      lengths[name] = array.length;
    }
    checkCall(kernel, params, lengths);
    (bodies[kernel] as Body<K>)(params, buffers);
  },
};
