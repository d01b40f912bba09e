/** Samples come in any number of calls and add up to one pass; a call that fails leaves nothing behind. */
import * as tf from '@tensorflow/tfjs';
import {expect, it} from 'vitest';
import {Accumulation, EngramError, estimateImportance, MemoryAwareSynapses} from '../dist/index.js';
import {readSafetensors} from '../dist/memory/safetensors.js';
import {bytesOf, errorOf, omegaOf, read} from './accumulations.js';
import {describeEngine, deviation, engineName, exactness} from './engine.js';
import {batchOfOne, variablesOf} from './networks.js';
import {own} from './owned.js';

const network = () =>
  own(
    tf.sequential({
      layers: [tf.layers.dense({inputShape: [4], units: 5, activation: 'tanh'}), tf.layers.dense({units: 3})],
    }),
  );
const samples = (count = 30, seed = 7) => own(tf.randomNormal([count, 4], 0, 1, 'float32', seed));
/** A network that couples its samples, so that every one of them is measured on its own. */
const coupled = () => {
  const w = own(tf.variable(tf.randomNormal([4, 3], 0, 1, 'float32', 5)));
  const forward = (x: tf.Tensor | tf.Tensor[]) => {
    const y = tf.matMul(x as tf.Tensor2D, w as unknown as tf.Tensor2D);
    return tf.sub(y, tf.mean(y, 0, true).mul(0.5)) as tf.Tensor;
  };
  return {forward, variables: [w]};
};

function expectEqual(actual: Map<string, ArrayLike<number>>, expected: Map<string, ArrayLike<number>>, within = 1e-6) {
  expect([...actual.keys()].sort()).toEqual([...expected.keys()].sort());
  for (const [name, values] of expected) expect(deviation(actual.get(name)!, values), name).toBeLessThanOrEqual(within);
}

