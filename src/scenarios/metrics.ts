/** What a sequence of tasks did to a network: what it kept, passed on and could still learn, from the accuracy matrix. */
import {EngramError} from '../errors.js';

/**
 * R[i][j]: accuracy (0..1) on the test images of task j after learning task i. Square; tasks after i are those not yet
 * learned. (Lopez-Paz and Ranzato, "Gradient episodic memory", NeurIPS 2017, section 2.)
 */
export type AccuracyMatrix = readonly (readonly number[])[];

/**
 * Average accuracy on the tasks learned so far, ACC of Lopez-Paz and Ranzato (2017), equation 2:
 *
 *     A_k = 1/(k+1) sum_{j <= k} R[k][j]
 *
 * @param after k, counted from 0; default the last task
 * @throws EngramError SHAPE, ARGUMENT
 */
export function averageAccuracy(matrix: AccuracyMatrix, after = matrix.length - 1): number {
  check(matrix, after);
  return mean(matrix[after].slice(0, after + 1));
}

/**
 * Forgetting of one task, f_j^k of Chaudhry et al., "Riemannian walk" (ECCV 2018), equation 3: its best accuracy before
 * task k less its accuracy after task k. Negative if task k improved it; undefined for a task that was learned last.
 *
 *     f_j^k = max_{i < k} R[i][j] - R[k][j],   j < k
 *
 * @param task j, counted from 0
 * @param after k, counted from 0; default the last task
 * @throws EngramError SHAPE, ARGUMENT
 */
export function forgettingOf(matrix: AccuracyMatrix, task: number, after = matrix.length - 1): number | undefined {
  check(matrix, after);
  if (task >= after) return undefined;
  return Math.max(...matrix.slice(0, after).map((row) => row[task])) - matrix[after][task];
}

/**
 * Average forgetting, F_k of Chaudhry et al. (2018), equation 3: the mean of {@link forgettingOf} over the tasks before
 * the last. 0 for a single task.
 *
 *     F_k = 1/k sum_{j < k} f_j^k
 *
 * @param after k, counted from 0; default the last task
 * @throws EngramError SHAPE, ARGUMENT
 */
export function forgetting(matrix: AccuracyMatrix, after = matrix.length - 1): number {
  check(matrix, after);
  if (after === 0) return 0;
  return mean(matrix[after].slice(0, after).map((_, task) => forgettingOf(matrix, task, after) ?? 0));
}

/**
 * Backward transfer, BWT of Lopez-Paz and Ranzato (2017), equation 3: what learning the later tasks did to the earlier
 * ones. Negative where they were forgotten; unlike {@link forgetting} it compares with the accuracy right after a task
 * was learned, not with the best one. Undefined for a single task.
 *
 *     BWT_k = 1/k sum_{j < k} R[k][j] - R[j][j]
 *
 * @param after k, counted from 0; default the last task
 * @throws EngramError SHAPE, ARGUMENT
 */
export function backwardTransfer(matrix: AccuracyMatrix, after = matrix.length - 1): number | undefined {
  check(matrix, after);
  if (after === 0) return undefined;
  return mean(matrix[after].slice(0, after).map((accuracy, task) => accuracy - matrix[task][task]));
}

/**
 * Forward transfer, FWT of Lopez-Paz and Ranzato (2017), equation 4: how much better than at random initialisation a
 * task is solved before it was learned. Undefined for a single task.
 *
 *     FWT_k = 1/k sum_{1 <= j <= k} R[j-1][j] - b_j
 *
 * @param initial b: accuracy of the untrained network on each task
 * @param after k, counted from 0; default the last task
 * @throws EngramError SHAPE, ARGUMENT
 */
export function forwardTransfer(
  matrix: AccuracyMatrix,
  initial: readonly number[],
  after = matrix.length - 1,
): number | undefined {
  check(matrix, after);
  checkTasks(matrix, initial, 'of the untrained network');
  if (after === 0) return undefined;
  return mean(matrix.slice(0, after).map((row, before) => row[before + 1] - initial[before + 1]));
}

/**
 * Intransigence to one task, I_k of Chaudhry et al. (2018), equation 4: what the network fell short of on task k when it
 * had just learned it. Negative where it did better than the reference.
 *
 *     I_k = a*_k - R[k][k]
 *
 * @param reference a*: accuracy on task k of a network that was trained jointly on the tasks up to k
 * @param task k, counted from 0
 * @throws EngramError SHAPE, ARGUMENT
 */
export function intransigenceOf(matrix: AccuracyMatrix, reference: readonly number[], task: number): number {
  check(matrix, task);
  checkTasks(matrix, reference, 'of joint training');
  return reference[task] - matrix[task][task];
}

/**
 * Average intransigence: the mean of {@link intransigenceOf} over the tasks learned so far.
 *
 * @param reference a*: accuracy on task k of a network that was trained jointly on the tasks up to k
 * @param after the last task that counts, counted from 0; default the last one
 * @throws EngramError SHAPE, ARGUMENT
 */
export function intransigence(matrix: AccuracyMatrix, reference: readonly number[], after = matrix.length - 1): number {
  check(matrix, after);
  return mean(matrix.slice(0, after + 1).map((_, task) => intransigenceOf(matrix, reference, task)));
}

/**
 * Learning accuracy, LA of Riemer et al., "Learning to learn without forgetting" (ICLR 2019): the mean over
 * tasks of the accuracy right after a task was learned. It tells plasticity, and needs no reference.
 *
 *     LA_k = 1/(k+1) sum_{j <= k} R[j][j]
 *
 * @param after k, counted from 0; default the last task
 * @throws EngramError SHAPE, ARGUMENT
 */
export function learningAccuracy(matrix: AccuracyMatrix, after = matrix.length - 1): number {
  check(matrix, after);
  return mean(matrix.slice(0, after + 1).map((row, task) => row[task]));
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

function check(matrix: AccuracyMatrix, after: number): void {
  const size = matrix.length;
  if (size === 0 || matrix.some((row) => row.length !== size)) {
    throw new EngramError('SHAPE', {
      expected: 'a square accuracy matrix of at least one task',
      received: `rows of ${matrix.map((row) => row.length).join(', ') || 'nothing'}`,
      remedy: 'Give one row per learned task and in it one accuracy per task.',
    });
  }
  if (!Number.isInteger(after) || after < 0 || after >= size) {
    throw new EngramError('ARGUMENT', {
      expected: `a task of 0..${size - 1}`,
      received: String(after),
      remedy: 'Tasks are counted from 0.',
    });
  }
}

/** One finite accuracy for each task. */
function checkTasks(matrix: AccuracyMatrix, accuracies: readonly number[], whose: string): void {
  if (accuracies.length === matrix.length && accuracies.every(Number.isFinite)) return;
  throw new EngramError('SHAPE', {
    expected: `an accuracy ${whose} for each of ${matrix.length} tasks`,
    received: accuracies.join(', ') || 'nothing',
    remedy: 'Give one number per task, in the order of the sequence.',
  });
}
