/** What a sequence of tasks did to a network: average accuracy and forgetting, from the accuracy matrix. */
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
