/** A memory by itself, for methods of one's own: importance from anywhere, anchors of the moment, tensors kept apart. */
import * as tf from '@tensorflow/tfjs';
import {expect, it} from 'vitest';
import {estimateImportance, Memory, MemoryAwareSynapses, type MergeRule, normalize} from '../dist/index.js';
import {read} from './accumulations.js';
import {describeEngine, deviation, engineName} from './engine.js';
import {variablesOf} from './networks.js';
import {own} from './owned.js';

const network = () =>
  own(
    tf.sequential({
      layers: [tf.layers.dense({inputShape: [4], units: 5, activation: 'tanh'}), tf.layers.dense({units: 3})],
    }),
  );
const values = async (tensor: tf.Tensor) => [...(await tensor.data())];

describeEngine(`a memory by itself on ${engineName}`, () => {
  for (const accumulate of ['sum', 'ema', 'mean', 'max'] as const) {
    it(`${accumulate}: holds what MemoryAwareSynapses holds`, async () => {
      const model = network();
      const mas = own(new MemoryAwareSynapses(model, {lambda: 1, accumulate, normalize: true}));
      const memory = own(new Memory());
      for (const task of [1, 2, 3]) {
        const x = own(tf.randomNormal([10, 4], task, task, 'float32', task));
        await mas.consolidate(x);
        const {importance} = await estimateImportance(model, x);
        const normal = await normalize(importance);
        await memory.consolidate(normal, variablesOf(model), accumulate);
        tf.dispose([...importance.values(), ...normal.values()]);
        for (const {name} of variablesOf(model)) {
          const entry = memory.get(name)!;
          expect(await values(entry.importance)).toEqual(await values(mas.importance.get(name)!));
          expect(await values(entry.anchor)).toEqual(await values(mas.anchor.get(name)!));
          expect(entry.tasks).toBe(task);
        }
        for (const variable of variablesOf(model)) tf.tidy(() => variable.assign(tf.mul(variable, 1.2)));
      }
      expect(memory.tasks).toEqual(mas.tasks);
      expect([...memory.importance.keys()]).toEqual([...mas.importance.keys()]);
    });
  }

  it('takes the parameters as they are when it is called, and what it is not told of stays', async () => {
    const [w, v] = [1, 2].map((value) => own(tf.variable(own(tf.fill([2], value)))));
    const memory = own(new Memory());
    const omega = (...numbers: number[]) => own(tf.tensor1d(numbers));
    await memory.consolidate(
      new Map([
        [w.name, omega(1, 2)],
        [v.name, omega(3, 4)],
      ]),
      [w, v],
    );
    const {importance, anchor} = memory.get(v.name)!;
    const running = memory.consolidate(new Map([[w.name, omega(5, 0)]]), [w, v], 'max');
    w.assign(own(tf.fill([2], 9)));
    await running;
    expect(await values(memory.get(w.name)!.anchor)).toEqual([1, 1]);
    expect(await values(memory.get(w.name)!.importance)).toEqual([5, 2]);
    expect(memory.get(v.name)).toEqual({importance, anchor, tasks: 1}); // the very tensors
    expect(memory.get('nobody')).toBeUndefined();
    await memory.consolidate(new Map(), [w]);
    expect([...memory.tasks.values()]).toEqual([2, 1]);
  });

  it('two tasks at once both count', async () => {
    const w = own(tf.variable(own(tf.ones([2]))));
    const memory = own(new Memory());
    const omegas = [1, 10, 100].map((value) => new Map([[w.name, own(tf.fill([2], value))]]));
    await Promise.all(omegas.map((omega) => memory.consolidate(omega, [w])));
    expect(await values(memory.get(w.name)!.importance)).toEqual([111, 111]);
    expect(memory.tasks.get(w.name)).toBe(3);
  });

  it('keeps tensors of its own: those of the caller are neither taken nor needed', async () => {
    const w = tf.variable(own(tf.ones([3])));
    const {numTensors} = tf.memory();
    const memory = new Memory();
    for (const rule of ['sum', 'ema', 'mean', 'max', 'sum'] as MergeRule[]) {
      const omega = tf.tensor1d([1, 2, 3]);
      await memory.consolidate(new Map([[w.name, omega]]), [w], rule);
      expect(omega.isDisposed).toBe(false);
      omega.dispose();
      expect(tf.memory().numTensors).toBe(numTensors + 2);
    }
    w.dispose();
    expect(await values(memory.get(w.name)!.anchor)).toEqual([1, 1, 1]);
    memory.dispose();
    expect(tf.memory().numTensors).toBe(numTensors - 1);
  });

  it('normalize makes the mean over all parameters 1 in new tensors, and leaves zeros alone', async () => {
    const importance = new Map([
      ['a', own(tf.tensor2d([[1, 2, 3]]))],
      ['b', own(tf.tensor1d([6, 0, 0]))],
      ['none', own(tf.zeros([0, 4]))],
    ]);
    const {numTensors} = tf.memory();
    const normal = await normalize(importance);
    expect(tf.memory().numTensors).toBe(numTensors + 3);
    const result = await read(normal);
    expect(deviation(result.get('a')!, [0.5, 1, 1.5])).toBeLessThan(1e-6);
    expect(deviation(result.get('b')!, [3, 0, 0])).toBeLessThan(1e-6);
    expect(await values(importance.get('a')!)).toEqual([1, 2, 3]);
    const zeros = new Map([['a', own(tf.zeros([2]))]]);
    const same = await normalize(zeros);
    expect(same.get('a')).not.toBe(zeros.get('a'));
    expect(await read(same)).toEqual(new Map([['a', Float32Array.of(0, 0)]]));
    expect((await normalize(new Map())).size).toBe(0);
    // The caller may dispose its tensors while the sum is read.
    const short = tf.tensor1d([2, 2]);
    const running = normalize(new Map([['a', short]]));
    short.dispose();
    expect(await read(await running)).toEqual(new Map([['a', Float32Array.of(1, 1)]]));
    expect(tf.memory().numTensors).toBe(numTensors + 1);
  });
});
