/** Metrics of a sequence by numbers worked out by hand, and intervals over seeds by those of SciPy and of printed tables. */
import {describe, expect, it} from 'vitest';
import {estimate, isGreater, pairedDifference} from '../dist/scenarios/intervals.js';
import {
  backwardTransfer,
  forgetting,
  forwardTransfer,
  intransigence,
  intransigenceOf,
  learningAccuracy,
} from '../dist/scenarios/metrics.js';

// Rows: after learning task 1, 2, 3. Task 1 was best after task 2, so that forgetting is not minus backward transfer.
const matrix = [
  [0.9, 0.1, 0.2],
  [0.95, 0.8, 0.3],
  [0.5, 0.6, 0.7],
];
const untrained = [0.05, 0.15, 0.1];
const joint = [0.92, 0.88, 0.67];

describe('transfer', () => {
  it('backwards compares with the accuracy right after a task was learned', () => {
    // ((0.5 - 0.9) + (0.6 - 0.8)) / 2
    expect(backwardTransfer(matrix)).toBeCloseTo(-0.3, 12);
    expect(backwardTransfer(matrix, 1)).toBeCloseTo(0.05, 12);
    // Forgetting takes the best accuracy of task 1, 0.95: ((0.95 - 0.5) + (0.8 - 0.6)) / 2
    expect(forgetting(matrix)).toBeCloseTo(0.325, 12);
  });

  it('forwards compares with the untrained network', () => {
    // ((0.1 - 0.15) + (0.3 - 0.1)) / 2
    expect(forwardTransfer(matrix, untrained)).toBeCloseTo(0.075, 12);
    expect(forwardTransfer(matrix, untrained, 1)).toBeCloseTo(-0.05, 12);
  });

  it('does not exist for a single task', () => {
    expect(backwardTransfer([[0.9]])).toBeUndefined();
    expect(forwardTransfer([[0.9]], [0.1])).toBeUndefined();
    expect(backwardTransfer(matrix, 0)).toBeUndefined();
    expect(forwardTransfer(matrix, untrained, 0)).toBeUndefined();
  });
});

describe('plasticity', () => {
  it('is the accuracy right after learning, and intransigence what joint training has more', () => {
    expect(learningAccuracy(matrix)).toBeCloseTo((0.9 + 0.8 + 0.7) / 3, 12);
    expect(learningAccuracy(matrix, 0)).toBeCloseTo(0.9, 12);
    expect([0, 1, 2].map((task) => intransigenceOf(matrix, joint, task).toFixed(10))).toEqual([
      '0.0200000000',
      '0.0800000000',
      '-0.0300000000',
    ]);
    expect(intransigence(matrix, joint)).toBeCloseTo((0.02 + 0.08 - 0.03) / 3, 12);
    expect(intransigence(matrix, joint, 1)).toBeCloseTo(0.05, 12);
  });
});

it('the metrics refuse what is no accuracy matrix, and lists that are not one number a task', () => {
  const shape = expect.objectContaining({code: 'SHAPE'});
  const argument = expect.objectContaining({code: 'ARGUMENT'});
  for (const wrong of [[], [[1, 2]], [[1], [1, 2]]]) {
    expect(() => backwardTransfer(wrong)).toThrow(shape);
    expect(() => forwardTransfer(wrong, [1])).toThrow(shape);
    expect(() => intransigence(wrong, [1])).toThrow(shape);
    expect(() => learningAccuracy(wrong)).toThrow(shape);
  }
  for (const wrong of [[], [0.1, 0.2], [0.1, 0.2, Number.NaN], [0.1, 0.2, 0.3, 0.4]]) {
    expect(() => forwardTransfer(matrix, wrong)).toThrow(shape);
    expect(() => intransigence(matrix, wrong)).toThrow(shape);
  }
  for (const wrong of [-1, 3, 0.5, Number.NaN]) {
    expect(() => backwardTransfer(matrix, wrong)).toThrow(argument);
    expect(() => forwardTransfer(matrix, untrained, wrong)).toThrow(argument);
    expect(() => intransigenceOf(matrix, joint, wrong)).toThrow(argument);
    expect(() => intransigence(matrix, joint, wrong)).toThrow(argument);
    expect(() => learningAccuracy(matrix, wrong)).toThrow(argument);
  }
});

