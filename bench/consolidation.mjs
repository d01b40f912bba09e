/** What consolidation costs: marginal time a batch, next to forward + backward + Engram's fused SGD step on that batch. */
import * as tf from '@tensorflow/tfjs-core';
import {MemoryAwareSynapses} from '../dist/index.js';
import {clock, interleave, load} from './measure.mjs';
import {networks, randomBatch} from './networks.mjs';

const marginalBatches = 16;

/**
 * The two as contenders of {@link interleave}.
 *
 * @returns {contenders: {step, consolidation}, reports of all consolidations, dispose}
 */
export async function consolidationContenders(spec) {
  const model = spec.model();
  const mas = new MemoryAwareSynapses(model, {lambda: 1});
  const optimizer = mas.optimizer(tf.train.sgd(1e-4));
  model.compile({optimizer, loss: 'categoricalCrossentropy'});
  const {x, y} = randomBatch(spec);
  const few = randomBatch(spec, spec.batch * 4).x;
  const many = randomBatch(spec, spec.batch * (4 + marginalBatches)).x;
  const reports = [];
  const consolidate = async (data) => {
    // A memory of its own each time: merging belongs to the end of a task, not to a batch.
    const fresh = new MemoryAwareSynapses(model, {lambda: 1});
    const start = performance.now();
    reports.push(await fresh.consolidate(data, {batchSize: spec.batch}));
    const milliseconds = performance.now() - start;
    fresh.dispose();
    return milliseconds;
  };
  await mas.consolidate(x, {batchSize: spec.batch}); // so that the step carries its penalty
  return {
    reports,
    contenders: {
      step: async () =>
        (await clock(async () => {
          for (let i = 0; i < 4; i++) await model.trainOnBatch(x, y);
        })) / 4,
      consolidation: async () => {
        const short = await consolidate(few);
        return ((await consolidate(many)) - short) / marginalBatches;
      },
    },
    dispose: () => {
      mas.dispose();
      tf.dispose([x, y, few, many]);
      model.dispose();
    },
  };
}

/** @returns rows {network, step, consolidation, ratio, certificate, finish, samplesPerSecond}, times in milliseconds */
export async function consolidation({backend = 'native', rounds = 7} = {}) {
  if (backend === 'native') await import('../dist/backends/native.js');
  await tf.setBackend(backend);
  const rows = [];
  for (const spec of [networks.mlp, networks.cnn]) {
    const {contenders, reports, dispose} = await consolidationContenders(spec);
    const times = await interleave(contenders, rounds);
    const last = reports.at(-1);
    rows.push({
      network: spec.title,
      backend,
      step: times.step,
      consolidation: times.consolidation,
      ratio: times.consolidation / times.step,
      certificate: last.certificateSeconds * 1000,
      finish: last.finishSeconds * 1000,
      samplesPerSecond: (1000 * spec.batch) / times.consolidation,
      fallbacks: last.parameters.filter(({fallback}) => fallback).length,
      load: load(),
    });
    dispose();
  }
  return rows;
}
