/** Bad input to Accumulation, Memory and normalize gets a typed error, and nothing is half-changed. */
import * as tf from '@tensorflow/tfjs';
import {expect, it} from 'vitest';
import {Accumulation, estimateImportance, Memory, MemoryAwareSynapses, normalize} from '../dist/index.js';
import {bytesOf, errorOf} from './accumulations.js';
import {describeEngine, engineName} from './engine.js';
import {variablesOf} from './networks.js';
import {own} from './owned.js';

const network = () =>
  own(
    tf.sequential({
      layers: [tf.layers.dense({inputShape: [4], units: 3, activation: 'relu'}), tf.layers.dense({units: 2})],
    }),
  );
const samples = () => own(tf.randomNormal([6, 4], 0, 1, 'float32', 3));
const disposed = (shape: number[]) => {
  const tensor = tf.ones(shape);
  tensor.dispose();
  return tensor;
};

describeEngine(`bad input to accumulations and memories on ${engineName}`, () => {
  const data: [string, string, () => unknown][] = [
    ['a wrong shape', 'SHAPE', () => own(tf.zeros([3, 5]))],
    ['a missing sample axis', 'SHAPE', () => own(tf.zeros([4]))],
    ['a wrong dtype', 'DTYPE', () => own(tf.zeros([3, 4], 'bool'))],
    ['NaN', 'NON_FINITE', () => own(tf.tensor2d([[1, 2, 3, Number.NaN]]))],
    ['Infinity', 'NON_FINITE', () => own(tf.tensor2d([[1, 2, Number.POSITIVE_INFINITY, 4]]))],
    ['no sample', 'EMPTY_DATA', () => own(tf.zeros([0, 4]))],
    ['an empty array', 'EMPTY_DATA', () => []],
    ['an empty iterable', 'EMPTY_DATA', () => (function* () {})()],
    ['a string', 'ARGUMENT', () => 'samples'],
    ['null', 'ARGUMENT', () => null],
    ['nothing', 'ARGUMENT', () => undefined],
    ['an accumulation', 'ARGUMENT', () => own(new Accumulation(network()))],
    ['an iterable of nonsense', 'ARGUMENT', () => [{}][Symbol.iterator]()],
    ['a disposed tensor', 'DISPOSED', () => disposed([3, 4])],
    [
      'good batches before a bad one',
      'SHAPE',
      () => {
        const [good, bad] = [samples(), own(tf.zeros([3, 5]))];
        return [good, good, bad].values();
      },
    ],
  ];
  for (const [what, code, make] of data) {
    it(`add() refuses ${what} with ${code}; what was there stays, to the bit`, async () => {
      const model = network();
      const [accumulation, empty] = [own(new Accumulation(model)), own(new Accumulation(model))];
      const good = samples();
      await accumulation.add(good);
      const before = await bytesOf(accumulation);
      for (const one of [accumulation, empty]) {
        const bad = make();
        const {numTensors} = tf.memory();
        const error = await errorOf(() => one.add(bad as tf.Tensor, {batchSize: 4}));
        expect(error.code).toBe(code);
        expect(error.remedy.length).toBeGreaterThan(10);
        expect(tf.memory().numTensors).toBe(numTensors);
      }
      expect(await bytesOf(accumulation)).toEqual(before);
      expect(empty.samples).toBe(0);
      await empty.add(good); // as if nothing had been
      expect(empty.samples).toBe(6);
    });
  }

  it('refuses options, settings and calls that make no sense', async () => {
    const model = network();
    const x = samples();
    const accumulation = own(new Accumulation(model));
    const gone = tf.variable(tf.ones([4, 3]));
    gone.dispose();
    const alone = own(tf.variable(tf.ones([2])));
    const smaller = own(tf.sequential({layers: [tf.layers.dense({inputShape: [4], units: 3})]}));
    const elsewhere = own(new Accumulation(smaller));
    await elsewhere.add(x);
    const {numTensors} = tf.memory();
    const options = [
      {batchSize: 0},
      {batchSize: 1.5},
      {batchSize: '8'},
      {batchSize: null},
      {signal: true},
      {signal: null},
      {onProgress: 'loud'},
    ];
    for (const wrong of options as object[]) {
      const what = JSON.stringify(wrong);
      expect((await errorOf(() => accumulation.add(x, wrong))).code, what).toBe('ARGUMENT');
      expect((await errorOf(() => estimateImportance(model, x, wrong))).code, what).toBe('ARGUMENT');
    }
    const settings: [unknown, string][] = [
      [{phi: 'cube'}, 'ARGUMENT'],
      [{output: 'softmax'}, 'ARGUMENT'],
      [{seed: 2}, 'ARGUMENT'],
      [{variables: []}, 'ARGUMENT'],
      [{variables: [x]}, 'ARGUMENT'],
      [{variables: [null]}, 'ARGUMENT'],
      [{variables: [gone]}, 'DISPOSED'],
      [{variables: 'all'}, 'ARGUMENT'],
      [{variables: alone}, 'ARGUMENT'],
    ];
    for (const [i, [wrong, code]] of settings.entries()) {
      expect((await errorOf(() => new Accumulation(model, wrong as object))).code, `settings ${i}`).toBe(code);
    }
    for (const wrong of [{}, null, undefined, 'model', {forward: 1, variables: []}] as never[]) {
      expect((await errorOf(() => new Accumulation(wrong))).code).toBe('ARGUMENT');
      const place = {read: async () => new Uint8Array(), write: async () => {}};
      expect((await errorOf(() => Accumulation.load(wrong, place))).code).toBe('ARGUMENT');
    }
    for (const other of [accumulation, null, undefined, {}, 'shard', new Memory()] as never[]) {
      expect((await errorOf(() => accumulation.merge(other))).code).toBe('ARGUMENT');
    }
    expect((await errorOf(() => accumulation.merge(elsewhere))).code).toBe('UNKNOWN_VARIABLE');
    expect((await errorOf(() => accumulation.finish())).code).toBe('EMPTY_DATA');
    let nested: Promise<unknown> | undefined;
    tf.tidy(() => {
      tf.grad((t) => {
        nested = accumulation.add(x).catch((error) => error);
        return tf.sum(t);
      })(tf.scalar(1));
    });
    expect(await nested).toMatchObject({code: 'NESTED_TAPE'});
    expect(accumulation.samples).toBe(0);
    expect(tf.memory().numTensors).toBe(numTensors);
  });

  it('refuses samples whose gradients exceed 32 bits, and keeps what was there', async () => {
    const [w, v] = [1e10, 1].map((value) => own(tf.variable(own(tf.fill([1, 1], value)))));
    const forward = (x: tf.Tensor | tf.Tensor[]) =>
      tf.concat(
        [w, v].map((one) => tf.matMul(x as tf.Tensor, one as tf.Tensor)),
        1,
      );
    const accumulation = own(new Accumulation({forward, variables: [w, v]}));
    await accumulation.add(own(tf.fill([2, 1], 1e9)));
    const before = await bytesOf(accumulation);
    const huge = own(tf.fill([2, 1], 1e15));
    const {numTensors} = tf.memory();
    const error = await errorOf(() => accumulation.add(huge));
    expect(error.code).toBe('NON_FINITE');
    expect(error.received).toContain(w.name);
    expect(error.received).not.toContain(v.name);
    expect(tf.memory().numTensors).toBe(numTensors);
    expect(await bytesOf(accumulation)).toEqual(before);
  });

  it('refuses to go on with a network whose variables were disposed', async () => {
    const w = tf.variable(tf.ones([4, 2]));
    const plain = {forward: (x: tf.Tensor | tf.Tensor[]) => tf.matMul(x as tf.Tensor, w as tf.Tensor), variables: [w]};
    const accumulation = own(new Accumulation(plain));
    const mas = own(new MemoryAwareSynapses(plain, {lambda: 1}));
    const x = samples();
    await accumulation.add(x);
    const before = await bytesOf(accumulation);
    w.dispose();
    expect((await errorOf(() => accumulation.add(x))).code).toBe('DISPOSED');
    expect((await errorOf(() => mas.consolidate(accumulation))).code).toBe('DISPOSED');
    expect(await bytesOf(accumulation)).toEqual(before); // theta is held: the fingerprint can still be taken
  });

  it('a memory refuses what does not fit, and stays as it was', async () => {
    const model = network();
    const variables = variablesOf(model);
    const [kernel, bias] = variables;
    const memory = own(new Memory());
    const good = new Map(variables.map(({name, shape}) => [name, own(tf.fill(shape, 2))]));
    await memory.consolidate(good, variables);
    const values = async () =>
      Promise.all([...memory.importance.values(), ...memory.anchor.values()].map(async (t) => [...(await t.data())]));
    const before = await values();
    const gone = tf.variable(tf.ones([4, 3]));
    gone.dispose();
    const only = (tensor: unknown, name = kernel.name) => new Map([...good, [name, tensor]]);
    const cases: [string, string, unknown, unknown?, unknown?][] = [
      ['a wrong shape', 'SHAPE', only(own(tf.ones([3, 4])))],
      ['another rank', 'SHAPE', only(own(tf.ones([12])))],
      ['a wrong dtype', 'DTYPE', only(own(tf.ones([4, 3], 'int32')))],
      ['a negative importance', 'ARGUMENT', only(own(tf.fill([4, 3], -1e-30)))],
      ['NaN', 'NON_FINITE', only(own(tf.fill([4, 3], Number.NaN)))],
      ['Infinity', 'NON_FINITE', only(own(tf.fill([4, 3], Number.POSITIVE_INFINITY)))],
      ['a disposed tensor', 'DISPOSED', only(disposed([4, 3]))],
      ['no tensor', 'ARGUMENT', only([1, 2])],
      ['nothing of a variable', 'ARGUMENT', only(undefined)],
      ['an object', 'ARGUMENT', Object.fromEntries(good)],
      ['null', 'ARGUMENT', null],
      ['importance of no variable', 'UNKNOWN_VARIABLE', only(own(tf.ones([4, 3])), 'nobody')],
      ['importance of another variable', 'UNKNOWN_VARIABLE', good, [bias]],
      ['an unknown rule', 'ARGUMENT', good, variables, 'product'],
      ['null as rule', 'ARGUMENT', good, variables, null],
      ['no variables', 'ARGUMENT', good, []],
      ['variables that are none', 'ARGUMENT', good, [kernel.name]],
      ['variables by name', 'ARGUMENT', good, new Map([[kernel.name, kernel]])],
      ['a disposed variable', 'DISPOSED', good, [...variables, gone]],
    ];
    const {numTensors} = tf.memory();
    for (const [what, code, importance, about = variables, rule] of cases) {
      const call = () => memory.consolidate(importance as never, about as never, rule as never);
      expect((await errorOf(call)).code, what).toBe(code);
      expect(tf.memory().numTensors, what).toBe(numTensors);
    }
    expect(await values()).toEqual(before);
    expect([...memory.tasks.values()]).toEqual([1, 1, 1, 1]);
    memory.dispose();
    memory.dispose();
    for (const call of [
      () => memory.consolidate(good, variables),
      () => memory.get(kernel.name),
      () => memory.importance,
      () => memory.anchor,
      () => memory.tasks,
    ]) {
      expect((await errorOf(call)).code).toBe('DISPOSED');
    }
    const interrupted = own(new Memory());
    const consolidating = interrupted.consolidate(good, variables);
    interrupted.dispose();
    expect((await errorOf(() => consolidating)).code).toBe('DISPOSED');
    expect(tf.memory().numTensors).toBe(numTensors - 8);
  });

  it('normalize refuses what is no importance', async () => {
    const {numTensors} = tf.memory();
    const cases: [string, unknown][] = [
      ['ARGUMENT', null],
      ['ARGUMENT', {w: own(tf.ones([2]))}],
      ['ARGUMENT', new Map([['w', [1, 2]]])],
      ['ARGUMENT', new Map([['w', own(tf.fill([2], -1))]])],
      ['DISPOSED', new Map([['w', disposed([2])]])],
      ['DTYPE', new Map([['w', own(tf.ones([2], 'int32'))]])],
      ['NON_FINITE', new Map([['w', own(tf.fill([4], 3e38))]])],
      ['NON_FINITE', new Map([['w', own(tf.fill([4], Number.NaN))]])],
    ];
    for (const [code, wrong] of cases) expect((await errorOf(() => normalize(wrong as never))).code).toBe(code);
    expect(tf.memory().numTensors).toBe(numTensors + 5);
  });
});
