/** What a batch leaves behind: for every variable the operands of kernel calls, or why it needs batches of one. */
import * as tf from '@tensorflow/tfjs-core';
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

/**
 * Several calls, each for some of the samples, of a variable whose uses do not fit one: per-sample gradients of a chunk
 * of samples are added up over all uses before phi. How many fit is decided by memory.
 */
export interface ChunkedRecord {
  readonly kernel: 'chunks';
  readonly samples: number;
  /** At most so many samples a call. */
  readonly samplesPerChunk: number;
  /** The operands of samples `from` to `from + count - 1`; tensors of the current scope. */
  chunk(from: number, count: number): OperandRecord;
  /** Operands of all uses, [B, ...] each: what {@link chunk} works on. */
  readonly uses: readonly UseOperands[];
  readonly rule: string;
}

/** What a certificate looks at: A and D of all samples. */
export interface UseOperands {
  readonly activations: tf.Tensor | null;
  readonly deltas: tf.Tensor;
}

export type VariableRecord = OperandRecord | ChunkedRecord;

/** Calls `run` with the operands of every kernel call that a record stands for. They are the record's: not to keep. */
export function eachCall(record: VariableRecord, run: (operand: OperandRecord) => void): void {
  if (record.kernel !== 'chunks') {
    run(record);
    return;
  }
  for (let from = 0; from < record.samples; from += record.samplesPerChunk) {
    const count = Math.min(record.samplesPerChunk, record.samples - from);
    tf.tidy(() => run(record.chunk(from, count)));
  }
}

/** The tensors that a record holds. */
export function usesOf(record: VariableRecord): readonly UseOperands[] {
  return record.kernel === 'chunks' ? record.uses : [record];
}

/** One batch, recorded. The tensors belong to the record: call `dispose()` when the kernels have been launched. */
export interface BatchRecord {
  /** B. */
  readonly samples: number;
  /** Of the seed's first function, and after {@link advance} of a later one, by variable name. */
  readonly operands: ReadonlyMap<string, VariableRecord>;
  /** Variables that need the batch-of-one loop, for all functions of the seed, and why. */
  readonly fallback: ReadonlyMap<string, string>;
  /** Variables that are not on the path to the chosen outputs: their gradient is no number, not 0. */
  readonly unreached: ReadonlySet<string>;
  /**
   * Walks back for the seed's next function, whose operands take the place of these; false if there is none.
   *
   * @throws whatever the seed and tfjs' gradient functions throw
   */
  advance(): boolean;
  dispose(): void;
}
