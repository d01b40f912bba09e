/** A training step (Adam) on the backends that Node has: Engram's native, tfjs' cpu and wasm where it can. */
import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-backend-cpu';
import '../dist/backends/native.js';
import {clock, interleave} from './measure.mjs';
import {networks, randomBatch} from './networks.mjs';

/** @returns rows {network, native, cpu, speedup}, times in milliseconds a step */
export async function training({rounds = 3} = {}) {
  const rows = [];
  for (const spec of Object.values(networks)) {
    const steps = {};
    for (const backend of ['native', 'cpu']) {
      await tf.setBackend(backend);
      const model = spec.model();
      model.compile({optimizer: tf.train.adam(1e-4), loss: 'categoricalCrossentropy'});
      const {x, y} = randomBatch(spec);
      steps[backend] = async () => {
        await tf.setBackend(backend);
        return clock(() => model.trainOnBatch(x, y));
      };
    }
    const times = await interleave(steps, rounds);
    rows.push({network: spec.title, native: times.native, cpu: times.cpu, speedup: times.cpu / times.native});
  }
  return rows;
}
