/** Whatever form the samples come in, the importance is the same, and the user's tensors are left alone. */
import * as tf from '@tensorflow/tfjs';
import {afterAll, expect, it} from 'vitest';
import {estimateImportance, MemoryAwareSynapses, type Progress, type Samples} from '../dist/index.js';
import {describeEngine, deviation, engineName} from './engine.js';

const samples = 23;
const values = Array.from({length: samples}, (_, b) => Array.from({length: 5}, (_, p) => Math.sin(7 * b + p * p)));

describeEngine(`forms of data on ${engineName}`, () => {
  const model = tf.sequential({
    layers: [
      tf.layers.dense({inputShape: [5], units: 6, activation: 'tanh'}),
      tf.layers.dense({units: 3, activation: 'softmax'}),
    ],
  });
  const x = tf.tensor2d(values);
  const slices = [x.slice([0], [9]), x.slice([9], [1]), x.slice([10], [13])];
  const arrays = [values.slice(0, 9), values.slice(9, 10), values.slice(10)];
  afterAll(() => {
    tf.dispose([x, slices]);
    model.dispose();
  });

  const toMap = async (importance: Map<string, tf.Tensor>) => {
    const read = new Map<string, Float32Array>();
    for (const [name, omega] of importance) {
      read.set(name, (await omega.data()) as Float32Array);
      omega.dispose();
    }
    return read;
  };
  const measure = async (data: Samples, batchSize: number) => {
    const {importance, report} = await estimateImportance(model, data, {batchSize});
    expect(report.samples).toBe(samples);
    return toMap(importance);
  };
  let truth: Promise<Map<string, Float32Array>> | undefined;
  const whole = () => (truth ??= measure(x, 64));

  const dataset = () => tf.data.array(values.map((row, i) => ({xs: row, ys: [i % 3]})));
  const forms: [string, () => Samples][] = [
    ['a tensor', () => x],
    ['a nested array', () => values],
    ['a list of one tensor, for a network of one input', () => [x]],
    ['a tf.data.Dataset of batches', () => tf.data.array(values).batch(4)],
    ['a tf.data.Dataset of {xs, ys}', () => dataset().batch(10)],
    ['a tf.data.Dataset of batches larger than batchSize', () => dataset().batch(16)],
    ['a tf.data.generator', () => tf.data.generator(() => values[Symbol.iterator]()).batch(6)],
    ['an iterator over tensors', () => slices[Symbol.iterator]()],
    ['a set of tensors', () => new Set(slices)],
    ['a generator of {xs, ys}', () => generate(({xs}) => ({xs, ys: xs}))],
    ['an iterator over nested arrays', () => arrays[Symbol.iterator]() as Iterable<number[][]>],
    ['an async generator of tensors', () => generateAsync(({xs}) => xs)],
    ['an async generator of {xs}', () => generateAsync(({xs}) => ({xs}))],
    ['an async generator of {xs: [tensor]}', () => generateAsync(({xs}) => ({xs: [xs]}))],
    ['a readable stream', () => new ReadableStream(streamed(slices)) as unknown as Samples],
  ];
  function* generate<T>(form: (batch: {xs: tf.Tensor}) => T): Generator<T> {
    for (const xs of slices) yield form({xs});
  }
  async function* generateAsync<T>(form: (batch: {xs: tf.Tensor}) => T): AsyncGenerator<T> {
    for (const xs of slices) {
      await tf.nextFrame();
      yield form({xs});
    }
  }
  function streamed(list: tf.Tensor[]): UnderlyingDefaultSource<tf.Tensor> {
    const rest = [...list];
    return {pull: (controller) => (rest.length > 0 ? controller.enqueue(rest.shift()!) : controller.close())};
  }

  for (const [name, form] of forms) {
    it(`${name}: same importance for every batch size, no tensor of the user disposed, none leaked`, async () => {
      const expected = await whole();
      for (const batchSize of engineName === 'webgpu' ? [5] : [1, 5, 64]) {
        const data = form();
        const {numTensors} = tf.memory();
        const got = await measure(data, batchSize);
        expect(tf.memory().numTensors).toBe(numTensors);
        expect([...got.keys()]).toEqual([...expected.keys()]);
        for (const [key, omega] of expected) expect(deviation(got.get(key)!, omega), key).toBeLessThan(1e-5);
      }
      expect(x.isDisposed || slices.some((slice) => slice.isDisposed)).toBe(false);
      expect(await x.array()).toEqual(values.map((row) => row.map(Math.fround)));
    });
  }

  it('same importance for the order of the samples', async () => {
    const expected = await whole();
    const got = await measure([...values].reverse(), 7);
    for (const [key, omega] of expected) expect(deviation(got.get(key)!, omega), key).toBeLessThan(1e-5);
  });

  it('several inputs: a list of tensors, batches of such lists and datasets of them agree', async () => {
    const inputs = [tf.input({shape: [5]}), tf.input({shape: [2, 3]})];
    const flat = tf.layers.flatten().apply(inputs[1]) as tf.SymbolicTensor;
    const joined = tf.layers.concatenate().apply([inputs[0], flat]) as tf.SymbolicTensor;
    const hidden = tf.layers.dense({units: 4, activation: 'relu'}).apply(joined) as tf.SymbolicTensor;
    const two = tf.model({inputs, outputs: tf.layers.dense({units: 2}).apply(hidden) as tf.SymbolicTensor});
    const second = tf.randomNormal([samples, 2, 3], 0, 1, 'float32', 11);
    const parts = [0, 10].map((start) => [
      x.slice([start], [Math.min(10, samples - start)]),
      second.slice([start], [Math.min(10, samples - start)]),
    ]);
    parts.push([x.slice([20], [3]), second.slice([20], [3])]);
    const rows = (await second.array()) as number[][][];
    // By name, as fitDataset has it: tf.data does not batch lists of tensors.
    const [n1, n2] = two.inputNames;
    const asRows = values.map((row, i) => ({
      xs: {[n2]: tf.tensor2d(rows[i]), [n1]: tf.tensor1d(row)},
      ys: tf.scalar(1),
    }));
    const measureTwo = async (data: Samples) => toMap((await estimateImportance(two, data, {batchSize: 6})).importance);
    const expected = await measureTwo([x, second]);
    const batchesOf = function* () {
      yield* parts;
    };
    const xsOf = async function* () {
      for (const xs of parts) yield {xs, ys: xs[0]};
    };
    const named = {[n2]: second, [n1]: x};
    const forms: Samples[] = [named, [named][Symbol.iterator](), batchesOf(), xsOf(), tf.data.array(asRows).batch(8)];
    for (const data of forms) {
      const got = await measureTwo(data);
      for (const [key, omega] of expected) expect(deviation(got.get(key)!, omega), key).toBeLessThan(1e-5);
    }
    await expect(measureTwo({[n1]: x, wrong: second})).rejects.toThrow(`inputs by the names ${n1}, ${n2}`);
    expect(parts.flat().some((part) => part.isDisposed)).toBe(false);
    tf.dispose([second, parts, asRows]);
    two.dispose();
  });

  it('progress counts samples up to the end, with the total where the data tells it', async () => {
    const seen: Progress[] = [];
    const mas = new MemoryAwareSynapses(model, {lambda: 1});
    await mas.consolidate(x, {batchSize: 10, onProgress: (progress) => seen.push({...progress})});
    expect(seen.map((p) => [p.samples, p.total])).toEqual([10, 20, 23].map((n) => [n, samples]));
    for (const [i, {seconds, secondsLeft, samples: done}] of seen.entries()) {
      expect(seconds).toBeGreaterThan(i === 0 ? 0 : seen[i - 1].seconds);
      expect(secondsLeft).toBeCloseTo((seconds / done) * (samples - done), 6);
    }
    expect(seen[2].secondsLeft).toBe(0);
    seen.length = 0;
    await mas.consolidate(values, {batchSize: 20, onProgress: (progress) => seen.push({...progress})});
    expect(seen.map((p) => [p.samples, p.total])).toEqual([20, 23].map((n) => [n, samples]));
    seen.length = 0;
    await mas.consolidate(
      generate(({xs}) => xs),
      {onProgress: (progress) => seen.push({...progress})},
    );
    expect(seen.map((p) => [p.samples, p.total])).toEqual([9, 10, 23].map((n) => [n, undefined]));
    expect(seen.map((p) => p.secondsLeft)).toEqual([undefined, undefined, undefined]);
    mas.dispose();
  });

  it('abort before and during: rejects with the reason, reads no further, and the memory stays as it was', async () => {
    const mas = new MemoryAwareSynapses(model, {lambda: 1});
    await mas.consolidate(x);
    const before = await Promise.all([...mas.importance.values()].map((t) => t.data()));
    let given = 0;
    let closed = false;
    const data = function* () {
      try {
        for (const slice of slices) {
          given++;
          yield slice;
        }
      } finally {
        closed = true;
      }
    };
    const reason = new Error('enough');
    await expect(mas.consolidate(data(), {signal: AbortSignal.abort(reason)})).rejects.toBe(reason);
    expect(given).toBe(0);
    const abort = new AbortController();
    const {numTensors} = tf.memory();
    const running = mas.consolidate(data(), {signal: abort.signal, onProgress: () => abort.abort(reason)});
    await expect(running).rejects.toBe(reason);
    expect([given, closed]).toEqual([1, true]);
    expect(tf.memory().numTensors).toBe(numTensors);
    expect(await Promise.all([...mas.importance.values()].map((t) => t.data()))).toEqual(before);
    expect([...mas.tasks.values()]).toEqual([1, 1, 1, 1]);
    await mas.consolidate(x); // and it works again
    expect([...mas.tasks.values()]).toEqual([2, 2, 2, 2]);
    mas.dispose();
  });

  it('data that throw half way reject with their own error, and the memory stays as it was', async () => {
    const mas = new MemoryAwareSynapses(model, {lambda: 1});
    const broken = async function* () {
      yield slices[0];
      throw new Error('the disk is gone');
    };
    const {numTensors} = tf.memory();
    await expect(mas.consolidate(broken())).rejects.toThrow('the disk is gone');
    expect(tf.memory().numTensors).toBe(numTensors);
    expect(mas.tasks.size).toBe(0);
    mas.dispose();
  });
});
