/** Runs a whole experiment, or the search for the values of its grids. */
import {existsSync} from 'node:fs';
import {mkdir} from 'node:fs/promises';
import {join} from 'node:path';
import {dataFileError} from '../scenarios/images.js';
import {averageAccuracy} from '../scenarios/metrics.js';
import type {Cell} from './cell.js';
import {forgetDrawn} from './drawn-sequence.js';
import {type Experiment, fingerprint, points} from './file.js';
import type {MethodSpec} from './methods.js';
import {type PoolOptions, runCells} from './pool.js';
import {ensureData} from './sequence.js';
import {hasRuns, type RunResult, readJson, writeJson} from './store.js';

/** What a search chose for the methods that have a grid, and all that it saw. */
export interface Selection {
  /** Of everything that the search depends on. */
  readonly fingerprint: string;
  readonly seeds: readonly number[];
  /** The first tasks, which alone were learned. */
  readonly tasks: number;
  readonly methods: Readonly<Record<string, SelectedMethod>>;
}

/** What a search tried for one method, and chose. */
export interface SelectedMethod {
  /** The method with the values that were chosen. */
  readonly chosen: MethodSpec;
  /** Every setting with its average accuracy (0..1) after the last of the tasks, seed by seed. */
  readonly settings: readonly {readonly method: MethodSpec; readonly averageAccuracy: readonly number[]}[];
}

/** Which part of an experiment is run, and where things are. */
export interface ExperimentOptions extends PoolOptions {
  /** Folder of the results. */
  readonly out: string;
  /** Methods by their labels; default all. */
  readonly methods?: readonly string[] | undefined;
  /** Default those of the experiment. */
  readonly seeds?: readonly number[] | undefined;
  /** Go on with what the folder holds; without it a folder with results is refused. */
  readonly resume?: boolean | undefined;
  /** Folder of the data. */
  readonly data?: string | undefined;
  /** Called as data are downloaded: bytes that are here, of how many. */
  readonly onDownload?: ((received: number, total: number) => void) | undefined;
}

/** Where a selection stands beside its experiment. */
export function selectionFile(file: string): string {
  return `${file.replace(/\.json$/, '')}.selected.json`;
}

/**
 * Runs the methods on the seeds, and writes `experiment.json` and a folder for each run.
 *
 * @param file the experiment's file, beside which the selection lies
 * @throws EngramError DATA_FILE, ARGUMENT, and what a run throws; the signal's reason
 */
export async function runExperiment(
  file: string,
  experiment: Experiment,
  options: ExperimentOptions,
): Promise<RunResult[]> {
  const labels = chooseLabels(file, experiment, options.methods);
  const selection = await selectionOf(file, experiment, labels);
  await openFolder(options, {experiment, selection});
  const cells = labels.flatMap((label) => {
    const method = selection?.methods[label]?.chosen ?? points(experiment.methods[label])[0];
    return (options.seeds ?? experiment.seeds).map((seed) => cellOf(experiment, label, method, seed, options));
  });
  const results = await runCells(cells, options);
  await forgetDrawn(options.out);
  return results;
}

/**
 * Tries every setting of every grid on the seeds of the selection, learning the first tasks only, and chooses for each
 * method the setting with the highest mean of the average accuracy; of equals the first.
 *
 * @throws as {@link runExperiment}
 */
export async function selectSettings(
  file: string,
  experiment: Experiment,
  options: ExperimentOptions,
): Promise<Selection> {
  const labels = chooseLabels(file, experiment, options.methods).filter((label) => experiment.methods[label].grid);
  const {selection} = experiment;
  if (!selection || labels.length === 0) {
    throw dataFileError(file, {
      expected: 'a selection, and methods with a grid',
      received: selection ? 'no grid' : 'no selection',
      remedy: 'Give methods a "grid" of values, and the experiment "selection": {"seeds": [...], "tasks": n}.',
    });
  }
  const {seeds, tasks} = selection;
  await openFolder(options, {experiment, selection: undefined});
  const settings = labels.flatMap((label) =>
    points(experiment.methods[label]).map((method, i) => ({label, method, point: i + 1})),
  );
  const cells = settings.flatMap(({label, method, point}) =>
    seeds.map((seed) => ({...cellOf(experiment, label, method, seed, options), point, tasks})),
  );
  const results = await runCells(cells, options);
  await forgetDrawn(options.out);
  const tried = settings.map(({label, method}, i) => ({
    label,
    method,
    averageAccuracy: seeds.map((_, s) => averageAccuracy(square(results[i * seeds.length + s]))),
  }));
  const methods = Object.fromEntries(
    labels.map((label) => {
      const own = tried.filter((setting) => setting.label === label);
      const best = own.reduce((a, b) => (mean(b.averageAccuracy) > mean(a.averageAccuracy) ? b : a));
      const shown = own.map(({method, averageAccuracy}) => ({method, averageAccuracy}));
      return [label, {chosen: best.method, settings: shown}];
    }),
  );
  const found = {fingerprint: searchPrint(experiment), seeds, tasks, methods};
  await writeJson(selectionFile(file), found);
  return found;
}

