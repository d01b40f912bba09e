/** How sure a result over several seeds is: mean, Student-t confidence interval, and paired differences of two methods. */
import quantile from '@stdlib/stats-base-dists-t-quantile';
import {EngramError} from '../errors.js';

/** The ends of a confidence interval, in the unit of the values. */
export interface Interval {
  readonly low: number;
  readonly high: number;
}

/** A mean over seeds and how sure it is. */
export interface Estimate {
  /** Values that were averaged. */
  readonly count: number;
  readonly mean: number;
  /** Undefined for one value, which tells nothing of the spread. */
  readonly interval: Interval | undefined;
}

/** One result by the seed of its run. */
export type BySeed = ReadonlyMap<number, number>;

/** What the runs say to a claim. */
export type Verdict = 'confirmed' | 'refuted' | 'undecided';

/**
 * Mean and two-sided confidence interval of independent values that are normally distributed (Student 1908):
 *
 *     mean ± t_{(1 + level) / 2, n - 1} · s / sqrt(n),   s² = 1/(n-1) sum_i (x_i - mean)²
 *
 * @param level share of such intervals that hold the true mean, in 0..1 without its ends
 * @throws EngramError EMPTY_DATA, NON_FINITE, ARGUMENT
 */
export function estimate(values: readonly number[], level = 0.95): Estimate {
  checkLevel(level);
  const count = values.length;
  if (count === 0) {
    throw new EngramError('EMPTY_DATA', {
      expected: 'at least one value',
      received: 'none',
      remedy: 'Run at least one seed; an interval takes two.',
    });
  }
  const bad = values.find((value) => !Number.isFinite(value));
  if (bad !== undefined) {
    throw new EngramError('NON_FINITE', {
      expected: 'finite values',
      received: String(bad),
      remedy: 'Leave out runs that came to nothing, and say so.',
    });
  }
  const mean = values.reduce((sum, value) => sum + value, 0) / count;
  if (count === 1) return {count, mean, interval: undefined};
  const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (count - 1);
  const reach = quantile((1 + level) / 2, count - 1) * Math.sqrt(variance / count);
  return {count, mean, interval: {low: mean - reach, high: mean + reach}};
}

/**
 * The mean of a - b over the seeds, with its interval. What a seed decides for both methods alike, such as initial
 * weights and the order of samples, cancels out: the interval is that of the differences, not of two separate means.
 *
 * @throws EngramError ARGUMENT if the seeds are not the same ones; EMPTY_DATA, NON_FINITE
 */
export function pairedDifference(a: BySeed, b: BySeed, level = 0.95): Estimate {
  const alone = [...a.keys()].filter((seed) => !b.has(seed)).concat([...b.keys()].filter((seed) => !a.has(seed)));
  if (alone.length > 0) {
    throw new EngramError('ARGUMENT', {
      expected: 'both methods to have run with the same seeds',
      received: `only one of them with ${alone.join(', ')}`,
      remedy: 'Run both with these seeds, or leave the seeds out of both.',
    });
  }
  const differences = [...a].map(([seed, value]) => value - (b.get(seed) as number));
  return estimate(differences, level);
}

/**
 * Whether a value is greater than `margin`: confirmed if all of its interval is, refuted if all of it is less, and
 * undecided where the interval holds the margin or there is none. For "less than", swap the methods of the difference.
 *
 * @param margin in the unit of the estimate; 0 for the sign of a difference
 * @throws EngramError ARGUMENT
 */
export function isGreater({interval}: Estimate, margin = 0): Verdict {
  if (!Number.isFinite(margin)) {
    throw new EngramError('ARGUMENT', {
      expected: 'a finite margin',
      received: String(margin),
      remedy: 'Give the least difference that matters, or 0 for any.',
    });
  }
  if (interval && interval.low > margin) return 'confirmed';
  if (interval && interval.high < margin) return 'refuted';
  return 'undecided';
}

function checkLevel(level: number): void {
  if (level > 0 && level < 1) return;
  throw new EngramError('ARGUMENT', {
    expected: 'a confidence level between 0 and 1',
    received: String(level),
    remedy: 'Use 0.95 for 95 %.',
  });
}
