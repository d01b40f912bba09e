/** How tasks join the memory: every merge rule against hand computation, normalisation, what is held and what is not. */
import * as tf from '@tensorflow/tfjs';
import {expect, it} from 'vitest';
import {EngramError, estimateImportance, MemoryAwareSynapses, type MergeRule} from '../dist/index.js';
import {describeEngine, deviation, engineName} from './engine.js';
import {own} from './owned.js';

const network = () =>
  own(
    tf.sequential({
      layers: [tf.layers.dense({inputShape: [4], units: 5, activation: 'relu'}), tf.layers.dense({units: 3})],
    }),
  );
const taskData = (task: number) => own(tf.randomNormal([10, 4], task, 1 + task, 'float32', task + 1));
/** A task's training, as far as the memory can see it: the parameters are other ones afterwards. */
const train = (model: tf.LayersModel) => {
  for (const weight of model.trainableWeights) {
    tf.tidy(() => (weight.read() as tf.Variable).assign(tf.mul(weight.read(), 1.25)));
  }
};
async function read(tensors: ReadonlyMap<string, tf.Tensor>): Promise<Map<string, Float32Array>> {
  const values = new Map<string, Float32Array>();
  for (const [name, tensor] of tensors) values.set(name, ((await tensor.data()) as Float32Array).slice());
  return values;
}
/** Omega of one task alone. */
async function alone(model: tf.LayersModel, data: tf.Tensor): Promise<Map<string, Float32Array>> {
  const {importance} = await estimateImportance(model, data);
  const values = await read(importance);
  tf.dispose([...importance.values()]);
  return values;
}
const mean = (arrays: Iterable<ArrayLike<number>>) => {
  let [sum, count] = [0, 0];
  for (const array of arrays) {
    count += array.length;
    for (let i = 0; i < array.length; i++) sum += array[i];
  }
  return sum / count;
};

