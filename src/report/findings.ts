/** Claims of an experiment, decided by paired differences over seeds and their 95 % intervals. */
import type {Claim, Experiment} from '../experiments/file.js';
import {type Estimate, isGreater, pairedDifference, type Verdict} from '../scenarios/intervals.js';
import type {Comparison} from './comparison.js';

/** The method of a claim against one other. */
export interface Difference {
  readonly than: string;
  /** Seeds that both have. */
  readonly seeds: readonly number[];
  /** Measure of the claimed method less that of the other, seed by seed: mean and interval. */
  readonly difference: Estimate;
  /**
   * `confirmed`: the interval lies wholly on the claimed side of 0. `refuted`: wholly on the other. Else, and where one seed
   * gives no interval, `undecided`.
   */
  readonly verdict: Verdict;
}

/** A claim with what the results say to it. */
export interface Finding {
  readonly claim: Claim;
  /** One for each method that the claim compares with; none where something was not measured. */
  readonly differences: readonly Difference[];
  /** What was not measured, in words; empty where all was. */
  readonly lacking: readonly string[];
  /** The weakest of all differences: refuted if any is, else undecided if any is; none where something lacks. */
  readonly verdict: Verdict | undefined;
}

/** Decides all claims of an experiment, in their order. */
export function decide(comparison: Comparison, {findings = [], seeds}: Experiment): Finding[] {
  return findings.map((claim) => decideOne(claim, comparison, seeds));
}

function decideOne(claim: Claim, {rows}: Comparison, seeds: readonly number[]): Finding {
  const {metric, better, direction} = claim;
  const others = [claim.than].flat();
  const valuesOf = (label: string): Map<number, number> => {
    const row = rows.find((row) => row.label === label);
    const values = new Map<number, number>();
    row?.runs.forEach(({[metric]: value}, i) => {
      if (value !== undefined) values.set(row.seeds[i], withoutRounding(value));
    });
    return values;
  };
  const own = valuesOf(better);
  const lacking = [better, ...others].flatMap((label) => {
    const values = valuesOf(label);
    const missing = seeds.filter((seed) => !values.has(seed));
    if (missing.length === 0) return [];
    return missing.length === seeds.length ? [label] : [`${label} on seed ${missing.join(', ')}`];
  });
  if (lacking.length > 0) return {claim, differences: [], lacking, verdict: undefined};
  const differences = others.map((than) => {
    const other = valuesOf(than);
    const shared = [...own.keys()].filter((seed) => other.has(seed));
    const of = (values: Map<number, number>) => new Map(shared.map((seed) => [seed, values.get(seed)!]));
    const difference = pairedDifference(of(own), of(other));
    const towards = direction === 'higher' ? difference : pairedDifference(of(other), of(own));
    return {than, seeds: shared, difference, verdict: isGreater(towards)};
  });
  const verdicts = differences.map(({verdict}) => verdict);
  const weakest = (['refuted', 'undecided'] as const).find((verdict) => verdicts.includes(verdict));
  return {claim, differences, lacking, verdict: weakest ?? 'confirmed'};
}

/** To 12 decimals: equal accuracies that were summed in another order must not differ on every seed alike. */
const withoutRounding = (value: number) => Math.round(value * 1e12) / 1e12;
