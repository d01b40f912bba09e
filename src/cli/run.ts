/** `engram run` and `engram tune`: an experiment of a file, with what was reached. */
import {basename} from 'node:path';
import Table from 'cli-table3';
import {type BackendName, chooseBackend} from '../experiments/backend.js';
import {type ExperimentOptions, runExperiment, selectionFile, selectSettings} from '../experiments/experiment.js';
import {points, readExperiment} from '../experiments/file.js';
import {comparisonTable} from '../report/tables.js';
import {showDownload, showRuns} from './progress.js';

/** What the user may set. */
export interface RunOptions {
  out?: string;
  methods?: string[];
  seeds?: number[];
  backend?: BackendName;
  jobs?: number;
  resume?: boolean;
  data?: string;
}

/** Runs an experiment and prints a table. */
export async function run(file: string, options: RunOptions, signal: AbortSignal): Promise<void> {
  const began = performance.now();
  const experiment = await readExperiment(file);
  const labels = Object.keys(experiment.methods).filter((label) => options.methods?.includes(label) ?? true);
  const seeds = options.seeds ?? experiment.seeds;
  const view = showRuns(new Map(labels.map((label) => [label, seeds.length])));
  const settings = settingsOf(file, 'runs', options, signal);
  try {
    const results = await runExperiment(file, experiment, {
      ...settings,
      onProgress: ({label, seed}, progress) => view.update(label, `seed ${seed}`, progress),
      onResult: ({label, seed}) => view.done(label, `seed ${seed}`),
    });
    view.stop();
    console.log(`\n${experiment.title}`);
    console.log(comparisonTable(results, experiment));
    console.log(`written: ${settings.out}; "engram report ${settings.out}" makes a page of it`);
    console.log(`${((performance.now() - began) / 1000).toFixed(1)} s in all`);
  } finally {
    view.stop();
  }
}

/** Chooses the values of the grids and prints what was tried. */
export async function tune(file: string, options: RunOptions, signal: AbortSignal): Promise<void> {
  const experiment = await readExperiment(file);
  const searched = Object.entries(experiment.methods).filter(
    ([label, {grid}]) => grid && (options.methods?.includes(label) ?? true),
  );
  const seedCount = experiment.selection?.seeds.length ?? 0;
  const view = showRuns(new Map(searched.map(([label, spec]) => [label, points(spec).length * seedCount])));
  try {
    const {methods, seeds, tasks} = await selectSettings(file, experiment, {
      ...settingsOf(file, 'tune', options, signal),
      onProgress: ({label, seed, point}, progress) => view.update(label, `setting ${point}, seed ${seed}`, progress),
      onResult: ({label, seed, point}) => view.done(label, `setting ${point}, seed ${seed}`),
    });
    view.stop();
    console.log(`\nAverage accuracy (%) after ${tasks} tasks, mean of seeds ${seeds.join(', ')}`);
    const table = new Table({
      head: ['', 'settings', 'average', 'chosen'],
      style: {head: [], border: [], compact: true},
    });
    for (const [label, {chosen, settings}] of Object.entries(methods)) {
      for (const [i, {method, averageAccuracy}] of settings.entries()) {
        const {method: _, ...values} = method;
        const mean = averageAccuracy.reduce((sum, value) => sum + value, 0) / averageAccuracy.length;
        const mark = JSON.stringify(method) === JSON.stringify(chosen) ? '✓' : '';
        table.push([i === 0 ? label : '', JSON.stringify(values), (100 * mean).toFixed(1), mark]);
      }
    }
    console.log(`${table}\nwritten: ${selectionFile(file)}`);
  } finally {
    view.stop();
  }
}

function settingsOf(file: string, kind: string, options: RunOptions, signal: AbortSignal): ExperimentOptions {
  const {name: backend, notice} = chooseBackend(options.backend);
  if (notice) console.warn(notice);
  const out = options.out ?? `./engram-${kind}/${basename(file).replace(/\.json$/, '')}`;
  return {...options, backend, out, signal, onDownload: showDownload('the data')};
}
