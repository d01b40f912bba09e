/** A run between two tasks: what it reached so far, and what it needs to go on. */
import type {MethodState} from '../methods/method.js';
import type {AccuracyMatrix} from '../scenarios/metrics.js';

/** Wall time in seconds, summed over tasks. */
export interface Seconds {
  readonly training: number;
  /** What the method did between tasks: importance, recorded answers, autoencoders. */
  readonly method: number;
  readonly testing: number;
}

/** A run between two tasks: all that is needed to go on with it elsewhere. */
export interface Checkpoint {
  /** One row for each task learned. */
  readonly accuracy: AccuracyMatrix;
  /** The same class by class: `[learned][task][class of the task]`. */
  readonly classAccuracy: readonly (readonly (readonly number[])[])[];
  /** Accuracy of the network before it learned anything, on every task. */
  readonly initial: readonly number[];
  readonly seconds: Seconds;
  /** Bytes that the method holds between tasks beside the network. */
  readonly bytes: number;
  /** Weights by variable name. */
  readonly weights: MethodState['tensors'];
  readonly method: MethodState;
}

/** What a run reached. */
export type SequenceResult = Pick<Checkpoint, 'accuracy' | 'classAccuracy' | 'initial' | 'seconds' | 'bytes'>;
