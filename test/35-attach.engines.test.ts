/** One memory, many networks: a head for each task, a network that grows, a copy, one built anew; never a silent mix. */
import * as tf from '@tensorflow/tfjs';
import {beforeAll, beforeEach, expect, it} from 'vitest';
import {EngramError, MemoryAwareSynapses} from '../dist/index.js';
import {describeEngine, engineName} from './engine.js';
import {variablesOf} from './networks.js';

let x: tf.Tensor;
beforeAll(() => {
  x = tf.randomNormal([10, 4], 0, 1, 'float32', 3);
});
let counter = 0;
beforeEach(() => {
  counter++;
});

/** A trunk and a head; trunk layers may be those of another network. */
function network(classes: number, name?: string, trunk = newTrunk()): tf.Sequential {
  const head = tf.layers.dense({units: classes, ...(name ? {name} : {})});
  return tf.sequential({layers: [...trunk, head]});
}
const newTrunk = (): tf.layers.Layer[] => [
  tf.layers.dense({inputShape: [4], units: 6, activation: 'tanh'}),
  tf.layers.dense({units: 6, activation: 'tanh'}),
];
const trunkOf = (model: tf.Sequential) => model.layers.slice(0, -1);
const namesOf = (model: tf.Sequential) => variablesOf(model).map(({name}) => name);
const headOf = (model: tf.Sequential) => namesOf(model).slice(-2);

async function valuesOf(mas: MemoryAwareSynapses, names: Iterable<string> = mas.importance.keys()) {
  const values: [string, number[], number[], number][] = [];
  for (const name of names) {
    const [importance, anchor] = [mas.importance.get(name)!, mas.anchor.get(name)!];
    values.push([name, [...(await importance.data())], [...(await anchor.data())], mas.tasks.get(name)!]);
  }
  return values;
}

async function train(model: tf.Sequential, mas: MemoryAwareSynapses): Promise<void> {
  const optimizer = mas.optimizer(tf.train.adam(0.01));
  const variables = variablesOf(model);
  const loss = () => tf.mean(tf.square(tf.sub(model.apply(x) as tf.Tensor, 1))) as tf.Scalar;
  for (let i = 0; i < 5; i++) optimizer.minimize(loss, false, variables);
  optimizer.dispose();
}

function errorOf(work: () => unknown): EngramError {
  try {
    work();
  } catch (error) {
    expect(error).toBeInstanceOf(EngramError);
    return error as EngramError;
  }
  throw new Error('nothing was thrown');
}