describe('the interval of a mean', () => {
  it('has the quantile of the printed t tables: n values of standard error 1', () => {
    // NIST/SEMATECH e-Handbook, section 1.3.6.7.2, column 0.975, by degrees of freedom.
    const printed = {1: 12.706, 2: 4.303, 3: 3.182, 4: 2.776, 9: 2.262, 29: 2.045, 99: 1.984};
    for (const [freedom, t] of Object.entries(printed)) {
      const count = Number(freedom) + 1;
      // Half of the values at -d, half at d (and one at 0 if they are odd), so that s / sqrt(n) = 1.
      const pairs = Math.floor(count / 2);
      const d = Math.sqrt((count * (count - 1)) / (2 * pairs));
      const values = Array.from({length: count}, (_, i) => (i < pairs ? -d : i < 2 * pairs ? d : 0));
      const {mean, interval} = estimate(values);
      expect(mean).toBeCloseTo(0, 9);
      expect(interval!.high.toFixed(3)).toBe(t.toFixed(3));
      expect(interval!.low).toBeCloseTo(-interval!.high, 9);
    }
  });

  it('agrees with SciPy', () => {
    // scipy.stats.t.interval(0.95, 4, mean(x), sem(x)) of SciPy 1.10.1
    const {count, mean, interval} = estimate([0.831, 0.844, 0.812, 0.829, 0.85]);
    expect([count, mean]).toEqual([5, expect.closeTo(0.8332, 12)]);
    expect(interval!.low).toBeCloseTo(0.81487966952368, 10);
    expect(interval!.high).toBeCloseTo(0.8515203304763199, 10);
  });

  it('does not exist for one value, and is a point for values that are all the same', () => {
    expect(estimate([0.7])).toEqual({count: 1, mean: 0.7, interval: undefined});
    expect(estimate([0.5, 0.5, 0.5])).toEqual({count: 3, mean: 0.5, interval: {low: 0.5, high: 0.5}});
  });

  it('refuses no values, values that are no numbers, and levels that are none', () => {
    expect(() => estimate([])).toThrow(expect.objectContaining({code: 'EMPTY_DATA'}));
    for (const wrong of [Number.NaN, Number.POSITIVE_INFINITY]) {
      expect(() => estimate([0.5, wrong])).toThrow(expect.objectContaining({code: 'NON_FINITE'}));
    }
    for (const level of [0, 1, 95, -0.5, Number.NaN]) {
      expect(() => estimate([0.5, 0.6], level)).toThrow(expect.objectContaining({code: 'ARGUMENT'}));
    }
  });
});

describe('two methods over the same seeds', () => {
  const a = new Map([0.831, 0.844, 0.812, 0.829, 0.85].map((value, seed) => [seed, value]));
  const b = new Map([0.79, 0.803, 0.801, 0.77, 0.812].map((value, seed) => [seed, value]));

  it('are compared seed by seed, whatever the order of the runs', () => {
    for (const other of [b, new Map([...b].reverse())]) {
      // scipy.stats.ttest_rel(a, b).confidence_interval(0.95) and (0.99) of SciPy 1.10.1
      const {mean, interval} = pairedDifference(a, other);
      expect(mean).toBeCloseTo(0.038, 12);
      expect(interval!.low).toBeCloseTo(0.01660155012910272, 10);
      expect(interval!.high).toBeCloseTo(0.059398449870897166, 10);
      expect(pairedDifference(a, other, 0.99).interval!.low).toBeCloseTo(0.0025155983374540933, 10);
    }
  });

  it('confirm a claim, refute it or leave it undecided', () => {
    const [better, worse] = [pairedDifference(a, b), pairedDifference(b, a)];
    expect(isGreater(better)).toBe('confirmed');
    expect(isGreater(worse)).toBe('refuted');
    expect(isGreater(better, 0.02)).toBe('undecided'); // between 0.0166 and 0.0594
    expect(isGreater(better, 0.06)).toBe('refuted');
    expect(isGreater(pairedDifference(a, a))).toBe('undecided');
    const once = (value: number) => new Map([[1, value]]);
    expect(isGreater(pairedDifference(once(0.9), once(0.1)))).toBe('undecided'); // one seed decides nothing
    expect(() => isGreater(better, Number.NaN)).toThrow(expect.objectContaining({code: 'ARGUMENT'}));
  });

  it('are refused where a seed is missing on either side', () => {
    const fewer = new Map([...b].slice(1));
    for (const [one, other] of [
      [a, fewer],
      [fewer, a],
    ]) {
      expect(() => pairedDifference(one, other)).toThrow(
        expect.objectContaining({code: 'ARGUMENT', received: expect.stringMatching(/ 0$/)}),
      );
    }
    expect(() => pairedDifference(new Map(), new Map())).toThrow(expect.objectContaining({code: 'EMPTY_DATA'}));
  });
});
