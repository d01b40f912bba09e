/** One run: one method on one seed, in this process, from its last checkpoint to its result. */
import {resolve} from 'node:path';
import * as tf from '@tensorflow/tfjs-core';
import {type Cell, runOf} from './cell.js';
import {drawnSequence} from './drawn-sequence.js';
import {learnSequence, type SequenceProgress} from './learn.js';
import {makeMethod} from './methods.js';
import {backboneOf} from './networks.js';
import {loadCheckpoint, loadResult, type RunResult, saveCheckpoint, saveResult} from './store.js';

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
