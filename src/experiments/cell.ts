/** One run: one method on one seed, in this process, from its last checkpoint to its result. */
import {resolve} from 'node:path';
import * as tf from '@tensorflow/tfjs-core';
import {drawnSequence} from './drawn-sequence.js';
import type {Experiment} from './file.js';
import {learnSequence, type SequenceProgress, type TrainingSettings} from './learn.js';
import {type MethodSpec, makeMethod} from './methods.js';
import {backboneOf} from './networks.js';
import {loadCheckpoint, loadResult, type RunResult, runOf, saveCheckpoint, saveResult} from './store.js';

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

/**
 * Runs a cell, or what is left of it.
 *
 * @throws EngramError DATA_FILE, NON_FINITE, ARGUMENT; the signal's reason
 */
export async function runCell(
  cell: Cell,
  {signal, onProgress}: {signal?: AbortSignal; onProgress?: (progress: SequenceProgress) => void} = {},
): Promise<RunResult> {
  const {experiment, label, method: spec, measured, seed, tasks} = cell;
  const {folder, run} = runOf(cell, tf.getBackend());
  const done = await loadResult(folder, run);
  if (done) return done;
  const sequence = await drawnSequence(experiment.sequence, seed, {folder: cell.data, signal}, cell.folder);
  const method = makeMethod(spec);
  try {
    const reached = await learnSequence(
      sequence,
      backboneOf(experiment.network, (file) => resolve(cell.data ?? '.', file)),
      method,
      {...experiment.training, ...measured},
      {
        seed,
        tasks,
        signal,
        ...(onProgress && {onProgress}),
        from: await loadCheckpoint(folder, run),
        onTask: (checkpoint) => saveCheckpoint(folder, run, checkpoint),
      },
    );
    const result = {label, method: spec, seed, run, backend: tf.getBackend(), ...reached};
    await saveResult(folder, result, (await method.state?.())?.tensors ?? new Map());
    return result;
  } finally {
    method.dispose();
  }
}
