/** The reference engine: runs the plain-loop kernels. Used where there is neither addon nor GPU, and as truth in tests. */
import {runOnThread} from '#thread';
import {checkArrays} from '../check.js';
import type {Buffers, Engine, HostInput, RunOptions} from '../engine.js';
import {runOnShared, signalOf} from '../staging.js';
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

/** Plain loops with sums in 64 bits: the truth that the other engines are tested against. */
export const referenceEngine: Engine<HostInput> = {
  name: 'reference',
  run<K extends KernelName>(kernel: K, params: Params<K>, buffers: Buffers<K, HostInput>): void {
    checkArrays(kernel, params, buffers);
    (bodies[kernel] as Body<K>)(params, buffers);
  },
  async runAsync<K extends KernelName>(
    kernel: K,
    params: Params<K>,
    arrays: Buffers<K, HostInput>,
    options?: RunOptions,
  ): Promise<void> {
    const signal = signalOf(options);
    checkArrays(kernel, params, arrays);
    const names = Object.keys(row(kernel).buffers);
    const given = names.map((name) => (arrays as Record<string, HostInput>)[name]);
    const own = {...params};
    await runOnShared(kernel, given, signal, (shared) =>
      runOnThread(kernel, own, Object.fromEntries(names.map((name, i) => [name, shared[i]])), signal),
    );
  },
};
