/** A network of several heads: the outputs that count are chosen, and the other heads are left alone to the bit. */
import * as tf from '@tensorflow/tfjs';
import {expect, it} from 'vitest';
import {Accumulation, estimateImportance, MemoryAwareSynapses, type OutputChoice} from '../dist/index.js';
import {bytesOf, errorOf, omegaOf, read} from './accumulations.js';
import {describeEngine, deviation, engineName, exactness} from './engine.js';
import {batchOfOne, variablesOf} from './networks.js';
import {own} from './owned.js';

const taskData = (task: number) => own(tf.randomNormal([10, 4], task, 1 + task, 'float32', task + 1));
const rules = ['sum', 'ema', 'mean', 'max'] as const;

/** A trunk with three softmax heads of 2, 3 and 4 classes; and every head as a model of its own. */
function heads() {
  const input = tf.input({shape: [4]});
  const trunk = tf.layers.dense({units: 5, activation: 'tanh'}).apply(input) as tf.SymbolicTensor;
  const layers = [2, 3, 4].map((units) => tf.layers.dense({units, activation: 'softmax'}));
  const outputs = layers.map((layer) => layer.apply(trunk) as tf.SymbolicTensor);
  const model = tf.model({inputs: input, outputs});
  for (const variable of variablesOf(model)) own(variable);
  const headOf = (head: number) => variablesOf(model).slice(2 + 2 * head, 4 + 2 * head);
  const alone = outputs.map((output) => tf.model({inputs: input, outputs: output}));
  return {input, trunk, model, layers, alone, headOf, names: layers.map(({name}) => name)};
}

async function entriesOf(mas: MemoryAwareSynapses, variables: readonly {name: string}[]) {
  const values = async (tensor: tf.Tensor | undefined) => tensor && [...((await tensor.data()) as Float32Array)];
  return Promise.all(
    variables.map(async ({name}) => [
      await values(mas.importance.get(name)),
      await values(mas.anchor.get(name)),
      mas.tasks.get(name),
    ]),
  );
}
const train = (model: tf.LayersModel) => {
  for (const variable of variablesOf(model)) tf.tidy(() => variable.assign(tf.add(tf.mul(variable, 1.1), 0.01)));
};

