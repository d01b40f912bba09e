/** The Fisher information and the vector output against float64 PyTorch; what EWC makes of several tasks. */
import {readFileSync} from 'node:fs';
import * as tf from '@tensorflow/tfjs';
import {afterAll, expect, it} from 'vitest';
import {ElasticWeightConsolidation, estimateFisher, estimateVectorImportance} from '../dist/index.js';
import type {LearningTask} from '../dist/methods/method.js';
import {describeEngine, deviation, engineName, exactness} from './engine.js';

const golden = JSON.parse(readFileSync(new URL('./golden/fisher.json', import.meta.url), 'utf8'));
const [inputs, hidden, outputs] = golden.sizes as [number, number, number];
const likelihoods = ['categorical', 'bernoulli', 'gaussian'] as const;

describeEngine(`the Fisher information on ${engineName}`, () => {
  const model = tf.sequential({
    layers: [
      tf.layers.dense({units: hidden, activation: 'relu', inputShape: [inputs]}),
      tf.layers.dense({units: outputs}),
    ],
  });
  const shapes = [[inputs, hidden], [hidden], [hidden, outputs], [outputs]];
  model.setWeights(golden.weights.map((values: number[], i: number) => tf.tensor(values, shapes[i])));
  const variables = model.trainableWeights.map((weight) => weight.read() as tf.Variable);
  const x = tf.tensor2d(golden.x);
  const y = Object.fromEntries(likelihoods.map((name) => [name, tf.tensor2d(golden.targets[name] as number[][])]));
  afterAll(() => tf.dispose([x, ...Object.values(y), ...variables]));

  /** Batches of three: the result must not depend on them. */
  function* batches(targets?: tf.Tensor) {
    for (let start = 0; start < x.shape[0]; start += 3) {
      const part = (whole: tf.Tensor) => tf.slice(whole, start, 3);
      const batch = {x: part(x), ...(targets && {y: part(targets)})};
      try {
        yield batch;
      } finally {
        tf.dispose(batch);
      }
    }
  }
  const valuesOf = (tensors: tf.Tensor[]) =>
    Promise.all(tensors.map(async (tensor) => (await tensor.data()).slice() as Float32Array));
  async function expectValues(importance: Map<string, tf.Tensor>, expected: number[][]) {
    expect([...importance.keys()].toSorted()).toEqual(variables.map(({name}) => name).toSorted());
    for (const [i, {name}] of variables.entries()) {
      expect(deviation(await importance.get(name)!.data(), expected[i]), name).toBeLessThan(exactness);
    }
    tf.dispose([...importance.values()]);
  }

  for (const likelihood of likelihoods) {
    it(`of the data’s own labels equals float64 PyTorch: ${likelihood}`, async () => {
      const fisher = await estimateFisher(model, batches(y[likelihood]), {likelihood});
      await expectValues(fisher, golden.empirical[likelihood]);
    });

    it(`of all labels equals the sum over every labelling: ${likelihood}`, async () => {
      const fisher = await estimateFisher(model, batches(), {kind: 'expectation', likelihood});
      await expectValues(fisher, golden.expectation[likelihood]);
    });

    it(`of drawn labels has the expectation as its mean: ${likelihood}`, async () => {
      const many = tf.tile(x, [300, 1]); // one seed, many draws for each sample
      const fisher = await estimateFisher(model, [{x: many}], {kind: 'sampled', likelihood, seed: 3});
      const again = await estimateFisher(model, [{x: many}], {kind: 'sampled', likelihood, seed: 3});
      const other = await estimateFisher(model, [{x: many}], {kind: 'sampled', likelihood, seed: 4});
      for (const [i, {name}] of variables.entries()) {
        const drawn = await fisher.get(name)!.data();
        expect(await again.get(name)!.data()).toEqual(drawn);
        expect(await other.get(name)!.data()).not.toEqual(drawn);
        const expected = golden.expectation[likelihood][i] as number[];
        const error = Math.hypot(...expected.map((value, j) => drawn[j] - value)) / Math.hypot(...expected);
        expect(error, name).toBeLessThan(0.15);
      }
      tf.dispose([many, ...fisher.values(), ...again.values(), ...other.values()]);
    });
  }

  it('is not that of another kind: the tests above could not tell otherwise', () => {
    for (const likelihood of likelihoods) {
      expect(deviation(golden.empirical[likelihood][0], golden.expectation[likelihood][0])).toBeGreaterThan(0.1);
    }
  });

  it('of every output by itself equals float64 PyTorch', async () => {
    await expectValues(await estimateVectorImportance(model, batchesOfInputs()), golden.vector);
  });
  function* batchesOfInputs() {
    for (const batch of batches()) yield batch.x;
  }

  it('asks for targets where it needs them, and leaks nothing when it is refused', async () => {
    const before = tf.memory().numTensors;
    await expect(estimateFisher(model, batches())).rejects.toMatchObject({code: 'ARGUMENT'});
    await expect(estimateFisher(model, batches(), {kind: 'diagonal' as 'sampled'})).rejects.toMatchObject({
      code: 'ARGUMENT',
    });
    expect(() => new ElasticWeightConsolidation({lambda: -1})).toThrow(/lambda/);
    expect(tf.memory().numTensors).toBe(before);
  });

  /** Two tasks learned one after the other: their Fisher information and optima, and what EWC then holds. */
  async function twoTasks(ewc: ElasticWeightConsolidation) {
    const optima: Float32Array[][] = [];
    const fishers: Float32Array[][] = [];
    const own = variables.map((variable) => tf.clone(variable));
    for (const [index, likelihood] of (['categorical', 'bernoulli'] as const).entries()) {
      const targets = likelihood === 'categorical' ? y.categorical : tf.reverse(y.categorical, 1);
      optima.push(await valuesOf(variables));
      const fisher = await estimateFisher(model, batches(targets));
      fishers.push(await valuesOf(variables.map(({name}) => fisher.get(name)!)));
      const samples = async function* () {
        for (const batch of batches(targets)) yield {...batch, y: batch.y as tf.Tensor2D, rows: new Uint32Array(3)};
      };
      await ewc.afterTask({index, network: model, samples, seed: 1} as unknown as LearningTask);
      variables.forEach((variable, i) => {
        tf.tidy(() => variable.assign(tf.add(variable, tf.randomNormal(variable.shape, 0, 0.1, 'float32', 10 + i))));
      });
      tf.dispose([...fisher.values()]);
      if (index === 1) targets.dispose();
    }
    const restore = () => {
      for (const [i, variable] of variables.entries()) variable.assign(own[i]);
      tf.dispose(own);
    };
    return {optima, fishers, theta: await valuesOf(variables), restore};
  }

  it('separate penalties: one step equals one with every task’s penalty written out', async () => {
    const before = tf.memory().numTensors;
    const lambda = 30;
    const ewc = new ElasticWeightConsolidation({lambda, step: 'explicit'});
    const {optima, fishers, theta, restore} = await twoTasks(ewc);
    const rate = 0.01;
    const optimizer = ewc.optimizer(tf.train.sgd(rate));
    tf.tidy(() => {
      optimizer.applyGradients(variables.map((v) => ({name: v.name, tensor: tf.zerosLike(v) as tf.Tensor})));
    });
    for (const [i, variable] of variables.entries()) {
      const expected = [...theta[i]].map((value, j) => {
        const pull = [0, 1].reduce((sum, t) => sum + lambda * fishers[t][i][j] * (value - optima[t][i][j]), 0);
        return value - rate * pull;
      });
      const moved = await variable.data();
      const steps = expected.map((value, j) => value - theta[i][j]);
      const error = Math.hypot(...steps.map((step, j) => moved[j] - theta[i][j] - step)) / Math.hypot(...steps);
      expect(error, variable.name).toBeLessThan(1e-4);
    }
    optimizer.dispose();
    restore();
    ewc.dispose();
    expect(tf.memory().numTensors).toBe(before);
  });

  it('online: earlier information fades and the last optimum is held; its state goes on elsewhere', async () => {
    const ewc = new ElasticWeightConsolidation({lambda: 1, penalties: 'online', decay: 0.4});
    const {optima, fishers, restore} = await twoTasks(ewc);
    for (const [i, {name}] of variables.entries()) {
      const expected = [...fishers[1][i]].map((value, j) => value + 0.4 * fishers[0][i][j]);
      expect(deviation(await ewc.memory.importance.get(name)!.data(), expected)).toBeLessThan(exactness);
      expect(await ewc.memory.anchor.get(name)!.data()).toEqual(optima[1][i]);
    }
    const copy = new ElasticWeightConsolidation({lambda: 1, penalties: 'online', decay: 0.4});
    copy.restore(await ewc.state());
    for (const {name} of variables) {
      expect(await copy.memory.importance.get(name)!.data()).toEqual(await ewc.memory.importance.get(name)!.data());
      expect(copy.memory.tasks.get(name)).toBe(2);
    }
    expect(() => copy.restore({tensors: new Map(), json: {tasks: {w: 1}}})).toThrow(/importance.w/);
    restore();
    ewc.dispose();
    copy.dispose();
  });
});