describeEngine(`the memory on ${engineName}`, () => {
  const byHand: Record<MergeRule, (tasks: number[]) => number> = {
    sum: (tasks) => tasks.reduce((a, b) => a + b),
    ema: (tasks) => tasks.reduce((a, b) => 0.5 * a + 0.5 * b),
    mean: (tasks) => tasks.reduce((a, b) => a + b) / tasks.length,
    max: (tasks) => Math.max(...tasks),
  };
  for (const [rule, merged] of Object.entries(byHand)) {
    it(`${rule}: three tasks are what they are by hand, and the anchor is the last one's`, async () => {
      const model = network();
      const mas = own(new MemoryAwareSynapses(model, {lambda: 1, accumulate: rule as MergeRule}));
      const single: Map<string, Float32Array>[] = [];
      for (const task of [0, 1, 2]) {
        const data = taskData(task);
        single.push(await alone(model, data));
        await mas.consolidate(data);
        expect([...mas.tasks.values()]).toEqual(Array(4).fill(task + 1));
        for (const [name, omega] of await read(mas.importance)) {
          const expected = Array.from(omega, (_, i) => merged(single.map((one) => one.get(name)![i])));
          expect(deviation(omega, expected), `${name} after task ${task}`).toBeLessThan(1e-6);
        }
        for (const weight of model.trainableWeights) {
          const anchor = mas.anchor.get((weight.read() as tf.Variable).name)!;
          expect(await anchor.data()).toEqual(await weight.read().data());
        }
        train(model);
      }
    });
  }

  it('sum is the default', async () => {
    const model = network();
    const data = taskData(0);
    const one = await alone(model, data);
    const mas = own(new MemoryAwareSynapses(model, {lambda: 1}));
    await mas.consolidate(data);
    await mas.consolidate(data);
    for (const [name, omega] of await read(mas.importance)) {
      expect(
        deviation(
          omega,
          one.get(name)!.map((value) => 2 * value),
        ),
      ).toBeLessThan(1e-6);
    }
  });

  it('normalize makes the mean of every task 1 over all parameters that take part, and keeps their proportions', async () => {
    const model = network();
    const mas = own(new MemoryAwareSynapses(model, {lambda: 1, normalize: true, accumulate: 'mean'}));
    for (const task of [0, 1, 2]) {
      const data = taskData(task);
      const raw = await alone(model, data);
      const average = mean(raw.values());
      await mas.consolidate(data);
      const omega = await read(mas.importance);
      expect(Math.abs(mean(omega.values()) - 1)).toBeLessThan(1e-5);
      if (task > 0) continue;
      for (const [name, values] of omega) {
        expect(
          deviation(
            values,
            raw.get(name)!.map((value) => value / average),
          ),
        ).toBeLessThan(1e-5);
      }
    }
    // Only what is included counts for the mean.
    const partial = own(new MemoryAwareSynapses(model, {lambda: 1, normalize: true, include: /kernel/}));
    await partial.consolidate(taskData(1));
    expect(partial.importance.size).toBe(2);
    expect(Math.abs(mean((await read(partial.importance)).values()) - 1)).toBeLessThan(1e-5);
  });

  it('normalize leaves importance alone that is zero everywhere', async () => {
    const model = network();
    model.setWeights(model.getWeights().map((weight) => tf.zerosLike(weight)));
    const mas = own(new MemoryAwareSynapses(model, {lambda: 1, normalize: true}));
    await mas.consolidate(taskData(0));
    for (const omega of (await read(mas.importance)).values()) expect(omega.every((value) => value === 0)).toBe(true);
    expect([...mas.tasks.values()]).toEqual([1, 1, 1, 1]);
  });

  it('normalize refuses importance whose sum is beyond 32 bits, and leaves alone what is too small to scale', async () => {
    const w = own(tf.variable(tf.fill([2, 2], 1e17)));
    const forward = (x: tf.Tensor | tf.Tensor[]) => tf.matMul(x as tf.Tensor2D, w as unknown as tf.Tensor2D);
    const mas = own(new MemoryAwareSynapses({forward, variables: [w]}, {lambda: 1, normalize: true}));
    const {numTensors} = tf.memory();
    const huge = own(tf.fill([1, 2], 2.2e10));
    await expect(mas.consolidate(huge)).rejects.toMatchObject({
      code: 'NON_FINITE',
      message: expect.stringContaining('sum'),
    });
    expect(tf.memory().numTensors).toBe(numTensors + 1);
    expect(mas.tasks.size).toBe(0);
    if (engineName === 'webgpu') return; // GPUs may flush numbers this small to zero
    w.assign(tf.fill([2, 2], 1e-20));
    const small = own(tf.fill([1, 2], 1e-10));
    await mas.consolidate(small);
    for (const omega of (await read(mas.importance)).values()) {
      for (const value of omega) expect(value).toBeLessThan(1e-38);
    }
    expect(mas.tasks.size).toBe(1);
  });

  it('include and exclude pick variables by name, pattern or function', async () => {
    const model = network();
    const variables = model.trainableWeights.map((weight) => weight.read() as tf.Variable);
    const names = variables.map(({name}) => name);
    const data = taskData(0);
    const full = await alone(model, data);
    const held = async (options: Partial<ConstructorParameters<typeof MemoryAwareSynapses>[1]>) => {
      const mas = own(new MemoryAwareSynapses(model, {lambda: 1, ...options}));
      const {parameters} = await mas.consolidate(data);
      const omega = await read(mas.importance);
      expect(parameters.map(({name}) => name)).toEqual([...omega.keys()]);
      expect([...mas.anchor.keys()]).toEqual([...omega.keys()]);
      // What is held does not depend on what else is.
      for (const [name, values] of omega) expect(deviation(values, full.get(name)!)).toBeLessThan(1e-6);
      return [...omega.keys()];
    };
    expect(await held({})).toEqual(names);
    expect(await held({include: [names[2], names[0]]})).toEqual([names[0], names[2]]);
    expect(await held({exclude: [names[3]]})).toEqual(names.slice(0, 3));
    expect(await held({include: /bias/g})).toEqual([names[1], names[3]]);
    expect(await held({include: /bias/g, exclude: [names[1]]})).toEqual([names[3]]);
    expect(await held({exclude: (variable) => variable.shape.length === 2})).toEqual([names[1], names[3]]);
    expect(() => new MemoryAwareSynapses(model, {lambda: 1, include: ['no such variable']})).toThrow(EngramError);
  });

  it('what is excluded is free: a step moves it as without a memory', async () => {
    const model = network();
    const free = (model.trainableWeights[3].read() as tf.Variable).name;
    const mas = own(new MemoryAwareSynapses(model, {lambda: 1e9, exclude: [free]}));
    await mas.consolidate(taskData(0));
    const start = await Promise.all(model.getWeights().map(async (w) => (await w.data()).slice()));
    const [x, y] = [taskData(1), own(tf.ones([10, 3]))];
    model.compile({optimizer: own(mas.optimizer(tf.train.sgd(0.01))), loss: 'meanSquaredError'});
    await model.trainOnBatch(x, y);
    const moved = await Promise.all(
      model.getWeights().map(async (w, i) => {
        const now = await w.data();
        return Math.max(...Array.from(start[i], (value, k) => Math.abs(now[k] - value)));
      }),
    );
    expect(moved[3]).toBeGreaterThan(1e-3);
  });

  for (const accumulate of ['sum', 'ema', 'mean', 'max'] as const) {
    it(`${accumulate}: heads that are not on the path keep importance, anchor and task count bit for bit`, async () => {
      const input = tf.input({shape: [4]});
      const trunk = tf.layers.dense({units: 5, activation: 'relu'}).apply(input) as tf.SymbolicTensor;
      const heads = [0, 1, 2].map(() => tf.layers.dense({units: 2}).apply(trunk) as tf.SymbolicTensor);
      const models = heads.map((outputs) => tf.model({inputs: input, outputs}));
      const whole = tf.model({inputs: input, outputs: heads});
      const variables = whole.trainableWeights.map((weight) => weight.read() as tf.Variable);
      let task = 0;
      const forward = (x: tf.Tensor | tf.Tensor[]) => models[task].apply(x) as tf.Tensor;
      const mas = own(new MemoryAwareSynapses({forward, variables}, {lambda: 1, accumulate, normalize: true}));
      const headOf = (head: number) => variables.slice(2 + 2 * head, 4 + 2 * head).map(({name}) => name);
      const entries = async (names: string[]) => {
        const [omega, anchor] = [await read(mas.importance), await read(mas.anchor)];
        return names.map((name) => [omega.get(name), anchor.get(name), mas.tasks.get(name)]);
      };
      for (task = 0; task < 3; task++) {
        const others = [0, 1, 2].filter((head) => head !== task).flatMap(headOf);
        const before = await entries(others);
        await mas.consolidate(taskData(task));
        expect(await entries(others)).toEqual(before);
        expect(mas.importance.size).toBe(2 + 2 * (task + 1));
        expect(headOf(task).map((name) => mas.tasks.get(name))).toEqual([1, 1]);
        expect(mas.tasks.get(variables[0].name)).toBe(task + 1);
        for (const variable of variables) tf.tidy(() => variable.assign(tf.mul(variable, 1.1)));
      }
      task = 0;
      const report = await mas.consolidate(taskData(0));
      expect(report.parameters.filter(({rule, fallback}) => !rule && !fallback).map(({name}) => name)).toEqual([
        ...headOf(1),
        ...headOf(2),
      ]);
      tf.dispose(whole.getWeights());
    });
  }

  it('a consolidation none of whose variables is on the path changes nothing, normalised or not', async () => {
    for (const normalize of [false, true]) {
      const w = own(tf.variable(tf.ones([4, 2])));
      const unused = own(tf.variable(tf.ones([3])));
      const forward = (x: tf.Tensor | tf.Tensor[]) => tf.matMul(x as tf.Tensor2D, w as unknown as tf.Tensor2D);
      const network = {forward, variables: [w, unused]};
      const mas = own(new MemoryAwareSynapses(network, {lambda: 1, normalize, include: [unused.name]}));
      const {parameters} = await mas.consolidate(taskData(0));
      expect(parameters).toEqual([{name: unused.name, shape: [3], rule: null, fallback: null}]);
      expect(mas.tasks.size).toBe(0);
    }
  });
});
