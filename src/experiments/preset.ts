/** Learns a sequence as a preset says. */
import type {Method} from '../methods/method.js';
import type {Preset} from '../scenarios/presets.js';
import type {TaskSequence} from '../scenarios/sequences.js';
import type {SequenceResult} from './checkpoint.js';
import {learnSequence, type SequenceOptions} from './learn.js';
import {mlp} from './networks/mlp.js';

/** {@link learnSequence} with the preset's perceptron and settings. */
export function learnPreset(
  sequence: TaskSequence,
  method: Method,
  {hidden, learningRate, momentum, batchSize, epochs}: Omit<Preset, 'tasks' | 'lambda'>,
  options: SequenceOptions,
): Promise<SequenceResult> {
  const optimizer = {kind: 'momentum', learningRate, momentum} as const;
  return learnSequence(
    sequence,
    (image, seed) => mlp(image, {hidden}, seed),
    method,
    {optimizer, batchSize, epochs},
    options,
  );
}
