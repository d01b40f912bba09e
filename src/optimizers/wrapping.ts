/** An optimizer around another one: what it hands on to it. */
import * as tf from '@tensorflow/tfjs-core';

/** Gradient of a variable by its name; null where the loss did not reach it. */
export interface NamedGradient {
  name: string;
  tensor: tf.Tensor | null;
}

/** Gradients by the names of their variables, in either form that tfjs optimizers take. */
export type NamedGradients = tf.NamedTensorMap | {name: string; tensor: tf.Tensor}[];

export function namedGradients(gradients: NamedGradients): NamedGradient[] {
  if (Array.isArray(gradients)) return gradients;
  return Object.entries(gradients).map(([name, tensor]) => ({name, tensor}));
}

/** Its learning rate is the base's, for schedules on either of them. */
export abstract class WrappingOptimizer extends tf.Optimizer {
  /** @param base gives the rule; disposed with this one */
  constructor(readonly base: tf.Optimizer) {
    super();
  }

  /** The base's, read at every step. Assign it or call `setLearningRate` for a schedule, here or on the base. */
  get learningRate(): number {
    return (this.base as unknown as {learningRate: number}).learningRate;
  }
  /** Sets the base's learning rate. */
  set learningRate(learningRate: number) {
    this.setLearningRate(learningRate);
  }

  /** As assigning `learningRate`: what TensorFlow.js' callbacks call. */
  setLearningRate(learningRate: number): void {
    const base = this.base as unknown as {learningRate: number; setLearningRate?(rate: number): void};
    if (typeof base.setLearningRate === 'function') base.setLearningRate(learningRate);
    else base.learningRate = learningRate;
  }

  abstract override applyGradients(gradients: NamedGradients): void;
}