describeEngine(`chosen outputs on ${engineName}`, () => {
  for (const accumulate of rules) {
    it(`${accumulate}: three tasks with a head each, the others keep importance, anchor and tasks bit for bit`, async () => {
      const {model, headOf, names} = heads();
      const mas = own(new MemoryAwareSynapses(model, {lambda: 1, accumulate, normalize: accumulate === 'mean'}));
      // By index, by name, and by accumulations; the last task comes back to the first head.
      for (const [task, outputs] of [[0], [names[1]], [2], [0]].entries()) {
        const head = task % 3;
        const others = [0, 1, 2].filter((one) => one !== head).flatMap(headOf);
        const before = await entriesOf(mas, others);
        if (task < 2) {
          const {parameters} = await mas.consolidate(taskData(task), {outputs});
          const apart = parameters.filter(({rule, fallback}) => !rule && !fallback).map(({name}) => name);
          expect(apart).toEqual(others.map(({name}) => name));
        } else {
          const accumulation = own(mas.accumulation({outputs}));
          await accumulation.add(taskData(task));
          await mas.consolidate(accumulation);
        }
        expect(await entriesOf(mas, others)).toEqual(before);
        expect(headOf(head).map(({name}) => mas.tasks.get(name))).toEqual(task < 3 ? [1, 1] : [2, 2]);
        expect(mas.tasks.get(variablesOf(model)[0].name)).toBe(task + 1);
        for (const variable of headOf(head)) {
          expect(await mas.anchor.get(variable.name)!.data()).toEqual(await variable.data());
        }
        train(model);
      }
    });
  }

  it('measures what a model with these outputs alone would', async () => {
    const {input, model, alone, layers, names, trunk} = heads();
    const x = taskData(0);
    const pair = tf.model({inputs: input, outputs: [0, 2].map((i) => layers[i].apply(trunk) as tf.SymbolicTensor)});
    for (const [outputs, expected] of [
      [[1], alone[1]],
      [[names[2]], alone[2]],
      [[0, 2], pair],
      [[names[2], 0], pair],
      [[1, 2, 0], model],
      [names, model],
    ] as const) {
      const truth = await read((await estimateImportance(expected, x)).importance);
      const {importance, report} = await estimateImportance(model, x, {outputs, batchSize: 4});
      const values = await read(importance);
      expect([...values.keys()].sort()).toEqual([...truth.keys()].sort());
      for (const [name, omega] of values) expect(deviation(omega, truth.get(name)!), name).toBeLessThanOrEqual(1e-5);
      expect(report.parameters.every(({fallback}) => fallback === null)).toBe(true);
    }
  });

  it('serves plain networks, whatever their other outputs are', async () => {
    const [w, v] = [1, 2].map((seed) => own(tf.variable(tf.randomNormal([4, 3], 0, 1, 'float32', seed))));
    const x = taskData(0);
    const forward = (input: tf.Tensor | tf.Tensor[]) => {
      const y = tf.matMul(input as tf.Tensor2D, w as unknown as tf.Tensor2D);
      const z = tf.matMul(input as tf.Tensor2D, v as unknown as tf.Tensor2D);
      // Class numbers cannot be differentiated, and the last output couples the samples.
      return [tf.argMax(y, 1), y, tf.sub(z, tf.mean(z, 0, true))] as tf.Tensor[];
    };
    const network = {forward, variables: [w, v]};
    const mas = own(new MemoryAwareSynapses(network, {lambda: 1}));
    const {parameters} = await mas.consolidate(x, {outputs: [1], batchSize: 4});
    expect(parameters).toMatchObject([
      {name: w.name, rule: expect.any(String), fallback: null},
      {name: v.name, rule: null, fallback: null},
    ]);
    const truth = await batchOfOne((one) => (forward(one) as tf.Tensor[])[1], [w], x);
    expect(deviation(await mas.importance.get(w.name)!.data(), truth.get(w.name)!)).toBeLessThanOrEqual(exactness);
    expect((await errorOf(() => mas.consolidate(x))).code).toBe('DTYPE');
    const {numTensors} = tf.memory();
    for (const outputs of [[3], [1, 7], ['y'], [Number.NaN], [1.5], [-1]]) {
      expect((await errorOf(() => mas.consolidate(x, {outputs}))).code).toBe('ARGUMENT');
    }
    expect(tf.memory().numTensors).toBe(numTensors);
    expect([...mas.tasks.values()]).toEqual([1]);
  });

  it('refuses choices that make no sense, naming what there is', async () => {
    const {model, names} = heads();
    const x = taskData(0);
    const mas = own(new MemoryAwareSynapses(model, {lambda: 1}));
    await mas.consolidate(x);
    const {numTensors} = tf.memory();
    const wrong: unknown[] = [
      [],
      [3],
      [-1],
      [0.5],
      ['nothing'],
      [names[0], names[0]],
      [0, names[0]],
      [1, 1],
      [null],
      [undefined],
      [[0]],
      'dense',
      0,
      null,
      {},
    ];
    for (const outputs of wrong as OutputChoice[]) {
      for (const run of [
        () => mas.consolidate(x, {outputs}),
        () => mas.accumulation({outputs}),
        () => estimateImportance(model, x, {outputs}),
        () => new Accumulation(model, {outputs}),
      ]) {
        const error = await errorOf(run);
        expect(error.code, String(outputs)).toBe('ARGUMENT');
        expect(error.remedy).toContain(names[1]);
      }
    }
    expect(tf.memory().numTensors).toBe(numTensors);
    expect([...mas.tasks.values()]).toEqual(Array(8).fill(1));
  });

  it('keeps accumulations of other outputs apart, and those of the same together', async () => {
    const {model, names} = heads();
    const x = taskData(0);
    const make = async (outputs?: OutputChoice) => {
      const accumulation = own(new Accumulation(model, outputs ? {outputs} : {}));
      await accumulation.add(x);
      return accumulation;
    };
    const first = await make([0, 2]);
    const before = await bytesOf(first);
    for (const other of [await make(), await make([0]), await make([0, 1])]) {
      const error = await errorOf(() => first.merge(other));
      expect(error.code).toBe('ARGUMENT');
      expect(error.message).toContain('0,2');
    }
    expect(await bytesOf(first)).toEqual(before);
    const omega = await omegaOf(first);
    await first.merge(await make([names[2], names[0]]));
    for (const [name, values] of await omegaOf(first)) {
      expect(deviation(values, omega.get(name)!)).toBeLessThanOrEqual(1e-6);
    }
    const whole = await make();
    await whole.merge(await make([2, 1, 0]));
    expect(whole.samples).toBe(20);
  });

  for (const accumulate of rules) {
    it(`${accumulate}: goes on with a network that grew a head and classes`, async () => {
      const {input, trunk, model, layers, headOf} = heads();
      const mas = own(new MemoryAwareSynapses(model, {lambda: 1, accumulate}));
      for (const task of [0, 1, 2]) {
        await mas.consolidate(taskData(task), {outputs: [task]});
        train(model);
      }
      const before = await entriesOf(mas, variablesOf(model));
      const fourth = tf.layers.dense({units: 2, activation: 'softmax'});
      const large = tf.layers.dense({units: 6, activation: 'softmax'}); // in place of the third, of 4 classes
      const outputs = [layers[0], layers[1], large, fourth].map((layer) => layer.apply(trunk) as tf.SymbolicTensor);
      const grown = tf.model({inputs: input, outputs});
      const [kernel, bias] = variablesOf(grown).slice(6, 8).map(own);
      for (const variable of variablesOf(grown).slice(8)) own(variable);
      tf.tidy(() => {
        kernel.assign(tf.concat([headOf(2)[0], tf.ones([5, 2])], 1));
        bias.assign(tf.concat([headOf(2)[1], tf.ones([2])], 0));
      });
      const names = {[kernel.name]: headOf(2)[0].name, [bias.name]: headOf(2)[1].name};
      for (const variable of variablesOf(grown).slice(8))
        (names as Record<string, string | null>)[variable.name] = null;
      const report = mas.attach(grown, {names});
      expect(report.grown).toEqual([kernel.name, bias.name]);
      const kept = await entriesOf(mas, variablesOf(grown).slice(0, 6));
      expect(kept).toEqual(before.slice(0, 6));
      const [omega, anchor, tasks] = (await entriesOf(mas, [bias]))[0];
      expect(omega).toEqual([...(before[7][0] as number[]), 0, 0]);
      expect(anchor).toEqual([...(before[7][1] as number[]), 1, 1]);
      expect(tasks).toBe(1);
      const grownBefore = await entriesOf(mas, [kernel, bias]);
      await mas.consolidate(taskData(3), {outputs: [3]});
      expect(await entriesOf(mas, variablesOf(grown).slice(2, 6))).toEqual(before.slice(2, 6));
      expect(await entriesOf(mas, [kernel, bias])).toEqual(grownBefore);
      expect(mas.tasks.get(variablesOf(grown)[0].name)).toBe(4);
      await mas.consolidate(taskData(2), {outputs: [2]});
      expect(mas.tasks.get(kernel.name)).toBe(2);
      expect(await entriesOf(mas, variablesOf(grown).slice(2, 6))).toEqual(before.slice(2, 6));
    });
  }
});