describeEngine(`an accumulation on ${engineName}`, () => {
  it('adds up to one pass, however the samples come, and to the definition', async () => {
    const model = network();
    const x = samples();
    const {importance, report} = await estimateImportance(model, x);
    const once = await read(importance);
    const accumulation = own(new Accumulation(model));
    const parts = tf.split(x, [7, 1, 12, 10]).map(own);
    await accumulation.add(parts[0], {batchSize: 2});
    await accumulation.add((await parts[1].array()) as number[][]);
    await accumulation.add([parts[2]].values());
    await accumulation.add(
      tf.data.generator(function* () {
        yield parts[3].clone();
      }),
    );
    expect(accumulation.samples).toBe(30);
    expectEqual(await omegaOf(accumulation), once);
    expect(accumulation.report).toMatchObject({samples: 30, batches: 4 + 1 + 1 + 1, parameters: report.parameters});
    expect(report.parameters.every(({rule, fallback}) => rule && !fallback)).toBe(true);
    const definition = await batchOfOne((one) => model.apply(one) as tf.Tensor, variablesOf(model), x);
    expectEqual(await omegaOf(accumulation), definition, exactness);
  });

  it('can be looked at and go on: finishing takes nothing away', async () => {
    const model = network();
    const [a, b] = [samples(10, 1), samples(20, 2)];
    const accumulation = own(new Accumulation(model));
    await accumulation.add(a);
    const first = await omegaOf(accumulation);
    const before = await bytesOf(accumulation);
    expect(await omegaOf(accumulation)).toEqual(first);
    expect(await bytesOf(accumulation)).toEqual(before);
    await accumulation.add(b);
    const all = own(tf.concat([a, b]));
    expectEqual(await omegaOf(accumulation), await read((await estimateImportance(model, all)).importance));
  });

  it('is as it was after an abort at any stage, and after any throw', async () => {
    const model = network();
    const x = samples();
    for (const [network, batches] of [
      [model, 6],
      [coupled(), 6],
    ] as const) {
      const accumulation = own(new Accumulation(network));
      const empty = own(new Accumulation(network));
      await accumulation.add(x);
      const before = await bytesOf(accumulation);
      const {numTensors} = tf.memory();
      const attempt = async (stage: string, data: unknown, options: object, expected: unknown) => {
        for (const one of [accumulation, empty]) {
          const error = await one.add(data as tf.Tensor, {batchSize: 5, ...options}).catch((thrown) => thrown);
          expect(error, stage).toBe(expected);
        }
        expect(await bytesOf(accumulation), stage).toEqual(before);
        expect(empty.samples).toBe(0);
        expect(empty.report.batches).toBe(0);
        expect(tf.memory().numTensors, stage).toBe(numTensors);
      };
      const reason = new Error('enough');
      await attempt('before it starts', x, {signal: AbortSignal.abort(reason)}, reason);
      for (let stage = 1; stage <= batches; stage++) {
        let controller = new AbortController();
        let done = 0;
        const onProgress = () => {
          if (++done % stage !== 0) return;
          controller.abort(reason);
        };
        const signal = () => controller.signal;
        for (const one of [accumulation, empty]) {
          controller = new AbortController();
          done = 0;
          const error = await one.add(x, {batchSize: 5, signal: signal(), onProgress}).catch((thrown) => thrown);
          expect(error).toBe(reason);
          expect(done).toBe(stage);
        }
        const failing = () => {
          throw reason;
        };
        await attempt(`in the progress of batch ${stage}`, x, {onProgress: failing}, reason);
        const stream = {
          async *[Symbol.asyncIterator]() {
            for (let i = 1; i < stage; i++) yield x;
            throw reason;
          },
        };
        await attempt(`in the data of batch ${stage}`, stream, {}, reason);
      }
      // From outside, while a batch of the fallback is taken one by one.
      const controller = new AbortController();
      setTimeout(() => controller.abort(reason), 0);
      const endless = {
        *[Symbol.iterator]() {
          for (;;) yield x;
        },
      };
      await expect(accumulation.add(endless, {signal: controller.signal})).rejects.toBe(reason);
      expect(await bytesOf(accumulation)).toEqual(before);
      expect(tf.memory().numTensors).toBe(numTensors);
    }
  });

  it('keeps the number of tensors over 100 calls that succeed, throw, and are aborted', async () => {
    const model = network();
    const [x, wrong] = [samples(), own(tf.zeros([3, 5]))];
    const [accumulation, other] = [own(new Accumulation(model)), own(new Accumulation(model, {phi: 'square'}))];
    await accumulation.add(x);
    await other.add(x);
    const {numTensors, numDataBuffers} = tf.memory();
    const bytesBefore = await bytesOf(accumulation);
    for (let i = 0; i < 100; i++) {
      const calls: (() => Promise<unknown>)[] = [
        () => accumulation.add(wrong),
        () =>
          accumulation.add(x, {
            signal: AbortSignal.abort(new EngramError('ARGUMENT', {expected: '', received: '', remedy: ''})),
          }),
        () => accumulation.merge(other),
        () => accumulation.merge(accumulation),
        () => Accumulation.load(model, {write: async () => {}, read: async () => new Uint8Array(9)}),
      ];
      await errorOf(calls[i % calls.length]);
      if (i % 10 === 0) tf.dispose([...(await accumulation.finish()).importance.values()]);
    }
    expect(tf.memory().numTensors).toBe(numTensors);
    expect(tf.memory().numDataBuffers).toBe(numDataBuffers);
    expect(await bytesOf(accumulation)).toEqual(bytesBefore);
  });

  it('frees everything on dispose, also in the middle of a call, which then rejects', async () => {
    const model = network();
    const x = samples();
    const {numTensors, numDataBuffers} = tf.memory();
    const accumulation = new Accumulation(model);
    await accumulation.add(x);
    expect(tf.memory().numTensors).toBe(numTensors + 4); // theta, by clones that share its memory
    expect(tf.memory().numDataBuffers).toBe(numDataBuffers);
    const running = accumulation.add(x, {batchSize: 3, onProgress: () => accumulation.dispose()});
    expect((await errorOf(() => running)).code).toBe('DISPOSED');
    expect(tf.memory().numTensors).toBe(numTensors);
    accumulation.dispose();
    const calls = [
      () => accumulation.add(x),
      () => accumulation.finish(),
      () => accumulation.merge(new Accumulation(model)),
      () => new Accumulation(model).merge(accumulation),
      () => bytesOf(accumulation),
    ];
    for (const call of calls) expect((await errorOf(call)).code).toBe('DISPOSED');
    expect(tf.memory().numTensors).toBe(numTensors);
  });

  it('does one thing at a time', async () => {
    const model = network();
    const x = samples();
    const [accumulation, other] = [own(new Accumulation(model)), own(new Accumulation(model))];
    await other.add(x);
    const running = accumulation.add(x);
    const calls = [
      () => accumulation.add(x),
      () => accumulation.finish(),
      () => accumulation.merge(other),
      () => other.merge(accumulation),
      () => bytesOf(accumulation),
    ];
    for (const call of calls) expect((await errorOf(call)).code).toBe('BUSY');
    await running;
    expect(await omegaOf(accumulation)).toEqual(await omegaOf(other));
  });

  it('belongs to one theta: other values are refused by name, equal ones are not', async () => {
    const model = network();
    const x = samples();
    const [kernel, bias] = variablesOf(model);
    const accumulation = own(new Accumulation(model));
    await accumulation.add(x);
    const before = await bytesOf(accumulation);
    // The same values at another place in memory.
    kernel.assign(own(tf.tensor(kernel.arraySync() as number[][])));
    await accumulation.add(x);
    await accumulation.merge(await own(await copyOf(accumulation)));
    expect(accumulation.samples).toBe(120);
    // One bit of one value: 0 and -0 are different numbers to a network that divides by them.
    bias.assign(own(tf.tensor1d([0, -0, 0, 0, 0])));
    const later = await errorOf(() => accumulation.add(x));
    expect(later.code).toBe('CHANGED');
    expect(later.received).toContain(bias.name);
    expect(later.received).not.toContain(kernel.name);
    const other = own(new Accumulation(model));
    await other.add(x);
    const {numTensors} = tf.memory();
    for (const [one, two] of [
      [accumulation, other],
      [other, accumulation],
    ]) {
      const state = await bytesOf(one);
      const error = await errorOf(() => one.merge(two));
      expect(error.code).toBe('CHANGED');
      expect(error.received).toContain(bias.name);
      expect(error.received).not.toContain(kernel.name);
      expect(await bytesOf(one)).toEqual(state);
    }
    expect(tf.memory().numTensors).toBe(numTensors);
    // What was accumulated is still the old theta's, and can be finished and saved.
    const prints = (bytes: Uint8Array) =>
      [...readSafetensors(bytes).metadata].filter(([key]) => key.endsWith('.fingerprint'));
    expect(prints(await bytesOf(accumulation))).toEqual(prints(before));
    expect(prints(before)).toHaveLength(4);
    const train = () => kernel.assign(own(tf.mul(kernel, 1.01)));
    const meanwhile = await errorOf(() => other.add(x, {batchSize: 10, onProgress: train}));
    expect(meanwhile.code).toBe('CHANGED');
    expect(meanwhile.received).toContain(kernel.name);
    bias.assign(own(tf.zeros([5])));
    const restored = own(new Accumulation(model));
    const once = await errorOf(() => restored.add(x, {onProgress: train}));
    expect(once.code).toBe('CHANGED');
    await restored.add(x); // at the new theta: the call that failed has left none behind
  });

  it('takes NaN for NaN, whatever its bits', async () => {
    const w = own(tf.variable(tf.tensor1d([1, Number.NaN])));
    const network = {
      forward: (x: tf.Tensor | tf.Tensor[]) => tf.mul(tf.slice(w as tf.Tensor, 0, 1), x as tf.Tensor),
      variables: [w],
    };
    const x = own(tf.ones([3, 1]));
    const accumulation = own(new Accumulation(network));
    await accumulation.add(x);
    const bits = Float32Array.from([1, Number.NaN]);
    new Uint32Array(bits.buffer)[1] = 0xffc12345;
    w.assign(own(tf.tensor1d(bits)));
    await accumulation.add(x);
    expect(accumulation.samples).toBe(6);
  });

  it('merges with one of a copy of the network, whose names differ', async () => {
    const model = network();
    const copy = network();
    copy.setWeights(model.getWeights());
    const [a, b] = [samples(10, 1), samples(20, 2)];
    const [accumulation, other, empty] = [model, copy, model].map((one) => own(new Accumulation(one)));
    await accumulation.add(a);
    await other.add(b);
    const theirs = await bytesOf(other);
    const whole = await read((await estimateImportance(model, own(tf.concat([a, b])))).importance);
    await empty.merge(other);
    await empty.merge(accumulation);
    await empty.merge(own(new Accumulation(copy))); // no sample: nothing to add
    await accumulation.merge(other);
    for (const one of [accumulation, empty]) {
      expectEqual(await omegaOf(one), whole);
      expect(one.report.parameters).toMatchObject(variablesOf(model).map(({name}) => ({name, fallback: null})));
    }
    expect(await bytesOf(other)).toEqual(theirs);
    copy.setWeights(model.getWeights().map((weight) => own(tf.mul(weight, 2))));
    const trained = own(new Accumulation(copy));
    await trained.add(b);
    expect((await errorOf(() => accumulation.merge(trained))).code).toBe('CHANGED');
  });

  it('is consolidated like the data that went into it, by several memories', async () => {
    const model = network();
    const x = samples();
    for (const normalize of [false, true]) {
      const [mas, other, third] = [1, 2, 3].map(() => own(new MemoryAwareSynapses(model, {lambda: 1, normalize})));
      await mas.consolidate(x);
      const accumulation = own(other.accumulation());
      for (const part of tf.split(x, 3).map(own)) await accumulation.add(part);
      const {numTensors} = tf.memory();
      const report = await other.consolidate(accumulation);
      expect(tf.memory().numTensors).toBe(numTensors + 8); // importance and anchors
      expect(report).toMatchObject({samples: 30, batches: 3});
      await third.consolidate(accumulation);
      for (const one of [other, third]) {
        for (const [name, omega] of mas.importance) {
          expect(deviation(await one.importance.get(name)!.data(), await omega.data()), name).toBeLessThanOrEqual(1e-6);
          expect(await one.anchor.get(name)!.data()).toEqual(await mas.anchor.get(name)!.data());
        }
      }
      await accumulation.add(x);
      accumulation.dispose();
      expect(await other.importance.get(variablesOf(model)[0].name)!.data()).toHaveLength(20); // its own tensors
    }
  });

  it('is refused by a memory with other settings, variables or parameters, which stays as it was', async () => {
    const model = network();
    const x = samples();
    const mas = own(new MemoryAwareSynapses(model, {lambda: 1}));
    await mas.consolidate(x);
    const good = own(mas.accumulation());
    expect((await errorOf(() => mas.consolidate(good))).code).toBe('EMPTY_DATA');
    await good.add(x);
    const seed = (F: tf.Tensor) => tf.onesLike(F);
    for (const settings of [
      {phi: 'square'},
      {output: 'output'},
      {seed},
      {variables: variablesOf(model).slice(1)},
      {variables: variablesOf(network())},
    ] as const) {
      const other = own(new Accumulation(model, settings as object));
      expect((await errorOf(() => mas.consolidate(other))).code).toBe('ARGUMENT');
    }
    for (const options of [{batchSize: 3}, {onProgress: () => {}}, {outputs: [0]}]) {
      expect((await errorOf(() => mas.consolidate(good, options))).code).toBe('ARGUMENT');
    }
    const reason = new Error('enough');
    await expect(mas.consolidate(good, {signal: AbortSignal.abort(reason)})).rejects.toBe(reason);
    const {numTensors} = tf.memory();
    const adding = good.add(x);
    expect((await errorOf(() => mas.consolidate(good))).code).toBe('BUSY');
    await adding;
    variablesOf(model)[1].assign(own(tf.fill([5], 0.5)));
    const error = await errorOf(() => mas.consolidate(good));
    expect(error.code).toBe('CHANGED');
    expect(error.received).toContain(variablesOf(model)[1].name);
    expect(error.received).not.toContain(variablesOf(model)[0].name);
    expect(tf.memory().numTensors).toBe(numTensors + 1);
    expect([...mas.tasks.values()]).toEqual([1, 1, 1, 1]);
    variablesOf(model)[1].assign(own(tf.zeros([5])));
    await mas.consolidate(good); // the parameters of the samples again
    expect([...mas.tasks.values()]).toEqual([2, 2, 2, 2]);
  });
});

async function copyOf(accumulation: Accumulation): Promise<Accumulation> {
  const bytes = await bytesOf(accumulation);
  const network = {forward: () => tf.scalar(0), variables: [...accumulation.variables]};
  return Accumulation.load(network, {read: async () => bytes, write: async () => {}});
}
