/** What every continual-learning method does: it has a say in the optimizer, in the loss, and between two tasks. */
import type * as tf from '@tensorflow/tfjs-core';
import type * as layers from '@tensorflow/tfjs-layers';

/** Some training samples of a task. Whoever made the tensors disposes them. */
export interface Batch {
  /** Inputs `[B, ...]`. */
  readonly x: tf.Tensor;
  /** One-hot targets `[B, outputs]` for the outputs of the task's network. */
  readonly y: tf.Tensor2D;
  /** `[B]`, place of each sample among the task's training samples. */
  readonly rows: Uint32Array;
}

/** A task as a method sees it, before and after it is learned. */
export interface LearningTask {
  /** Counted from 0. */
  readonly index: number;
  /** The network that learns it; its outputs `[B, outputs]` are logits. Its variables are those of all tasks' networks. */
  readonly network: layers.LayersModel;
  /** The network up to what its heads see: `[B, features]`. */
  readonly features: layers.LayersModel;
  /**
   * The networks that answer for what was learned before: one for each earlier head, or the one with all classes so far.
   * They share their variables with {@link network}. Empty for the first task.
   */
  readonly earlier: readonly layers.LayersModel[];
  /** Number of training samples. */
  readonly count: number;
  /** All training samples in order. A batch lives until the next one is asked for. */
  samples(batchSize?: number): AsyncIterable<Batch>;
  /** The inputs on which importance is measured, without labels; a batch lives until the next one is asked for. */
  unlabelled(batchSize?: number): AsyncIterable<tf.Tensor>;
  /** Decides whatever a method draws at random. */
  readonly seed: number;
  readonly signal?: AbortSignal | undefined;
}

/** Samples of a task that are learned again beside the present one. */
export interface Rehearsal {
  /** Which task, counted from 0. */
  readonly task: number;
  /** Places among its training samples. */
  readonly rows: Uint32Array;
}

/** What a method must know to go on in another process, in float arrays by name and in JSON. */
export interface MethodState {
  readonly tensors: ReadonlyMap<string, {readonly shape: readonly number[]; readonly values: Float32Array}>;
  readonly json?: unknown;
}

/** A way to learn task after task. One object serves one sequence. */
export interface Method {
  /** Called once per task with a fresh optimizer; returns the one to train with. */
  optimizer(base: tf.Optimizer): tf.Optimizer;
  /** `all`: every task is learned together with all tasks before it. Default `own`. */
  readonly trainsOn?: 'own' | 'all';
  /** Called before the first step of a task. */
  beforeTask?(task: LearningTask): Promise<void>;
  /** Added to the loss of a batch of the present task. Called under a gradient tape, in a tidy. */
  batchLoss?(batch: Batch, task: LearningTask): tf.Scalar;
  /** Samples of earlier tasks that are learned in the same step; `step` counts the steps of the task from 0. */
  rehearse?(task: LearningTask, step: number): readonly Rehearsal[];
  /** Called after the last step of a task. */
  afterTask?(task: LearningTask): Promise<void>;
  /** Values by variable name with which the network is tested in place of those that it was trained to. */
  testValues?(): ReadonlyMap<string, tf.Tensor>;
  /** Samples of earlier tasks that it keeps, for the account of its memory. Default 0. */
  readonly heldSamples?: number;
  /** All that {@link restore} needs, between two tasks. */
  state?(): Promise<MethodState>;
  /**
   * Takes over the state of such a method with the same settings.
   *
   * @throws EngramError DATA_FILE for a state that lacks something
   */
  restore?(state: MethodState): void;
  /** Frees all tensors; a second call does nothing. */
  dispose(): void;
}
