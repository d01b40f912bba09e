/**
 * A training step (SGD, cross entropy) on `native`, on tfjs' cpu, and on tfjs' wasm where it can train at all: it has no
 * gradient of a filter, of pooling or of a gather. `fused` is `native` with Engram's fused step in the place of tfjs'.
 * Nothing is consolidated, so there is no penalty: all compute the same step.
 */
import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-backend-cpu';
import '@tensorflow/tfjs-backend-wasm';
import '../dist/backends/native.js';
import {MemoryAwareSynapses} from '../dist/index.js';
import {interleave, load, longRun, repeated} from './measure.mjs';
import {networks, randomBatch} from './networks.mjs';

const rate = 1e-4;

/** Batches small enough for tfjs' cpu, whose step would take minutes; how often it is to be slower than `native`. */
const comparisons = {
  mlp: {batch: 128, wanted: 10, wasm: true, wasmWanted: 2},
  cnn: {batch: 8, wanted: 50},
  lenet: {batch: 64, wanted: 50},
  lstm: {batch: 32, wanted: 30},
  alexnet: {batch: 1, rounds: 1},
};

/**
 * Training steps on one backend, as contenders of {@link interleave} that share a model.
 *
 * @returns {steps: {plain, fused}, dispose}
 */
export async function trainingSteps(spec, backend, batch = spec.batch) {
  await tf.setBackend(backend);
  const model = spec.model();
  const {x, y} = randomBatch(spec, batch);
  const mas = new MemoryAwareSynapses(model, {lambda: 1});
  const optimizers = {plain: tf.train.sgd(rate), fused: mas.optimizer(tf.train.sgd(rate))};
  const step = (optimizer) => async () => {
    await tf.setBackend(backend);
    model.compile({optimizer, loss: 'categoricalCrossentropy'});
    return repeated(() => model.trainOnBatch(x, y));
  };
  return {
    steps: {plain: step(optimizers.plain), fused: step(optimizers.fused)},
    dispose: () => {
      mas.dispose();
      model.dispose();
      tf.dispose([x, y]);
    },
  };
}

/** The step of Adam alone, on one variable of 1 Mi parameters. */
async function adamSteps() {
  const steps = {};
  const size = [1024, 1024];
  for (const [name, backend] of [
    ['fused', 'native'],
    ['native', 'native'],
    ['cpu', 'cpu'],
  ]) {
    await tf.setBackend(backend);
    const kernel = tf.variable(tf.randomNormal(size, 0, 1, 'float32', 1), true, `adam/${name}`);
    const network = {forward: (x) => tf.matMul(x, kernel), variables: [kernel]};
    const gradient = tf.randomNormal(size, 0, 1, 'float32', 2);
    const own = tf.train.adam(rate);
    const optimizer = name === 'fused' ? new MemoryAwareSynapses(network, {lambda: 1}).optimizer(own) : own;
    steps[name] = async () => {
      await tf.setBackend(backend);
      return repeated(() => tf.tidy(() => optimizer.applyGradients({[kernel.name]: gradient})));
    };
  }
  return steps;
}

/** @returns rows {network, batch, fused, native, cpu, wasm, ratios, wanted, load}, times in milliseconds a step */
export async function training({rounds = 3} = {}) {
  const rows = [];
  const add = (network, batch, {fused, native, cpu, wasm}, {wanted, wasmWanted, ratio = cpu / native}) =>
    rows.push({
      network,
      batch,
      fused,
      native,
      cpu,
      wasm,
      'cpu / native': ratio,
      wanted,
      'wasm / native': wasm && wasm / native,
      'wasm wanted': wasmWanted,
      load: load(),
    });
  for (const [name, {batch, wasm, rounds: fewer, ...wanted}] of Object.entries(comparisons)) {
    const spec = networks[name];
    const native = await trainingSteps(spec, 'native', batch);
    const others = {cpu: await trainingSteps(spec, 'cpu', batch)};
    if (wasm) others.wasm = await trainingSteps(spec, 'wasm', batch);
    const contenders = {fused: native.steps.fused, native: native.steps.plain};
    for (const [backend, {steps}] of Object.entries(others)) contenders[backend] = steps.plain;
    const title =
      spec.title.replace(/, B = .*/, '') + (batch < spec.batch ? ` (B = ${spec.batch} takes cpu minutes)` : '');
    const times = await interleave(contenders, fewer ?? rounds, longRun);
    add(title, batch, times, wanted);
    for (const {dispose} of [native, ...Object.values(others)]) dispose();
  }
  const adam = await interleave(await adamSteps(), rounds, longRun);
  add('Adam step alone, 1 Mi parameters (cpu / fused)', null, adam, {wanted: 10, ratio: adam.cpu / adam.fused});
  return rows;
}
