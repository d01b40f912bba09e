/**
 * A training step (Adam) on Engram's native backend, with tfjs' and with Engram's fused Adam, and on tfjs' cpu. Nothing
 * is consolidated, so there is no penalty: all three compute the same step.
 */
import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-backend-cpu';
import '../dist/backends/native.js';
import {MemoryAwareSynapses} from '../dist/index.js';
import {clock, interleave} from './measure.mjs';
import {networks, randomBatch} from './networks.mjs';

/** A batch small enough for tfjs' cpu backend, whose pooling gradient takes seconds a step. */
const batch = 8;

const contenders = {
  fused: {
    backend: 'native',
    optimizer: (model) => new MemoryAwareSynapses(model, {lambda: 1}).optimizer(tf.train.adam(1e-4)),
  },
  native: {backend: 'native', optimizer: () => tf.train.adam(1e-4)},
  cpu: {backend: 'cpu', optimizer: () => tf.train.adam(1e-4)},
};

/** @returns rows {network, batch, fused, native, cpu, speedup}, times in milliseconds a step */
export async function training({rounds = 3} = {}) {
  const rows = [];
  for (const spec of Object.values(networks)) {
    const steps = {};
    for (const [name, {backend, optimizer}] of Object.entries(contenders)) {
      await tf.setBackend(backend);
      const model = spec.model();
      model.compile({optimizer: optimizer(model), loss: 'categoricalCrossentropy'});
      const {x, y} = randomBatch(spec, batch);
      steps[name] = async () => {
        await tf.setBackend(backend);
        return clock(() => model.trainOnBatch(x, y));
      };
    }
    const times = await interleave(steps, rounds);
    rows.push({network: spec.title.replace(/, B = .*/, ''), batch, ...times, speedup: times.cpu / times.fused});
  }
  return rows;
}
