/** How importance is spread: numbers worked out by hand, and the slow ways that say the same of random values. */
import fc from 'fast-check';
import {describe, expect, it} from 'vitest';
import {distributionOf, indexOf, largestOf, logAxis, logHistogram} from '../dist/report/distribution.js';

/** Few different values, so that ties, zeros and carriers of one size come often; some spread over many powers of ten. */
const values = fc
  .array(
    fc.oneof(
      fc.constantFrom(0, 1, 2, 0.5),
      fc.float({noNaN: true, min: Math.fround(-1e6), max: Math.fround(1e6)}),
      fc.integer({min: -44, max: 30}).map((power) => 10 ** power),
    ),
    {maxLength: 60},
  )
  .map((array) => Float32Array.from(array));
const parts = fc.array(values, {maxLength: 4});
const magnitudes = (all: Float32Array[]) => all.flatMap((part) => [...part].map(Math.abs));

describe('a distribution', () => {
  it('agrees with numbers worked out by hand', () => {
    // Sum 20, of which 90 % are 18: 9 + 6 + 2 are one short, so that one of the ones carries too.
    const {sum, mean, max, zeros, carriers, parameters} = distributionOf([
      Float32Array.of(1, 6, 0, 1),
      Float32Array.of(9, 2, 0, 1),
    ]);
    expect({sum, mean, max, zeros, carriers, parameters}).toEqual({
      sum: 20,
      mean: 2.5,
      max: 9,
      zeros: 2,
      carriers: 4,
      parameters: 8,
    });
    expect(distributionOf([Float32Array.of(-3, 4)])).toMatchObject({sum: 7, mean: 3.5, max: 4, carriers: 2});
  });

  it('of nothing, and of zeros, is zero', () => {
    const nothing = {sum: 0, mean: 0, max: 0, carriers: 0};
    expect(distributionOf([])).toEqual({...nothing, parameters: 0, zeros: 0});
    expect(distributionOf([new Float32Array(3)])).toEqual({...nothing, parameters: 3, zeros: 3});
  });

  it('needs as few carriers as taking the largest ones first, and no fewer', () => {
    fc.assert(
      fc.property(parts, (all) => {
        const {sum, carriers, max, zeros, parameters} = distributionOf(all);
        const sorted = magnitudes(all).sort((a, b) => b - a);
        const total = sorted.reduce((a, b) => a + b, 0);
        const carriedBy = (count: number) => sorted.slice(0, count).reduce((a, b) => a + b, 0);
        const slack = 1e-12 * total;
        expect(Math.abs(sum - total)).toBeLessThanOrEqual(slack);
        expect([max, zeros, parameters]).toEqual([sorted[0] ?? 0, sorted.filter((v) => v === 0).length, sorted.length]);
        expect(carriedBy(carriers)).toBeGreaterThanOrEqual(0.9 * total - slack);
        if (carriers > 0) expect(carriedBy(carriers - 1)).toBeLessThan(0.9 * total + slack);
      }),
      {numRuns: 500},
    );
  });
});

describe('the largest values', () => {
  it('are those of sorting all, the first of equal ones, without zeros', () => {
    fc.assert(
      fc.property(parts, fc.nat(70), (all, count) => {
        const slow = all
          .flatMap((values, part) => [...values].map((value, element) => ({part, element, value})))
          .filter(({value}) => value !== 0)
          .sort((a, b) => Math.abs(b.value) - Math.abs(a.value))
          .slice(0, count);
        expect(largestOf(all, count)).toEqual(slow);
      }),
      {numRuns: 500},
    );
  });

  it('have the index of their axes', () => {
    expect(indexOf(0, [])).toEqual([]);
    expect(indexOf(4, [5])).toEqual([4]);
    // 1·(3·4) + 2·4 + 3
    expect(indexOf(23, [2, 3, 4])).toEqual([1, 2, 3]);
  });
});

describe('the histogram', () => {
  it('has two bins a power of ten, on one axis for all', () => {
    const all = [Float32Array.of(0.02, 0.05, 0, 5), Float32Array.of(0.2)];
    const axis = logAxis(all)!;
    expect(axis).toEqual({low: -2, bins: 6}); // 0.01 to 10
    expect(logHistogram(all[0], axis)).toEqual([1, 1, 0, 0, 0, 1]);
    expect(logHistogram(all[1], axis)).toEqual([0, 0, 1, 0, 0, 0]);
  });

  it('spans at most ten powers of ten and counts smaller values in the first bin', () => {
    const all = [Float32Array.of(1e-30, 2e-9, 5)];
    expect(logAxis(all)).toEqual({low: -9, bins: 20});
    expect(logHistogram(all[0], logAxis(all)!)).toEqual([2, ...Array(18).fill(0), 1]);
  });

  it('has no axis where all is 0, and loses no value else', () => {
    expect(logAxis([new Float32Array(3)])).toBeUndefined();
    fc.assert(
      fc.property(parts, (all) => {
        const axis = logAxis(all);
        const nonzero = magnitudes(all).filter((value) => value > 0).length;
        const counted = axis ? all.flatMap((part) => logHistogram(part, axis)).reduce((a, b) => a + b, 0) : 0;
        return counted === nonzero && (axis?.bins ?? 0) <= 20;
      }),
    );
  });
});
