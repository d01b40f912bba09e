/**
 * What every engine for tensors offers.
 *
 * The rule of ownership is in the types: inputs are tensors (read, never written); what is updated in place is a
 * {@link Cell}, memory that Engram allocated and shows to nobody; results are fresh tensors. tfjs' slice, split, clone
 * and `dataSync()` share memory, so writing into a tensor could change data that a user still holds.
 */
import type * as tf from '@tensorflow/tfjs-core';
import type {EngineName} from './engine.js';
import type {Precision, PrecisionOption} from './precision.js';
import type {BufferName, KernelName, Params} from './table.js';

/** Engine-owned memory, zeroed at birth, updated in place, never visible to users. */
export interface Cell {
  readonly size: number;
  /** Copies the contents to the host. */
  read(): Promise<Float32Array | Uint32Array>;
  /** Frees the memory; a second call does nothing. */
  dispose(): void;
}

/** What may stand in for each buffer of a call. `write` buffers are made by the engine: name their shapes instead. */
export type TensorInputs<K extends KernelName> = {[B in BufferName<K, 'read'>]: tf.Tensor | Cell | null} & {
  [B in BufferName<K, 'read_write'>]: Cell | null;
};
export type TensorOutputs<K extends KernelName> = {[B in BufferName<K, 'write'>]: tf.Tensor};
export type OutputShapes<K extends KernelName> = {[B in BufferName<K, 'write'>]: number[]};

/** What a step reads besides the variable, and its slots. */
export type StepInputs = Omit<TensorInputs<'penalized_step'>, 'theta'>;

/** Runs kernels on tensors of one backend. */
export interface TensorEngine {
  readonly name: EngineName;
  /** Allocates `size` zeroed elements. */
  cell(size: number, dtype?: 'f32' | 'u32'): Cell;
  /** Allocates a cell that starts as a copy of `values`: state that comes back from a file. */
  cellOf(values: Float32Array): Cell;
  /**
   * Sees to it that the values outlive a lost device. What lives on the host does already.
   *
   * @param tensors whose values nobody will change
   */
  keepOnHost(tensors: readonly tf.Tensor[]): Promise<void>;
  /**
   * Runs one kernel and returns its `write` buffers as new tensors, tracked by the surrounding `tf.tidy` if any.
   * `null` stands for a buffer of length 0. Asynchronous on a GPU: nothing is read back.
   *
   * @param options.precision of the products of `grad_moment`; all other kernels compute in f32. Default `f32`
   * @throws EngramError ARGUMENT, SHAPE, DTYPE, DISPOSED, BACKEND or DEVICE, before anything is changed
   */
  run<K extends KernelName>(
    kernel: K,
    params: Params<K>,
    inputs: TensorInputs<K>,
    outputs: OutputShapes<K>,
    options?: PrecisionOption,
  ): TensorOutputs<K>;
  /**
   * Runs `penalized_step` and makes its result the value of the variable: in the variable's own memory where nothing else
   * can see that, in fresh memory otherwise.
   *
   * @throws EngramError as {@link run}
   */
  step(params: Params<'penalized_step'>, variable: tf.Variable, inputs: StepInputs): void;
  /** @throws EngramError ARGUMENT for what is no precision; BACKEND or DEVICE for one that this engine cannot compute in */
  checkPrecision(precision: Precision): void;
}
