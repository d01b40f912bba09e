/** The importance that the norm of the outputs stands in for: the sensitivity of every output by itself. */
import * as tf from '@tensorflow/tfjs-core';
import type {Samples} from '../memory/batches.js';
import {estimateImportance} from '../memory/estimate.js';
import type {EstimateOptions} from '../memory/options.js';
import type {NetworkLike} from '../tape/index.js';

/**
 * Omega = (1/N) sum_b sum_k |dF_k(x_b)/dtheta| over all outputs k (Aljundi et al., ECCV 2018, section 4.1, "the
 * alternative"), exact per sample. A batch goes forward once and back once for each of the n outputs, where the norm goes
 * back once.
 *
 * @returns new tensors by variable name, owned by the caller; variables not on the path to the outputs are absent
 * @throws EngramError as {@link estimateImportance}
 */
export async function estimateVectorImportance(
  network: NetworkLike,
  data: Samples,
  options: EstimateOptions = {},
): Promise<Map<string, tf.Tensor>> {
  return (await estimateImportance(network, data, {...options, seed: eachOutput})).importance;
}

/** dF_k/dF for one output k after the other: 1 at output k of every sample, 0 elsewhere. */
export function* eachOutput(F: tf.Tensor): Generator<tf.Tensor> {
  const [samples] = F.shape;
  const width = F.size / samples;
  for (let k = 0; k < width; k++) {
    const column = tf.oneHot(tf.fill([samples], k, 'int32'), width, 1, 0, 'float32');
    yield tf.reshape(column, F.shape);
  }
}