const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;

/** The matrix of the tasks learned. */
const square = ({accuracy}: RunResult) => accuracy.map((row) => row.slice(0, accuracy.length));

/** What a selection depends on. Seeds and labels of other methods may change without making it void. */
function searchPrint({sequence, network, training, selection}: Experiment): string {
  return fingerprint([sequence, network, training, selection]);
}

function chooseLabels(file: string, {methods}: Experiment, wanted?: readonly string[]): string[] {
  const all = Object.keys(methods);
  const unknown = wanted?.find((label) => !all.includes(label));
  if (unknown === undefined) return all.filter((label) => !wanted || wanted.includes(label));
  throw dataFileError(file, {
    expected: `a method "${unknown}"`,
    received: all.join(', '),
    remedy: 'Name methods as the experiment does, in quotes where a name has spaces.',
  });
}

/** The selection beside the file, where one of the methods needs it. */
async function selectionOf(
  file: string,
  experiment: Experiment,
  labels: readonly string[],
): Promise<Selection | undefined> {
  const needing = labels.filter((label) => experiment.methods[label].grid);
  if (needing.length === 0) return undefined;
  const beside = selectionFile(file);
  const found = await readJson<Selection>(beside);
  const tune = `Run "engram tune ${file}", which chooses the values of all grids.`;
  if (!found)
    throw dataFileError(beside, {expected: `values for ${needing.join(', ')}`, received: 'no such file', remedy: tune});
  if (found.fingerprint !== searchPrint(experiment)) {
    throw dataFileError(beside, {
      expected: 'a selection for this sequence, network and training',
      received: 'one for others',
      remedy: tune,
    });
  }
  for (const label of needing) {
    const tried = found.methods[label]?.settings.map(({method}) => method);
    if (JSON.stringify(tried) === JSON.stringify(points(experiment.methods[label]))) continue;
    throw dataFileError(beside, {
      expected: `the grid of ${label}`,
      received: tried ? 'another grid' : 'none',
      remedy: tune,
    });
  }
  return found;
}

/** Makes the folder, or finds in it what it should hold; and sees to it that the data are there. */
async function openFolder(
  {out, resume, data, signal, onDownload}: ExperimentOptions,
  contents: {experiment: Experiment; selection: Selection | undefined},
): Promise<void> {
  const file = join(out, 'experiment.json');
  const present = await readJson<{fingerprint: string}>(file);
  // Methods and seeds may be added to a folder; what is there must have been learned in the same way.
  const {sequence, network, training} = contents.experiment;
  const print = fingerprint([sequence, network, training]);
  if (present && present.fingerprint !== print) {
    throw dataFileError(file, {
      expected: 'the experiment that is run',
      received: 'another sequence, network or training',
      remedy: 'Name another folder with --out.',
    });
  }
  if (!resume && (await hasRuns(out))) {
    throw dataFileError(out, {
      expected: 'no results yet',
      received: 'runs of an earlier call',
      remedy: 'Go on with them by --resume, or name another folder with --out.',
    });
  }
  await ensureData(sequence, {folder: data, signal, onDownload});
  if (!existsSync(out)) await mkdir(out, {recursive: true});
  await writeJson(file, {fingerprint: print, ...contents});
}

function cellOf(
  {title, sequence, network, training, methods}: Experiment,
  label: string,
  method: MethodSpec,
  seed: number,
  {out, data}: ExperimentOptions,
): Cell {
  const {importanceFrom = 'train', importanceClasses} = methods[label];
  const measured = {importanceFrom, ...(importanceClasses && {importanceClasses})};
  return {
    experiment: {title, sequence, network, training},
    label,
    method,
    measured,
    seed,
    point: 0,
    folder: out,
    data,
  };
}
