/** One run in words: one method on one seed, and what tells it apart from every other. */
import {type Experiment, fingerprint} from './file.js';
import type {TrainingSettings} from './learn.js';
import type {MethodSpec} from './methods.js';
import {runFolder} from './store.js';

/** What tells a run apart, in words that can be sent to another process. */
export interface Cell {
  readonly experiment: Omit<Experiment, 'methods' | 'seeds' | 'selection' | 'published'>;
  readonly label: string;
  /** The method with all of its options. */
  readonly method: MethodSpec;
  /** What importance is measured on. */
  readonly measured: Pick<TrainingSettings, 'importanceFrom' | 'importanceClasses'>;
  readonly seed: number;
  /** Which setting of its grid, from 1; 0 for a run that is not part of a selection. */
  readonly point: number;
  /** Learn the first tasks only. */
  readonly tasks?: number | undefined;
  /** Where the results of the experiment go. */
  readonly folder: string;
  /** Where the data are. */
  readonly data?: string | undefined;
}

/** The folder of a cell's run, and what tells the run apart from every other. */
export function runOf(cell: Cell, backend: string): {folder: string; run: string} {
  const {experiment, label, method, measured, seed, tasks, point} = cell;
  const run = fingerprint([experiment, method, measured, seed, tasks, backend]);
  return {folder: runFolder(cell.folder, label, seed, point), run};
}
