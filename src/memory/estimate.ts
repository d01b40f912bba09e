/** From a network and unlabelled samples to the importance of every parameter, in one call. */
import * as tf from '@tensorflow/tfjs-core';
import type {NetworkLike} from '../tape/index.js';
import {Accumulation} from './accumulation.js';
import type {Samples} from './batches.js';
import type {AccumulationSettings} from './measure.js';
import type {EstimateOptions} from './options.js';
import type {ImportanceReport} from './tally.js';

/** What is measured, of which variables, and how the data are read. */
export interface EstimateSettings extends EstimateOptions, AccumulationSettings {}

/**
 * Omega[p] = (1/N) sum_b phi(dS_b/dtheta_p), exact per sample, whatever the batch size (MAS paper, equation 2).
 *
 * @returns new tensors by variable name, owned by the caller; variables not on the path to the outputs are absent
 * @throws EngramError SHAPE, DTYPE, EMPTY_DATA, NON_FINITE, NESTED_TAPE, NO_GRADIENTS, ARGUMENT, DISPOSED, CHANGED;
 * BACKEND or DEVICE for a precision that is not to be had; the signal's reason
 */
export async function estimateImportance(
  network: NetworkLike,
  data: Samples,
  settings: EstimateSettings = {},
): Promise<{importance: Map<string, tf.Tensor>; report: ImportanceReport}> {
  const accumulation = new Accumulation(network, settings);
  try {
    await accumulation.add(data, settings);
    const finished = await accumulation.finish();
    try {
      await accumulation.presentTheta(); // finishing waits for the device, and training may not
    } catch (error) {
      tf.dispose([...finished.importance.values()]);
      throw error;
    }
    return finished;
  } finally {
    accumulation.dispose();
  }
}
