/** Learning without Forgetting (Li and Hoiem, ECCV 2016): new samples are answered as they were before. */
import * as tf from '@tensorflow/tfjs-core';
import {checkPositive, checkWeight} from './checks.js';
import {crossEntropy} from './cross-entropy.js';
import type {Batch, LearningTask, Method} from './method.js';
import {notRecorded, Recording} from './recording.js';

/** How strongly answers are kept. */
export interface LearningWithoutForgettingOptions {
  /** lambda_o, weight of the distillation loss beside the loss of the task. Default 1, as in the paper. */
  lambda?: number;
  /** T, which softens answers so that small probabilities count too. Default 2, as in the paper. */
  temperature?: number;
}

/**
 * Before a task is learned, the answers that the network gives to the new samples for all earlier tasks are recorded;
 * while it is learned, they are the targets of the old heads. No earlier sample is needed.
 *
 * Each head's answers are kept for the time of the task, `count * outputs` numbers. Nothing is held between two tasks,
 * so there is no state.
 */
export class LearningWithoutForgetting implements Method {
  private readonly lambda: number;
  private readonly temperature: number;
  private recording: Recording | undefined;

  /** @throws EngramError ARGUMENT */
  constructor({lambda = 1, temperature = 2}: LearningWithoutForgettingOptions = {}) {
    checkWeight('lambda', lambda);
    checkPositive('temperature', temperature);
    this.lambda = lambda;
    this.temperature = temperature;
  }

  optimizer(base: tf.Optimizer): tf.Optimizer {
    return base;
  }

  /** @throws EngramError ARGUMENT for a task that gives other samples than it says; the signal's reason */
  async beforeTask(task: LearningTask): Promise<void> {
    this.dispose();
    if (task.earlier.length === 0) return;
    this.recording = await Recording.take(task, ({x}) =>
      task.earlier.map((network) => softened(network.apply(x, {training: false}) as tf.Tensor, this.temperature)),
    );
  }

  /**
   * lambda times the cross entropy of softmax(z / T) to the recorded answers, summed over earlier heads.
   *
   * @throws EngramError ARGUMENT without {@link beforeTask}
   */
  batchLoss({x, rows}: Batch, {earlier}: LearningTask): tf.Scalar {
    if (earlier.length === 0) return tf.scalar(0);
    if (!this.recording) throw notRecorded();
    const before = this.recording.at(rows);
    const losses = earlier.map((network, head) =>
      // The network that is trained, with its dropout and batch statistics.
      distillationLoss(before[head], network.apply(x, {training: true}) as tf.Tensor, this.temperature),
    );
    return tf.mul(tf.addN(losses), this.lambda) as tf.Scalar;
  }

  async afterTask(): Promise<void> {
    this.dispose();
  }

  /** Frees the recorded answers; a second call does nothing. */
  dispose(): void {
    this.recording?.dispose();
    this.recording = undefined;
  }
}

/** softmax(z / T), `[B, outputs]`: the paper's equation 3, which is y^(1/T), normalised, of probabilities y. */
function softened(logits: tf.Tensor, temperature: number): tf.Tensor {
  return tf.softmax(tf.div(logits, temperature));
}

/**
 * - sum_k p_k log softmax(z / T)_k, mean over the batch, in nats (Li and Hoiem, equations 2 and 3). The paper has no
 * factor T^2, with which Hinton et al. (arXiv:1503.02531) make up for the 1 / T^2 in its gradient, nor has this.
 *
 * @param before p, softened answers that are kept, `[B, outputs]`
 * @param logits z, answers now, `[B, outputs]`
 */
function distillationLoss(before: tf.Tensor, logits: tf.Tensor, temperature: number): tf.Scalar {
  return crossEntropy(before, tf.div(logits, temperature));
}
