/** Bad input gets a typed error that says what to do, and the memory stays as it was. */
import * as tf from '@tensorflow/tfjs';
import {expect, it} from 'vitest';
import {EngramError, MemoryAwareSynapses} from '../dist/index.js';
import {describeEngine, engineName} from './engine.js';

async function errorOf(run: () => unknown): Promise<EngramError> {
  try {
    await run();
  } catch (error) {
    expect(error).toBeInstanceOf(EngramError);
    return error as EngramError;
  }
  throw new Error('nothing was thrown');
}

function network() {
  const model = tf.sequential({
    layers: [tf.layers.dense({inputShape: [4], units: 3, activation: 'relu'}), tf.layers.dense({units: 2})],
  });
  return {model, mas: new MemoryAwareSynapses(model, {lambda: 1})};
}

describeEngine(`bad input on ${engineName}`, () => {
  const data: [string, string, () => unknown][] = [
    ['a wrong shape', 'SHAPE', () => tf.zeros([3, 5])],
    ['a missing sample axis', 'SHAPE', () => tf.zeros([4])],
    ['a wrong dtype', 'DTYPE', () => tf.zeros([3, 4], 'bool')],
    ['NaN', 'NON_FINITE', () => tf.tensor2d([[1, 2, 3, Number.NaN]])],
    ['Infinity', 'NON_FINITE', () => tf.tensor2d([[1, 2, Number.POSITIVE_INFINITY, 4]])],
    ['no sample', 'EMPTY_DATA', () => tf.zeros([0, 4])],
    ['an empty array', 'EMPTY_DATA', () => []],
    ['an empty iterable', 'EMPTY_DATA', () => (function* () {})()],
    ['a string', 'ARGUMENT', () => 'samples'],
    ['null', 'ARGUMENT', () => null],
    ['an iterable of nonsense', 'ARGUMENT', () => [{}][Symbol.iterator]()],
    [
      'a disposed tensor',
      'DISPOSED',
      () => {
        const x = tf.zeros([3, 4]);
        x.dispose();
        return x;
      },
    ],
  ];
  for (const [what, code, make] of data) {
    it(`refuses ${what} as data with ${code} and leaves the memory alone`, async () => {
      const {model, mas} = network();
      const good = tf.randomNormal([6, 4]);
      await mas.consolidate(good);
      const before = await Promise.all([...mas.importance.values()].map((t) => t.data()));
      const error = await errorOf(() => mas.consolidate(make() as tf.Tensor));
      expect(error.code).toBe(code);
      expect(error.remedy.length).toBeGreaterThan(10);
      const after = await Promise.all([...mas.importance.values()].map((t) => t.data()));
      expect(after).toEqual(before);
      expect([...mas.tasks.values()]).toEqual([1, 1, 1, 1]);
      mas.dispose();
      model.dispose();
      good.dispose();
    });
  }

  it('refuses options that make no sense', async () => {
    const {model, mas} = network();
    const make = (options: object) => () => new MemoryAwareSynapses(model, options as {lambda: number});
    expect((await errorOf(make({lambda: -1}))).code).toBe('ARGUMENT');
    expect((await errorOf(make({lambda: Number.NaN}))).code).toBe('ARGUMENT');
    expect((await errorOf(make({lambda: 1, output: 'softmax'}))).code).toBe('ARGUMENT');
    expect((await errorOf(make({lambda: 1, accumulate: 'avg'}))).code).toBe('ARGUMENT');
    expect((await errorOf(make({lambda: 1, include: ['no such variable']}))).code).toBe('UNKNOWN_VARIABLE');
    expect((await errorOf(() => new MemoryAwareSynapses({} as never, {lambda: 1}))).code).toBe('ARGUMENT');
    expect((await errorOf(() => mas.consolidate(tf.zeros([2, 4]), {batchSize: 0}))).code).toBe('ARGUMENT');
    expect((await errorOf(() => mas.optimizer({kind: 'lion'} as never))).code).toBe('ARGUMENT');
    expect((await errorOf(() => mas.optimizer(tf.train.rmsprop(0.1), {step: 'proximal'}))).code).toBe('ARGUMENT');
    mas.dispose();
    model.dispose();
  });

  it('refuses a consolidation inside tf.grad, during another one, and after dispose', async () => {
    const {model, mas} = network();
    const x = tf.randomNormal([6, 4]);
    let nested: Promise<unknown> | undefined;
    tf.tidy(() => {
      tf.grad((t) => {
        nested = mas.consolidate(x).catch((error) => error);
        return tf.sum(t);
      })(tf.scalar(1));
    });
    expect(await nested).toMatchObject({code: 'NESTED_TAPE'});
    const running = mas.consolidate(x);
    expect((await errorOf(() => mas.consolidate(x))).code).toBe('BUSY');
    await running;
    mas.dispose();
    mas.dispose();
    expect((await errorOf(() => mas.consolidate(x))).code).toBe('DISPOSED');
    expect((await errorOf(() => mas.penalty())).code).toBe('DISPOSED');
    model.dispose();
    x.dispose();
  });

  it('refuses to finish when the network was trained meanwhile', async () => {
    const {model, mas} = network();
    const x = tf.randomNormal([6, 4]);
    const retrain = () => model.setWeights(model.getWeights().map((w) => tf.mul(w, 1.01)));
    expect((await errorOf(() => mas.consolidate(x, {batchSize: 3, onProgress: retrain}))).code).toBe('CHANGED');
    expect(mas.importance.size).toBe(0);
    mas.dispose();
    model.dispose();
    x.dispose();
  });
});
