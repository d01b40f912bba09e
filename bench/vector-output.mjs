/**
 * What the norm of the outputs saves: a pass over the data for the importance of ||F||^2 against one for every output
 * (Aljundi et al., ECCV 2018, section 4.1: "n times slower"), on a perceptron of n outputs. The ratio is of the medians
 * of interleaved runs; the paper's claim is a ratio of about n.
 */

import * as tf from '@tensorflow/tfjs-core';
import * as layers from '@tensorflow/tfjs-layers';
import {useBackend} from '../dist/experiments/backend.js';
import {estimateImportance} from '../dist/memory/estimate.js';
import {estimateVectorImportance} from '../dist/methods/vector-importance.js';
import {clock, interleave, load} from './measure.mjs';

const inputs = 784;
const hidden = [256, 256];
const batchSize = 64;
/** Outputs, and samples a pass: fewer where there are more passes. */
const cases = [
  {outputs: 10, samples: 1024, rounds: 9},
  {outputs: 100, samples: 512, rounds: 5},
  {outputs: 1000, samples: 256, rounds: 3},
];

export async function vectorOutput({backend} = {}) {
  const {name} = await useBackend(backend);
  const rows = [];
  for (const {outputs, samples, rounds} of cases) {
    const model = layers.sequential({
      layers: [
        layers.layers.dense({units: hidden[0], activation: 'relu', inputShape: [inputs]}),
        layers.layers.dense({units: hidden[1], activation: 'relu'}),
        layers.layers.dense({units: outputs}),
      ],
    });
    const x = tf.randomNormal([samples, inputs], 0, 1, 'float32', 1);
    const free = (importance) => tf.dispose([...importance.values()]);
    const passes = {
      norm: async () => free((await estimateImportance(model, x, {batchSize})).importance),
      vector: async () => free(await estimateVectorImportance(model, () => x, {batchSize})),
    };
    const {norm, vector} = await interleave(
      Object.fromEntries(Object.entries(passes).map(([key, pass]) => [key, () => clock(pass)])),
      rounds,
    );
    tf.dispose(x);
    model.dispose();
    rows.push({
      network: [inputs, ...hidden, outputs].join('-'),
      backend: name,
      samples,
      'norm ms': norm,
      'vector ms': vector,
      ratio: vector / norm,
      'ratio / n': vector / norm / outputs,
      load: load(),
    });
  }
  return rows;
}
