/** The networks and numbers that the demo and the learning test use, and how each was chosen. */
import type {LearningSettings} from './run.js';

export interface Preset extends LearningSettings {
  /** Number of tasks. */
  readonly tasks: number;
  /** Strength of the MAS penalty, Omega summed over tasks, logits, proximal step. */
  readonly lambda: number;
}

/** Permuted digits: 5 orders of 64 pixels, 10 classes, one head, the network is not told the task. */
export const permutedDigits: Preset = {
  tasks: 5,
  hidden: [128, 128],
  learningRate: 0.03,
  momentum: 0.9,
  batchSize: 32,
  epochs: 10,
  lambda: 0.01,
};

/** Split-Fashion-MNIST: 5 tasks of 2 classes, one head of 10 outputs restricted to the task's two. */
export const splitFashionMnist: Preset = {
  tasks: 5,
  hidden: [256, 256],
  learningRate: 0.03,
  momentum: 0.9,
  batchSize: 64,
  epochs: 1,
  lambda: 0.01,
};
