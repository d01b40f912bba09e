/** What a batch leaves behind: for every variable the operands of one kernel call, or why it needs batches of one. */
import type * as tf from '@tensorflow/tfjs-core';
import type {Params} from '../kernels/table.js';

/** The kernels that turn operands into moments of per-sample gradients. */
export type MomentKernel =
  | 'grad_moment'
  | 'grad_moment_dense'
  | 'grad_moment_sum'
  | 'grad_moment_depthwise'
  | 'grad_moment_gather';

interface Operand<K extends MomentKernel> {
  readonly kernel: K;
  /** All parameters of the kernel but phi, which the caller chooses. */
  readonly params: Omit<Params<K>, 'phi'>;
  /**
   * [B, L, ...] or, for convolutions, [B, uses, ...]: the kernel's `activations` buffer, `null` where that is empty. For
   * `grad_moment_gather` its `ids`, int32.
   */
  readonly activations: tf.Tensor | null;
  /** [B, L, ...] or [B, uses, ...]: the kernel's `deltas` buffer. */
  readonly deltas: tf.Tensor;
  /** The rule that found these operands, for reports. */
  readonly rule: string;
}

/** One kernel call that adds a batch to a variable's moment: the moment has the variable's size and layout. */
export type OperandRecord = {[K in MomentKernel]: Operand<K>}[MomentKernel];

/** One batch, recorded. The tensors belong to the record: call `dispose()` when the kernels have been launched. */
export interface BatchRecord {
  /** B. */
  readonly samples: number;
  /** By variable name. */
  readonly operands: ReadonlyMap<string, OperandRecord>;
  /** Variables that need the batch-of-one loop, and why. */
  readonly fallback: ReadonlyMap<string, string>;
  /** Variables that are not on the path to the chosen outputs: their gradient is no number, not 0. */
  readonly unreached: ReadonlySet<string>;
  dispose(): void;
}
