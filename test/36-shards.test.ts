/** Shards: measured in processes of their own, merged in any order through files, equal to one pass over everything. */
import {execFile} from 'node:child_process';
import {createHash} from 'node:crypto';
import {readFileSync} from 'node:fs';
import {join} from 'node:path';
import {promisify} from 'node:util';
import * as tf from '@tensorflow/tfjs';
import {afterAll, beforeAll, describe, expect, it} from 'vitest';
import {Accumulation, estimateImportance, MemoryAwareSynapses} from '../dist/index.js';
import {readSafetensors} from '../dist/memory/safetensors.js';
import {bytesOf, errorOf, omegaOf, read, shelf} from './accumulations.js';
import {fresh, network, root} from './memory-files.js';
import {deviation} from './metric.js';
import {variablesOf} from './networks.js';

const shardSizes = [40, 7, 64, 1, 23];
const total = shardSizes.reduce((a, b) => a + b);
const startOf = (shard: number) => shardSizes.slice(0, shard).reduce((a, b) => a + b, 0);

interface Job {
  path: string;
  /** Layers made before, so that TensorFlow.js numbers the names of the network by them. */
  shift: number;
  begin: number;
  size: number;
  /** Code that changes the network, and settings of the accumulation. */
  change?: string;
  settings?: string;
  native?: boolean;
}

/** Measures samples in a process of its own; gives the names that the variables have there. */
async function shardProcess({path, shift, begin, size, change = '', settings = '{}', native}: Job): Promise<string[]> {
  const script = `
    import * as tf from '@tensorflow/tfjs';
    import {Accumulation} from 'engram';
    ${native ? "import 'engram/native'; await tf.setBackend('native');" : ''}
    for (let i = 0; i < ${shift}; i++) tf.layers.dense({units: 1});
    const layer = (config, seed) => tf.layers.dense({...config, kernelInitializer: tf.initializers.glorotUniform({seed})});
    const model = tf.sequential({layers: [
      layer({inputShape: [4], units: 4, activation: 'tanh'}, 1), layer({units: 4, activation: 'tanh'}, 2), layer({units: 3}, 3)]});
    const variables = model.trainableWeights.map((weight) => weight.read());
    const x = tf.randomNormal([${total}, 4], 0, 1, 'float32', 11);
    ${change}
    const accumulation = new Accumulation(model, ${settings});
    for (let at = ${begin}; at < ${begin + size}; at += 17) {
      await accumulation.add(tf.slice(x, [at], [Math.min(17, ${begin + size} - at)]), {batchSize: 5});
    }
    await accumulation.save('file://${path}');
    console.log(JSON.stringify(variables.map(({name}) => name)));`;
  const {stdout} = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', script], {cwd: root});
  return JSON.parse(stdout.trim().split('\n').at(-1)!);
}

/** Ten of the 120 orders of five shards, by their number in Lehmer's code. */
const orders = [0, 119, 13, 27, 42, 58, 66, 71, 95, 104].map((code) => {
  const left = [0, 1, 2, 3, 4];
  return [24, 6, 2, 1, 1].map((radix, i) => left.splice(Math.floor(code / radix) % (5 - i), 1)[0]);
});

