/** A training step (Adam) on Engram's native backend and on tfjs' cpu; wasm cannot train convolutions (no kernel). */
import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-backend-cpu';
import '../dist/backends/native.js';
import {clock, interleave} from './measure.mjs';
import {networks, randomBatch} from './networks.mjs';

/** A batch small enough for tfjs' cpu backend, whose pooling gradient takes seconds a step. */
const batch = 8;

/** @returns rows {network, batch, native, cpu, speedup}, times in milliseconds a step */
export async function training({rounds = 3} = {}) {
  const rows = [];
  for (const spec of Object.values(networks)) {
    const steps = {};
    for (const backend of ['native', 'cpu']) {
      await tf.setBackend(backend);
      const model = spec.model();
      model.compile({optimizer: tf.train.adam(1e-4), loss: 'categoricalCrossentropy'});
      const {x, y} = randomBatch(spec, batch);
      steps[backend] = async () => {
        await tf.setBackend(backend);
        return clock(() => model.trainOnBatch(x, y));
      };
    }
    const times = await interleave(steps, rounds);
    rows.push({
      network: spec.title.replace(/, B = .*/, ''),
      batch,
      native: times.native,
      cpu: times.cpu,
      speedup: times.cpu / times.native,
    });
  }
  return rows;
}
