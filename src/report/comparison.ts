/** Results of an experiment as rows: what each method reached, as means over seeds with 95 % intervals. */
import {type Experiment, type MeasureName, measureNames} from '../experiments/file.js';
import type {RunResult} from '../experiments/store.js';
import {type Estimate, estimate} from '../scenarios/intervals.js';
import {
  averageAccuracy,
  backwardTransfer,
  forgetting,
  forwardTransfer,
  intransigence,
  learningAccuracy,
} from '../scenarios/metrics.js';

/** How a measure is told. Accuracies and their differences are fractions, 0..1, until they are shown. */
export interface Measure {
  readonly title: string;
  /** `%` of accuracy, `points` of it, seconds of wall time, or megabytes (1e6 bytes). */
  readonly unit: '%' | 'points' | 's' | 'MB';
}

/** All measures in the order of the tables. */
export const measures: Readonly<Record<MeasureName, Measure>> = {
  averageAccuracy: {title: 'average accuracy', unit: '%'},
  forgetting: {title: 'forgetting', unit: 'points'},
  backwardTransfer: {title: 'backward transfer', unit: 'points'},
  forwardTransfer: {title: 'forward transfer', unit: 'points'},
  intransigence: {title: 'intransigence', unit: 'points'},
  learningAccuracy: {title: 'learning accuracy', unit: '%'},
  lastTask: {title: 'last task', unit: '%'},
  focusAccuracy: {title: 'classes in focus', unit: '%'},
  otherAccuracy: {title: 'other classes', unit: '%'},
  trainingSeconds: {title: 'training', unit: 's'},
  methodSeconds: {title: "method's own pass", unit: 's'},
  bytes: {title: 'held', unit: 'MB'},
};

/** The measures of one run; undefined is what cannot be said of it. */
export type Measured = Readonly<Record<MeasureName, number | undefined>>;

/** A method over its seeds. */
export interface ComparisonRow {
  readonly label: string;
  readonly seeds: readonly number[];
  /** Seed by seed. */
  readonly runs: readonly Measured[];
  /** Over the seeds that have the measure; undefined if none has. */
  readonly estimates: Readonly<Record<MeasureName, Estimate | undefined>>;
  /** Average accuracy after each task, on the tasks up to it. */
  readonly course: readonly Estimate[];
  /** `[learned][task]`: the accuracy matrix, mean over the seeds. */
  readonly accuracy: readonly (readonly number[])[];
}

/** All methods of an experiment that have results, in the order of its file. */
export interface Comparison {
  readonly rows: readonly ComparisonRow[];
  /** What the experiment asks for and the results lack, a sentence each. */
  readonly lacking: readonly string[];
}

/**
 * What one run reached.
 *
 * @param joint accuracy matrix of joint training on the same seed, for intransigence: what it reached on each task when
 * it had just learned it
 * @param focus classes, counted in each task from 0, that are told apart from the others
 * @throws EngramError SHAPE for a run that did not learn all tasks
 */
export function measure(
  {accuracy, classAccuracy, initial, seconds, bytes}: RunResult,
  joint: RunResult['accuracy'] | undefined,
  focus?: readonly number[],
): Measured {
  const atEnd = classAccuracy[classAccuracy.length - 1];
  const meanOver = (chosen: (label: number) => boolean) => {
    const values = atEnd.flatMap((classes) => classes.filter((_, label) => chosen(label)));
    return values.length > 0 ? mean(values) : undefined;
  };
  return {
    averageAccuracy: averageAccuracy(accuracy),
    forgetting: forgetting(accuracy),
    backwardTransfer: backwardTransfer(accuracy),
    forwardTransfer: forwardTransfer(accuracy, initial),
    intransigence: joint
      ? intransigence(
          accuracy,
          joint.map((row, task) => row[task]),
        )
      : undefined,
    learningAccuracy: learningAccuracy(accuracy),
    lastTask: accuracy[accuracy.length - 1][accuracy.length - 1],
    focusAccuracy: focus && meanOver((label) => focus.includes(label)),
    otherAccuracy: focus && meanOver((label) => !focus.includes(label)),
    trainingSeconds: seconds.training,
    methodSeconds: seconds.method,
    bytes,
  };
}

