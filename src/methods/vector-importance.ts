/** The importance that the norm of the outputs stands in for: the sensitivity of every output by itself. */
import * as tf from '@tensorflow/tfjs-core';
import type {Samples} from '../memory/batches.js';
import {estimateImportance} from '../memory/estimate.js';
import type {EstimateOptions} from '../memory/options.js';
import {asNetwork, type NetworkLike} from '../tape/index.js';
import {addImportance} from './add-importance.js';

/**
 * Omega = (1/N) sum_b sum_k |dF_k(x_b)/dtheta| (Aljundi et al., ECCV 2018, section 4.1, "the alternative"), exact per
 * sample. It needs a pass over the data for each of the n outputs, so it costs n times what the norm does.
 *
 * @param data gives the samples anew for each pass
 * @returns new tensors by variable name, owned by the caller
 * @throws EngramError as {@link estimateImportance}
 */
export async function estimateVectorImportance(
  network: NetworkLike,
  data: () => Samples,
  options: EstimateOptions = {},
): Promise<Map<string, tf.Tensor>> {
  const {variables} = asNetwork(network);
  let outputs = Number.POSITIVE_INFINITY;
  const total = new Map<string, tf.Tensor>();
  for (let k = 0; k < outputs; k++) {
    const seed = (F: tf.Tensor): tf.Tensor => {
      outputs = F.size / F.shape[0];
      return tf.tidy(() => oneOutput(F, k));
    };
    try {
      const {importance} = await estimateImportance(network, data(), {...options, variables, seed});
      addImportance(total, importance);
    } catch (error) {
      tf.dispose([...total.values()]);
      throw error;
    }
  }
  return total;
}

/** dF_k/dF: 1 at output k of every sample, 0 elsewhere. */
export function oneOutput(F: tf.Tensor, k: number): tf.Tensor {
  const [samples] = F.shape;
  const width = F.size / samples;
  const row = tf.cast(tf.oneHot(tf.tensor1d([k], 'int32'), width), 'float32');
  return tf.reshape(tf.tile(row, [samples, 1]), F.shape);
}
