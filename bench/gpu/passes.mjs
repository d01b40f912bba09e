/** Whole passes on tfjs' `webgpu` backend: what a batch of consolidation costs next to a training step on that batch. */
import * as tf from '@tensorflow/tfjs-core';
import {MemoryAwareSynapses} from '../../dist/index.js';
import {clock, interleave} from '../measure.mjs';
import {architectures, whole} from './architectures.mjs';
import {randomTensor} from './ceilings.mjs';
import {modelOf} from './models.mjs';

/** The same batch `times` times: a GPU holds one of AlexNet's more easily than twenty. */
function* repeat(x, times) {
  for (let i = 0; i < times; i++) yield x;
}

/** @returns {step, consolidation} in milliseconds a batch, and what the last report says */
async function contenders(architecture, samples) {
  const model = modelOf(architecture);
  const outputs = model.outputs[0].shape[1];
  const images = randomTensor(tf, [samples, ...architecture.input]);
  const x = images.tensor;
  const labels = tf.tidy(() => tf.cast(tf.floor(tf.randomUniform([samples], 0, outputs, 'float32', 2)), 'int32'));
  const y = tf.oneHot(labels, outputs);
  const mas = new MemoryAwareSynapses(model, {lambda: 1});
  await mas.consolidate(x, {batchSize: samples}); // so that the step carries its penalty
  const optimizer = mas.optimizer(tf.train.sgd(1e-6));
  let last;

  const consolidate = async (batches) => {
    // A memory of its own each time: merging belongs to the end of a task, not to a batch.
    const fresh = new MemoryAwareSynapses(model, {lambda: 1});
    const ms = await clock(async () => {
      last = await fresh.consolidate(repeat(x, batches), {batchSize: samples});
    });
    fresh.dispose();
    return ms;
  };
  const train = (steps) =>
    clock(async () => {
      let loss;
      for (let i = 0; i < steps; i++) {
        loss?.dispose();
        loss = optimizer.minimize(() => tf.losses.softmaxCrossEntropy(y, model.apply(x, {training: true})), true);
      }
      await loss.data(); // everything before it has been computed then
      loss.dispose();
    });
  return {
    train,
    consolidate,
    report: () => last,
    dispose() {
      mas.dispose();
      model.dispose();
      tf.dispose([y, labels]);
      images.dispose();
    },
  };
}

/** Adds rows {network, B, step, consolidation, ratio, certificate, fallbacks}, times in milliseconds. */
export async function measurePasses({quick, samples, rows, report}) {
  if (!(await tf.setBackend('webgpu'))) throw new Error("tfjs' backend webgpu cannot be set");
  for (const network of whole) {
    const {train, consolidate, report: last, dispose} = await contenders(architectures({quick})[network], samples);
    await train(1);
    const once = await train(1);
    const batches = quick ? 1 : Math.max(2, Math.min(16, Math.round(1000 / once)));
    const difference = async (work) => {
      const few = await work(1);
      return ((await work(1 + batches)) - few) / batches;
    };
    const turns = {step: () => difference(train), consolidation: () => difference(consolidate)};
    const {step, consolidation} = await interleave(turns, quick ? 1 : 5);
    const {certificateSeconds, parameters} = last();
    rows.push({
      network,
      B: samples,
      batches,
      step,
      consolidation,
      ratio: consolidation / step,
      certificate: certificateSeconds * 1000,
      fallbacks: parameters.filter(({fallback}) => fallback).length,
      clock: 'host clock, marginal',
    });
    report(rows.at(-1));
    dispose();
  }
}