/**
 * Puts the runs of each method together. Runs of labels that the experiment does not have are left out and named. The
 * reference of intransigence is the first method `joint`, which has none itself.
 *
 * @throws EngramError SHAPE for a run that did not learn all tasks
 */
export function compare(results: readonly RunResult[], experiment: Experiment): Comparison {
  const labels = Object.keys(experiment.methods);
  const joint = labels.find((label) => experiment.methods[label].method === 'joint');
  const rows = labels.flatMap((label) => {
    const own = results.filter((result) => result.label === label).sort((a, b) => a.seed - b.seed);
    if (own.length === 0) return [];
    const runs = own.map((result) => {
      const reference = results.find((other) => other.label === joint && other.seed === result.seed);
      return measure(result, label === joint ? undefined : reference?.accuracy, experiment.focus);
    });
    const estimates = Object.fromEntries(
      measureNames.map((name) => {
        const values = runs.flatMap((run) => run[name] ?? []);
        return [name, values.length > 0 ? estimate(values) : undefined];
      }),
    ) as ComparisonRow['estimates'];
    const matrices = own.map(({accuracy}) => accuracy);
    return {
      label,
      seeds: own.map(({seed}) => seed),
      runs,
      estimates,
      course: matrices[0].map((_, after) => estimate(matrices.map((matrix) => averageAccuracy(matrix, after)))),
      accuracy: matrices[0].map((row, after) => row.map((_, task) => mean(matrices.map((m) => m[after][task])))),
    };
  });
  return {rows, lacking: lackingIn(results, experiment, rows, joint)};
}

const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;

function lackingIn(
  results: readonly RunResult[],
  {methods, seeds}: Experiment,
  rows: readonly ComparisonRow[],
  joint: string | undefined,
): string[] {
  const told: string[] = [];
  const labels = Object.keys(methods);
  const without = labels.filter((label) => !rows.some((row) => row.label === label));
  if (without.length > 0) told.push(`No finished run of ${without.join('; ')}.`);
  for (const row of rows) {
    const missing = seeds.filter((seed) => !row.seeds.includes(seed));
    if (missing.length === 0) continue;
    const of = `${seeds.length - missing.length} of ${seeds.length} seeds`;
    told.push(`${row.label}: ${of}; no finished run of seed ${missing.join(', ')}.`);
  }
  const single = rows.filter((row) => row.seeds.length === 1).map(({label}) => label);
  if (single.length > 0) told.push(`One seed alone, hence no interval: ${single.join('; ')}.`);
  if (joint === undefined) told.push('No method is joint training, hence no intransigence.');
  else {
    const seedsOfJoint = rows.find(({label}) => label === joint)?.seeds ?? [];
    const unmatched = rows.filter((row) => row.seeds.some((seed) => !seedsOfJoint.includes(seed)));
    const names = unmatched.map(({label}) => label).join('; ');
    if (names) told.push(`Intransigence lacks the seeds that joint training (${joint}) lacks: ${names}.`);
  }
  const strangers = [...new Set(results.map(({label}) => label))].filter((label) => !labels.includes(label));
  if (strangers.length > 0) told.push(`Left out, for the experiment has no such method: ${strangers.join('; ')}.`);
  const backends = [...new Set(results.map(({backend}) => backend))].sort();
  if (backends.length > 1) told.push(`Runs on several backends: ${backends.join(', ')}; their times do not compare.`);
  return told;
}

/** Published figures of an experiment, whose label is told with its source. */
export function publishedLabel({label, source}: {label: string; source: string}): string {
  return `${label} (${source})`;
}
