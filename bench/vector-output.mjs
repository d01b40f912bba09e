/**
 * What the norm of the outputs saves: a pass over the data for the importance of ||F||^2 against the importance of every
 * output by itself, on a perceptron of n outputs. `separate` is a pass for each output, of which the paper says that it
 * takes n times as long (Aljundi et al., ECCV 2018, section 4.1); `shared` is what estimateVectorImportance() does, one
 * forward pass for all outputs. Certificates are taken before. Medians of interleaved turns.
 */

import * as tf from '@tensorflow/tfjs-core';
import * as layers from '@tensorflow/tfjs-layers';
import {useBackend} from '../dist/experiments/backend.js';
import {Accumulation} from '../dist/memory/accumulation.js';
import {eachOutput} from '../dist/methods/vector-importance.js';
import {clock, interleave, load} from './measure.mjs';

const inputs = 784;
const hidden = [256, 256];
const batchSize = 64;
/** Outputs, and samples a pass: fewer where there are more passes. */
const cases = [
  {outputs: 10, samples: 2048, rounds: 21},
  {outputs: 100, samples: 1024, rounds: 9},
  {outputs: 1000, samples: 512, rounds: 3},
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
    let output = 0;
    const contenders = {
      norm: new Accumulation(model),
      shared: new Accumulation(model, {seed: eachOutput}),
      separate: new Accumulation(model, {
        seed: (F) => tf.oneHot(tf.fill([F.shape[0]], output, 'int32'), outputs, 1, 0, 'float32'),
      }),
    };
    const {norm, shared, separate} = contenders;
    const pass = (accumulation) => accumulation.add(x, {batchSize});
    for (const accumulation of Object.values(contenders)) await pass(accumulation);
    const times = await interleave(
      {
        norm: () => clock(() => pass(norm)),
        shared: () => clock(() => pass(shared)),
        separate: () =>
          clock(async () => {
            for (output = 0; output < outputs; output++) await pass(separate);
          }),
      },
      rounds,
    );
    for (const accumulation of Object.values(contenders)) accumulation.dispose();
    tf.dispose(x);
    model.dispose();
    rows.push({
      network: [inputs, ...hidden, outputs].join('-'),
      backend: name,
      samples,
      'norm ms': times.norm,
      'separate ms': times.separate,
      'shared ms': times.shared,
      'separate / norm / n': times.separate / times.norm / outputs,
      'shared / norm / n': times.shared / times.norm / outputs,
      load: load(),
    });
  }
  return rows;
}