describeEngine(`attach on ${engineName}`, () => {
  for (const accumulate of ['sum', 'ema', 'mean', 'max'] as const) {
    it(`keeps the heads of other tasks bit for bit over three tasks: ${accumulate}`, async () => {
      const trunk = newTrunk();
      const models = [3, 3, 2].map((classes) => network(classes, undefined, trunk));
      const mas = new MemoryAwareSynapses(models[0], {lambda: 1, accumulate});
      const heads: Awaited<ReturnType<typeof valuesOf>>[] = [];
      for (const [task, model] of models.entries()) {
        if (task > 0) {
          const report = mas.attach(model);
          expect(report.fresh).toEqual(headOf(model));
          expect(report.elsewhere).toEqual(models.slice(0, task).flatMap(headOf));
          expect([...report.matched.keys()]).toEqual(namesOf(model).slice(0, 4));
        }
        await train(model, mas);
        await mas.consolidate(x);
        heads.push(await valuesOf(mas, headOf(model)));
        for (const [earlier, values] of heads.entries()) {
          expect(await valuesOf(mas, headOf(models[earlier]))).toEqual(values);
        }
      }
      expect(namesOf(models[2]).map((name) => mas.tasks.get(name))).toEqual([3, 3, 3, 3, 1, 1]);
      // Back to the first: its head is where it was.
      expect(mas.attach(models[0]).fresh).toEqual([]);
      await mas.consolidate(x);
      expect(headOf(models[0]).map((name) => mas.tasks.get(name))).toEqual([2, 2]);
      expect(await valuesOf(mas, headOf(models[1]))).toEqual(heads[1]);
      mas.dispose();
      tf.dispose(models.flatMap(variablesOf));
    });
  }

  it('saves all heads, and finds them again by chosen names, or by being told', async () => {
    const build = (named: boolean) => {
      const trunk = newTrunk();
      return [0, 1, 2].map((task) => network(3, named ? `head${task}of${counter}` : undefined, trunk));
    };
    for (const named of [true, false]) {
      const models = build(named);
      const mas = new MemoryAwareSynapses(models[0], {lambda: 1});
      for (const model of models) {
        mas.attach(model);
        await mas.consolidate(x);
      }
      let bytes = new Uint8Array();
      const write = async (saved: Uint8Array) => {
        bytes = saved.slice();
      };
      const store = {write, read: async () => bytes};
      await mas.save(store);
      const again = build(named);
      const other = new MemoryAwareSynapses(again[2], {lambda: 1});
      const report = await other.load(store);
      expect(report.elsewhere).toEqual(models.slice(0, 2).flatMap(headOf));
      const saved = bytes;
      await other.save(store);
      const third = new MemoryAwareSynapses(again[2], {lambda: 1});
      await third.load({...store, read: async () => saved});
      third.dispose();
      for (const task of [0, 1]) {
        const [kernel, bias] = headOf(models[task]);
        const [nowKernel, nowBias] = headOf(again[task]);
        if (named) {
          other.attach(again[task]);
        } else {
          const error = errorOf(() => other.attach(again[task]));
          expect(error).toMatchObject({code: 'UNKNOWN_VARIABLE'});
          expect(error.message).toContain(kernel);
          other.attach(again[task], {names: {[nowKernel]: kernel, [nowBias]: bias}});
        }
        const expected = await valuesOf(mas, [kernel, bias]);
        const found = await valuesOf(other, [nowKernel, nowBias]);
        expect(found.map((row) => row.slice(1))).toEqual(expected.map((row) => row.slice(1)));
      }
      const fourth = network(3, undefined, trunkOf(again[0]));
      expect(other.attach(fourth).fresh).toEqual(headOf(fourth));
      mas.dispose();
      other.dispose();
      tf.dispose([...models, ...again].flatMap(variablesOf));
    }
  });

  for (const how of ['built anew', 'with the same trunk and a named head', 'with the same trunk, by names'] as const) {
    it(`continues a model that grew by classes, ${how}`, async () => {
      const head = how === 'with the same trunk and a named head' ? `grown${counter}` : undefined;
      const small = network(3, head);
      const mas = new MemoryAwareSynapses(small, {lambda: 5});
      await mas.consolidate(x);
      const before = await valuesOf(mas);
      const large = network(5, head, how === 'built anew' ? newTrunk() : trunkOf(small));
      // The user copies what was learned and lets the rest begin at random.
      for (const [i, variable] of variablesOf(large).entries()) {
        const old = variablesOf(small)[i];
        if (old === variable) continue;
        const grown = variable.shape.at(-1)! - old.shape.at(-1)!;
        const rest = tf.slice(variable as tf.Tensor, [...variable.shape.slice(1).map(() => 0), old.shape.at(-1)!]);
        variable.assign(grown ? tf.concat([old, rest], -1) : old.clone());
      }
      const names = Object.fromEntries(headOf(large).map((name, i) => [name, headOf(small)[i]]));
      const report = mas.attach(large, how === 'with the same trunk, by names' ? {names} : {});
      expect(report).toMatchObject({grown: headOf(large), fresh: [], elsewhere: []});
      expect([...report.matched]).toEqual(namesOf(large).map((name, i) => [name, namesOf(small)[i]]));
      for (const [i, [name, importance, anchor, tasks]] of (await valuesOf(mas, namesOf(large))).entries()) {
        const [, oldImportance, oldAnchor, oldTasks] = before[i];
        const variable = variablesOf(large)[i];
        const columns = variable.shape.at(-1)!;
        const oldColumns = variablesOf(small)[i].shape.at(-1)!;
        const present = [...(await variable.data())];
        const old = (values: number[], j: number) => values[Math.floor(j / columns) * oldColumns + (j % columns)];
        const isOld = (j: number) => j % columns < oldColumns;
        expect(importance, name).toEqual(present.map((_, j) => (isOld(j) ? old(oldImportance, j) : 0)));
        expect(anchor, name).toEqual(present.map((value, j) => (isOld(j) ? old(oldAnchor, j) : value)));
        expect(tasks).toBe(oldTasks);
      }
      expect(await (mas.penalty() as tf.Tensor).data()).toEqual(Float32Array.of(0));
      await train(large, mas);
      expect((await mas.penalty().data())[0]).toBeGreaterThan(0);
      await mas.consolidate(x);
      expect([...mas.tasks.values()]).toEqual([2, 2, 2, 2, 2, 2]);
      mas.dispose();
      tf.dispose([...variablesOf(small), ...variablesOf(large)]);
    });
  }

  it('refuses every other change of shape, naming both, and changes nothing', async () => {
    const mas = new MemoryAwareSynapses(network(3), {lambda: 1});
    await mas.consolidate(x);
    const before = await valuesOf(mas);
    const wider = tf.sequential({
      layers: [
        tf.layers.dense({inputShape: [4], units: 6}),
        tf.layers.dense({units: 7}),
        tf.layers.dense({units: 3}), // [6, 3] became [7, 3]: the first axis
      ],
    });
    const {numTensors} = tf.memory();
    const fanIn = errorOf(() => mas.attach(wider));
    expect(fanIn.code).toBe('SHAPE');
    expect(fanIn.message).toMatch(/\[6, 3\].*\[7, 3\]/);
    const smaller = errorOf(() => mas.attach(network(2)));
    expect(smaller.code).toBe('SHAPE');
    expect(smaller.message).toMatch(/\[6, 3\].*\[6, 2\]/);
    expect(tf.memory().numTensors).toBe(numTensors + 6); // those of network(2)
    expect(await valuesOf(mas)).toEqual(before);
    await mas.consolidate(x); // still with the first network
    expect([...mas.tasks.values()]).toEqual([2, 2, 2, 2, 2, 2]);
    mas.dispose();
  });

  it('goes on with a copy, whose names only TensorFlow.js changed', async () => {
    const model = network(3, `copied${counter}`);
    const mas = new MemoryAwareSynapses(model, {lambda: 1});
    await mas.consolidate(x);
    const before = await valuesOf(mas);
    const copy = await tf.models.modelFromJSON(model.toJSON(undefined, false) as never);
    const report = mas.attach(copy);
    expect([...report.matched.values()]).toEqual(before.map(([name]) => name));
    expect([...report.matched.keys()].every((name) => name.endsWith('_1'))).toBe(true);
    const after = await valuesOf(mas);
    expect(after.map((row) => row.slice(1))).toEqual(before.map((row) => row.slice(1)));
    mas.dispose();
  });

  it('asks when a head has the name of another that is in use, and takes the answer', async () => {
    const name = `twice${counter}`;
    const first = network(3, name);
    const mas = new MemoryAwareSynapses(first, {lambda: 1});
    await mas.consolidate(x);
    const before = await valuesOf(mas);
    const second = network(3, name, trunkOf(first));
    const error = errorOf(() => mas.attach(second));
    expect(error).toMatchObject({code: 'UNKNOWN_VARIABLE'});
    expect(error.message).toContain(`${name}/kernel_1`);
    expect(await valuesOf(mas)).toEqual(before);
    const [kernel, bias] = headOf(second);
    const report = mas.attach(second, {names: {[kernel]: null, [bias]: null}});
    expect(report).toMatchObject({fresh: [kernel, bias], elsewhere: headOf(first)});
    expect(await valuesOf(mas)).toEqual(before);
    // Told so, even a variable's own contents make room; they are kept, and come back when asked for.
    const forgotten = mas.attach(first, {names: {[headOf(first)[0]]: null}});
    expect(forgotten.fresh).toEqual([headOf(first)[0]]);
    expect(mas.importance.has(headOf(first)[0])).toBe(false);
    mas.attach(first, {names: {[headOf(first)[0]]: forgotten.elsewhere.at(-1)!}});
    expect((await valuesOf(mas, headOf(first)))[0]).toEqual(before.at(-2));
    mas.attach(second, {names: {[kernel]: null, [bias]: null}});
    await mas.consolidate(x);
    const third = network(4, name, trunkOf(first)); // which of the two has grown?
    expect(errorOf(() => mas.attach(third)).message).toContain(headOf(third)[0]);
    const wrong = {nonsense: `${name}/kernel`};
    expect(errorOf(() => mas.attach(second, {names: wrong})).code).toBe('UNKNOWN_VARIABLE');
    mas.dispose();
  });

  it('refuses a network that shares nothing, and one whose layers do not correspond', async () => {
    const mas = new MemoryAwareSynapses(network(3), {lambda: 1});
    const other = tf.sequential({layers: [tf.layers.dense({inputShape: [4], units: 2, name: `alone${counter}`})]});
    expect(mas.attach(other).fresh).toEqual(namesOf(other)); // with nothing held there is nothing to lose
    mas.attach(network(3));
    await mas.consolidate(x);
    const error = errorOf(() => mas.attach(other));
    expect(error.code).toBe('UNKNOWN_VARIABLE');
    expect(error.message).toContain(namesOf(other)[0]);
    expect(error.message).toContain([...mas.importance.keys()][0]);
    const deeper = tf.sequential({layers: [...newTrunk(), ...newTrunk().slice(1), tf.layers.dense({units: 3})]});
    expect(errorOf(() => mas.attach(deeper)).code).toBe('UNKNOWN_VARIABLE');
    expect(errorOf(() => mas.attach({} as never)).code).toBe('ARGUMENT');
    mas.dispose();
  });

  it('knows plain variables by order when they have no names', async () => {
    const make = () => {
      const variables = [tf.variable(tf.randomNormal([4, 3])), tf.variable(tf.zeros([3]))];
      const forward = (input: tf.Tensor | tf.Tensor[]) =>
        tf.add(tf.matMul(input as tf.Tensor, variables[0] as tf.Tensor), variables[1]);
      return {forward, variables};
    };
    const [first, second] = [make(), make()];
    const mas = new MemoryAwareSynapses(first, {lambda: 1});
    await mas.consolidate(x);
    const before = await valuesOf(mas);
    const report = mas.attach(second);
    expect([...report.matched]).toEqual(second.variables.map(({name}, i) => [name, first.variables[i].name]));
    expect((await valuesOf(mas)).map((row) => row.slice(1))).toEqual(before.map((row) => row.slice(1)));
    mas.dispose();
  });

  it('leaks no tensor, works inside tf.tidy, and is refused while busy and after dispose', async () => {
    const small = network(3);
    const mas = new MemoryAwareSynapses(small, {lambda: 1});
    await mas.consolidate(x);
    const large = network(5);
    const {numTensors} = tf.memory();
    tf.tidy(() => {
      mas.attach(large);
    });
    expect(tf.memory().numTensors).toBe(numTensors);
    await mas.consolidate(x);
    expect(tf.memory().numTensors).toBe(numTensors);
    const running = mas.consolidate(x);
    expect(errorOf(() => mas.attach(small)).code).toBe('BUSY');
    await running;
    mas.dispose();
    expect(tf.memory().numTensors).toBe(numTensors - 12);
    expect(errorOf(() => mas.attach(small)).code).toBe('DISPOSED');
  });
});