describe('shards', () => {
  let model: tf.Sequential;
  let x: tf.Tensor;
  let once: Map<string, Float32Array>;
  let paths: string[];
  let names: string[][];
  beforeAll(async () => {
    model = network(1);
    x = tf.randomNormal([total, 4], 0, 1, 'float32', 11);
    once = await read((await estimateImportance(model, x)).importance);
    paths = shardSizes.map(fresh);
    names = [];
    for (const [i, size] of shardSizes.entries()) {
      names.push(await shardProcess({path: paths[i], shift: 1 + i, begin: startOf(i), size}));
    }
  });
  afterAll(() => {
    model.dispose();
    x.dispose();
  });
  const load = (path: string, into: tf.LayersModel = model) => Accumulation.load(into, `file://${path}`);
  const expectOnce = (omega: ReadonlyMap<string, Float32Array>, within = 1e-6) => {
    expect([...omega.keys()]).toEqual([...once.keys()]);
    for (const [name, values] of once) expect(deviation(omega.get(name)!, values), name).toBeLessThanOrEqual(within);
  };

  it('of five processes, merged in ten orders, equal one pass', async () => {
    expect(new Set(orders.map(String)).size).toBe(10);
    expect(orders.every((order) => new Set(order).size === 5)).toBe(true);
    expect(new Set(names.map(String)).size).toBe(5); // the names differ in every process
    const {numTensors} = tf.memory();
    for (const [i, order] of orders.entries()) {
      let whole = i % 2 ? new Accumulation(model) : await load(paths[order[0]]);
      for (const shard of i % 2 ? order : order.slice(1)) {
        const next = await load(paths[shard]);
        await whole.merge(next);
        next.dispose();
        if (i % 3) continue;
        const path = fresh(); // on the way, too
        await whole.save(`file://${path}`);
        whole.dispose();
        whole = await load(path);
      }
      expect(whole.samples).toBe(total);
      expectOnce(await omegaOf(whole));
      whole.dispose();
    }
    expect(tf.memory().numTensors).toBe(numTensors);
  });

  it('go on with samples here, and are consolidated', async () => {
    const mas = new MemoryAwareSynapses(model, {lambda: 1});
    const accumulation = mas.accumulation();
    const rest = tf.slice(x, [startOf(4)], [shardSizes[4]]);
    await accumulation.add(rest);
    for (const path of paths.slice(0, 4)) await accumulation.merge(await load(path));
    const report = await mas.consolidate(accumulation);
    expect(report.samples).toBe(total);
    expect(report.parameters).toMatchObject([...once.keys()].map((name) => ({name, fallback: null})));
    const omega = await Promise.all(
      [...mas.importance].map(async ([name, tensor]) => [name, (await tensor.data()) as Float32Array] as const),
    );
    expectOnce(new Map(omega));
    for (const variable of variablesOf(model)) {
      expect(await mas.anchor.get(variable.name)!.data()).toEqual(await variable.data());
    }
    // One that was only loaded is about the parameters of its file: those, and no others, can go on.
    const loaded = await load(paths[0]);
    await loaded.add(rest);
    await mas.consolidate(loaded);
    const other = network(5);
    const foreign = await load(paths[0], other);
    const before = await bytesOf(foreign);
    expect((await errorOf(() => foreign.add(rest))).code).toBe('CHANGED');
    const elsewhere = new MemoryAwareSynapses(other, {lambda: 1});
    expect((await errorOf(() => elsewhere.consolidate(foreign))).code).toBe('CHANGED');
    expect(elsewhere.importance.size).toBe(0);
    expect(await bytesOf(foreign)).toEqual(before);
    const second = await load(paths[1], other);
    await foreign.merge(second); // whoever only merges needs the architecture, not the parameters
    expect(foreign.samples).toBe(shardSizes[0] + shardSizes[1]);
    for (const one of [accumulation, loaded, foreign, second, mas, elsewhere, rest, other]) one.dispose();
  });

  it('of other engines merge, too', async () => {
    const path = fresh();
    await shardProcess({path, shift: 9, begin: startOf(2), size: shardSizes[2], native: true});
    const whole = await load(path);
    for (const shard of [0, 1, 3, 4]) await whole.merge(await load(paths[shard]));
    expectOnce(await omegaOf(whole), 1e-5); // as far as the engines agree
    expect(readSafetensors(readFileSync(path)).metadata.get('engine')).toBe('native');
    whole.dispose();
  });

  it('that were taken at another theta are refused by name, be it one bit', async () => {
    const [path, begin] = [fresh(), startOf(1)];
    for (const change of [
      'variables[2].assign(tf.mul(variables[2], 1.0000001));',
      'variables[2].assign(variables[2].add(tf.oneHot(3, 16).reshape([4, 4]).mul(1e-8)));',
      'variables[2].assign(tf.tensor(variables[2].arraySync().map((row) => [...row].reverse())));',
    ]) {
      await shardProcess({path, shift: 3, begin, size: 7, change});
      const whole = await load(paths[0]);
      const before = await bytesOf(whole);
      const trained = await load(path);
      const error = await errorOf(() => whole.merge(trained));
      expect(error.code, change).toBe('CHANGED');
      const [, , third, ...others] = variablesOf(model).map(({name}) => name);
      expect(error.received).toContain(third);
      for (const name of others) expect(error.received).not.toContain(name);
      expect(await bytesOf(whole)).toEqual(before);
      whole.dispose();
      trained.dispose();
    }
  });

  it('with other settings are refused', async () => {
    for (const [settings, key, options] of [
      ["{phi: 'square'}", 'phi', {}],
      ["{output: 'output'}", 'output', {}],
      ['{seed: (F) => tf.onesLike(F)}', 'seed', {seed: (F: tf.Tensor) => tf.onesLike(F)}],
    ] as const) {
      const path = fresh();
      await shardProcess({path, shift: 2, begin: 0, size: 9, settings});
      const other = await Accumulation.load(model, `file://${path}`, options);
      const whole = await load(paths[0]);
      for (const [one, two] of [
        [whole, other],
        [other, whole],
      ]) {
        const before = await bytesOf(one);
        const error = await errorOf(() => one.merge(two));
        expect(error.code).toBe('ARGUMENT');
        expect(error.message).toContain(key);
        expect(await bytesOf(one)).toEqual(before);
      }
      other.dispose();
      whole.dispose();
      if (key !== 'seed') continue;
      expect((await errorOf(() => load(path))).code).toBe('ARGUMENT'); // no file can hold a function
      expect((await errorOf(() => Accumulation.load(model, `file://${paths[0]}`, options))).code).toBe('ARGUMENT');
    }
  });

  it('are found in the network by name and order, or refused with both sides', async () => {
    const build = (...units: number[]) =>
      tf.sequential({layers: units.map((u, i) => tf.layers.dense({units: u, ...(i === 0 ? {inputShape: [4]} : {})}))});
    for (const [units, code] of [
      [[4, 4, 5], 'SHAPE'],
      [[4, 4], 'UNKNOWN_VARIABLE'],
      [[4, 4, 4, 3], 'UNKNOWN_VARIABLE'],
    ] as const) {
      const other = build(...units);
      expect((await errorOf(() => load(paths[0], other))).code).toBe(code);
      other.dispose();
    }
    // A part of the variables: as many as the file has, by themselves or when chosen.
    const [kernel, , third] = variablesOf(model);
    const partly = new Accumulation(model, {variables: [third, kernel]});
    await partly.add(x);
    const store = shelf();
    await partly.save(store);
    const again = await Accumulation.load(model, store);
    expect(again.variables).toEqual([kernel, third]); // as the network has them
    expect(await omegaOf(again)).toEqual(await omegaOf(partly));
    const chosen = await Accumulation.load(model, store, {variables: [third, kernel]});
    expect(chosen.variables).toEqual([third, kernel]);
    const all = variablesOf(model);
    expect((await errorOf(() => Accumulation.load(model, store, {variables: all}))).code).toBe('UNKNOWN_VARIABLE');
    const copy = network(1);
    const [first, , , , , last] = variablesOf(copy).map(({name}) => name);
    const names = Object.fromEntries(variablesOf(copy).map(({name}) => [name, null as string | null]));
    const byOrder = await Accumulation.load(copy, store); // the two that have this shape
    expect(byOrder.variables).toEqual([variablesOf(copy)[0], variablesOf(copy)[2]]);
    const one = new Accumulation(model, {variables: [third]});
    await one.add(x);
    const single = shelf();
    await one.save(single);
    expect((await errorOf(() => Accumulation.load(copy, single))).code).toBe('UNKNOWN_VARIABLE'); // which of the two?
    const told = {...names, [first]: kernel.name, [variablesOf(copy)[2].name]: third.name};
    const found = await Accumulation.load(copy, store, {names: told});
    expect([...(await omegaOf(found)).values()]).toEqual([...(await omegaOf(again)).values()]);
    for (const wrong of [{nonsense: kernel.name}, {[first]: 'nonsense'}, {...told, [last]: kernel.name}]) {
      const error = await errorOf(() => Accumulation.load(copy, store, {names: wrong}));
      expect(error.code).toBe('UNKNOWN_VARIABLE');
    }
    const whole = await load(paths[0]);
    expect((await errorOf(() => whole.merge(again))).code).toBe('UNKNOWN_VARIABLE'); // a part does not add to all
    expect((await errorOf(() => again.merge(whole))).code).toBe('UNKNOWN_VARIABLE');
    for (const used of [partly, again, chosen, found, whole, byOrder, one, copy]) used.dispose();
  });

  it('come back byte for byte, and say what they hold to an independent reader', async () => {
    for (const [i, path] of paths.entries()) {
      const bytes = readFileSync(path);
      const loaded = await load(path);
      const store = shelf();
      await loaded.save(store);
      const again = await Accumulation.load(model, store);
      expect(await bytesOf(again)).toEqual(store.bytes);
      const [theirs, ours] = [bytes, store.bytes].map(readSafetensors);
      for (const [name, tensor] of theirs.tensors) {
        const [kind, ...parts] = name.split('.');
        const here = [...once.keys()][names[i].indexOf(parts.join('.'))];
        expect(Buffer.compare(ours.tensors.get(`${kind}.${here}`)!.bytes, tensor.bytes)).toBe(0);
      }
      const renamed = (key: string) => /^variable\.\d+\.(name|original_name)$/.test(key);
      for (const [key, value] of theirs.metadata) if (!renamed(key)) expect(ours.metadata.get(key), key).toBe(value);
      loaded.dispose();
      again.dispose();
    }
    const script = join(root, 'test/golden/read_safetensors.py');
    const {stdout} = await promisify(execFile)('python3', [script, paths[2]]);
    const {metadata, tensors} = JSON.parse(stdout);
    expect(metadata).toMatchObject({
      format: 'engram-accumulation',
      format_version: '1',
      phi: 'abs',
      output: 'logits',
      outputs: 'all',
      seed: 'squared-norm',
      samples: String(shardSizes[2]),
      batches: '15',
      'variable.0.shape': '4,4',
      'variable.0.reached': 'true',
    });
    const loaded = await load(paths[2]);
    const omega = await omegaOf(loaded);
    for (const [i, variable] of variablesOf(model).entries()) {
      const name = names[2][i];
      const {shape, values} = tensors[`sum_hi.${name}`];
      expect(shape).toEqual(variable.shape);
      const low: number[] = tensors[`sum_lo.${name}`].values;
      const mean = values.map((high: number, k: number) => (high + low[k]) / shardSizes[2]);
      expect(deviation(omega.get(variable.name)!, mean)).toBeLessThan(1e-6);
      const hash = createHash('sha256').update(`${variable.shape.join(',')}\n`);
      hash.update(new Uint8Array((await variable.data()).slice().buffer));
      expect(metadata[`variable.${i}.fingerprint`]).toBe(hash.digest('hex'));
    }
    loaded.dispose();
  });
});
