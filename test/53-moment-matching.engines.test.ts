/** Incremental moment matching against float64 PyTorch: Fisher information, both ways of merging, and the transfer. */
import * as tf from '@tensorflow/tfjs';
import {afterEach, beforeEach, expect, it} from 'vitest';
import {EngramError} from '../dist/index.js';
import {estimateFisher} from '../dist/methods/fisher.js';
import {
  IncrementalMomentMatching,
  type IncrementalMomentMatchingOptions,
} from '../dist/methods/incremental-moment-matching.js';
import type {LearningTask} from '../dist/methods/method.js';
import {describeEngine, deviation, engineName, exactness} from './engine.js';
import {golden, HeadedNetwork, read, taskOf} from './golden-tasks.js';

const {tasks, merged, shares} = golden.moments;

describeEngine(`moment matching on ${engineName}`, () => {
  let network: HeadedNetwork;
  let before: number;
  beforeEach(() => {
    network = new HeadedNetwork(5, 7, {head0: 3, head1: 3, head2: 3});
    before = tf.memory().numTensors;
  });
  afterEach(() => {
    expect(tf.memory().numTensors).toBe(before);
    network.dispose();
  });
  const task = (index: number, size?: number): LearningTask => {
    const earlier = Array.from({length: index}, (_, k) => `head${k}`);
    return taskOf(network, tasks[index], {index, head: `head${index}`, earlier, ...(size && {size})});
  };
  /** What is tested after all three tasks, by golden name. */
  async function mergedBy(options: IncrementalMomentMatchingOptions): Promise<Map<string, Float32Array>> {
    const method = new IncrementalMomentMatching(options);
    for (const [index, {weights}] of tasks.entries()) {
      network.set(weights); // as training might have left them
      await method.afterTask(task(index));
    }
    const values = method.testValues();
    const named = network.names.map((name) => [name, values.get(network.variable(name).name)!] as const);
    expect(values.size).toBe(named.length);
    const found = await read(named);
    method.dispose();
    return found;
  }

  it('the empirical Fisher information is that of PyTorch, whatever the batches', async () => {
    for (const [index, {weights, fisher}] of tasks.entries()) {
      network.set(weights);
      for (const size of [1, 4, 9]) {
        const {network: model, samples} = task(index, size);
        const measured = await estimateFisher(model, samples());
        expect(measured.size).toBe(4);
        for (const [name, {values}] of Object.entries(fisher)) {
          const found = await measured.get(network.variable(name).name)!.data();
          expect(deviation(found, values), `${name}, ${size} at a time`).toBeLessThan(exactness);
        }
        tf.dispose([...measured.values()]);
      }
    }
  });

  it('the empirical Fisher information takes plain code and integer labels too', async () => {
    const [{weights, x, y, fisher}] = tasks;
    network.set(weights);
    const model = network.model('head0');
    const variables = ['hidden', 'hidden_bias', 'head0', 'head0_bias'].map((name) => network.variable(name));
    const plain = {forward: (inputs: tf.Tensor | tf.Tensor[]) => model.apply(inputs) as tf.Tensor, variables};
    const batch = {
      x: tf.tensor(x.values, x.shape),
      y: tf.tensor2d(y.values, y.shape as [number, number], 'int32'),
      rows: Uint32Array.from(Array(9).keys()),
    };
    const measured = await estimateFisher(plain, [batch]);
    for (const [name, {values}] of Object.entries(fisher)) {
      const found = await measured.get(network.variable(name).name)!.data();
      expect(deviation(found, values), name).toBeLessThan(exactness);
    }
    tf.dispose([batch.x, batch.y, [...measured.values()]]);
  });

  for (const merge of ['mean', 'mode'] as const) {
    for (const [title, own] of [
      [merge, {}],
      [`${merge} with shares`, {shares}],
    ] as const) {
      it(`${title}: what all tasks share is merged as in PyTorch, and each head is left as it was`, async () => {
        const found = await mergedBy({merge, ...own});
        for (const [name, values] of Object.entries(merged)) {
          expect(deviation(found.get(name)!, values[title].values), name).toBeLessThan(exactness);
        }
        for (const [index, {weights}] of tasks.entries()) {
          for (const name of [`head${index}`, `head${index}_bias`]) {
            expect([...found.get(name)!], name).toEqual(weights[name].values.map(Math.fround));
          }
        }
      });
    }
  }

  it('mode: a parameter that no task depends on is merged by its mean', async () => {
    const method = new IncrementalMomentMatching();
    const data = {
      x: {shape: [6, 5], values: Array(30).fill(0)},
      y: {shape: [6, 3], values: Array(6).fill([1, 0, 0]).flat()},
    };
    for (const index of [0, 1]) {
      network.set(tasks[index].weights);
      await method.afterTask(taskOf(network, data, {index, head: `head${index}`})); // inputs of 0: hidden has no gradient
    }
    const expected = tasks[0].weights.hidden.values.map((value, i) => (value + tasks[1].weights.hidden.values[i]) / 2);
    const found = await method.testValues().get(network.variable('hidden').name)!.data();
    expect(deviation(found, expected)).toBeLessThan(exactness);
    method.dispose();
  });

  it('training goes on from the network as it was trained, not from the merged one', async () => {
    const method = new IncrementalMomentMatching({merge: 'mean'});
    for (const index of [0, 1]) {
      network.set(tasks[index].weights);
      await method.beforeTask(task(index));
      await method.afterTask(task(index));
    }
    const found = await network.variable('hidden').data();
    expect([...found]).toEqual(tasks[1].weights.hidden.values.map(Math.fround));
    const tested = await method.testValues().get(network.variable('hidden').name)!.data();
    expect([...tested]).not.toEqual([...found]);
    method.dispose();
  });

  it('excluded variables are not merged', async () => {
    const method = new IncrementalMomentMatching({merge: 'mean', exclude: /bias/});
    await method.afterTask(task(0));
    const names = ['hidden', 'head0'].map((name) => network.variable(name).name);
    expect([...method.testValues().keys()]).toEqual(names);
    method.dispose();
  });

  it('L2-transfer holds what was learned before near the last network, and a new head not at all', async () => {
    const learningRate = 0.1;
    const transfer = 0.7;
    const method = new IncrementalMomentMatching({merge: 'mean', transfer, step: 'explicit'});
    for (const index of [0, 1]) {
      await method.beforeTask(task(index));
      network.set(tasks[index].weights); // as training might have left them
      await method.afterTask(task(index));
    }
    await method.beforeTask(task(2)); // in the third task no more firmly than in the second
    const optimizer = method.optimizer(tf.train.sgd(learningRate));
    const variables = ['hidden', 'head2'].map((name) => network.variable(name));
    tf.tidy(() => network.variable('hidden').assign(tf.add(network.variable('hidden'), 1))); // 1 away from it
    const was = await read(variables.map((variable) => [variable.name, variable]));
    const zero = () => tf.tidy(() => tf.mul(tf.addN(variables.map((variable) => tf.sum(variable))), 0) as tf.Scalar);
    optimizer.minimize(zero, false, variables);
    const hidden = await variables[0].data();
    const held = Array.from(was.get(variables[0].name)!, (value) => value - learningRate * 2 * transfer);
    expect(deviation(hidden, held, 1e-2)).toBeLessThan(exactness);
    expect(await variables[1].data()).toEqual(was.get(variables[1].name));
    optimizer.dispose();
    method.dispose();
  });

  it('without L2-transfer the optimizer is the one that was given', () => {
    const base = tf.train.sgd(0.1);
    const method = new IncrementalMomentMatching();
    expect(method.optimizer(base)).toBe(base);
    method.dispose();
    base.dispose();
  });

  for (const merge of ['mean', 'mode'] as const) {
    it(`${merge}: another object goes on from the state bit for bit`, async () => {
      const options = {merge, transfer: 0.1};
      const [method, other] = [new IncrementalMomentMatching(options), new IncrementalMomentMatching(options)];
      network.set(tasks[0].weights);
      await method.afterTask(task(0));
      const {tensors, json} = await method.state();
      other.restore({tensors, json: JSON.parse(JSON.stringify(json))});
      const results = [];
      for (const each of [method, other]) {
        network.set(tasks[0].weights);
        await each.beforeTask(task(1));
        network.set(tasks[1].weights);
        const optimizer = each.optimizer(tf.train.adam(0.05));
        const variables = ['hidden', 'hidden_bias', 'head1', 'head1_bias'].map((name) => network.variable(name));
        const loss = () => tf.tidy(() => tf.addN(variables.map((v) => tf.sum(tf.square(v)))) as tf.Scalar);
        for (let step = 0; step < 3; step++) optimizer.minimize(loss, false, variables);
        optimizer.dispose();
        await each.afterTask(task(1));
        results.push(await read(each.testValues()));
      }
      expect(results[0].size).toBe(6);
      expect(results[1]).toEqual(results[0]);
      method.dispose();
      other.dispose();
    });
  }

  it('refuses options out of range, and a task without a share', async () => {
    const bad = [{merge: 'median'}, {transfer: -1}, {shares: [1, 0]}, {floor: 0}, {step: 'implicit'}];
    for (const options of bad) {
      const make = () => new IncrementalMomentMatching(options as unknown as IncrementalMomentMatchingOptions);
      expect(make, JSON.stringify(options)).toThrow(EngramError);
    }
    const method = new IncrementalMomentMatching({shares: [1]});
    await method.afterTask(task(0));
    await expect(method.afterTask(task(1))).rejects.toMatchObject({code: 'ARGUMENT'});
    method.dispose();
  });

  it('a task that is aborted leaves everything as it was', async () => {
    const method = new IncrementalMomentMatching();
    await method.afterTask(task(0));
    const values = await read(method.testValues());
    const signal = AbortSignal.abort(new Error('enough'));
    await expect(method.afterTask({...task(1), signal})).rejects.toThrow('enough');
    expect(await read(method.testValues())).toEqual(values);
    method.dispose();
  });
});
