/** A shard file is whole or refused: damage, mutations, other formats, calls at the wrong time. */
import {existsSync, readdirSync, readFileSync} from 'node:fs';
import {join} from 'node:path';
import * as tf from '@tensorflow/tfjs';
import {describe, expect, it} from 'vitest';
import {Accumulation, EngramError, MemoryAwareSynapses} from '../dist/index.js';
import {floatsOf, readSafetensors, writeSafetensors} from '../dist/memory/safetensors.js';
import {bytesOf, errorOf, omegaOf, shelf} from './accumulations.js';
import {folder, fresh, network, samples} from './memory-files.js';
import {variablesOf} from './networks.js';

/** An accumulation in which one variable was reached by no sample. */
async function shard(settings: ConstructorParameters<typeof Accumulation>[1] = {}) {
  const model = network();
  const [kernel] = variablesOf(model);
  const unused = tf.variable(tf.ones([3]), true, `unused${kernel.name}`);
  const forward = (x: tf.Tensor | tf.Tensor[]) => model.apply(x) as tf.Tensor;
  const plain = {forward, variables: [...variablesOf(model), unused]};
  const accumulation = new Accumulation(plain, settings);
  const x = samples();
  await accumulation.add(x);
  const dispose = () => {
    for (const thing of [accumulation, model, x]) thing.dispose();
    unused.dispose();
  };
  return {plain, accumulation, x, name: kernel.name, dispose};
}

const storeOf = (bytes: Uint8Array) => ({read: async () => bytes, write: async () => {}});

describe('shard files under attack', () => {
  it('that are missing, damaged, or of another kind are refused, and nothing leaks', async () => {
    const {plain, accumulation, name, dispose} = await shard();
    const bytes = await bytesOf(accumulation);
    const {metadata, tensors} = readSafetensors(bytes);
    const floats = new Map([...tensors].map(([key, raw]) => [key, {shape: raw.shape, values: floatsOf(key, raw)}]));
    const high = floats.get(`sum_hi.${name}`)!;
    const changed = (value: number) => ({...high, values: high.values.map((v, i) => (i === 3 ? value : v))});
    const meta = (key: string, value: string) => writeSafetensors(floats, new Map([...metadata, [key, value]]));
    const without = <V>(map: ReadonlyMap<string, V>, key: string) => new Map([...map].filter(([k]) => k !== key));
    const withTensor = (key: string, tensor: typeof high) =>
      writeSafetensors(new Map([...floats, [key, tensor]]), metadata);
    const damaged: [string, Uint8Array][] = [
      ['a negative sum', withTensor(`sum_hi.${name}`, changed(-1))],
      ['a low part that makes a sum negative', withTensor(`sum_lo.${name}`, changed(-1e9))],
      ['a NaN sum', withTensor(`sum_hi.${name}`, changed(Number.NaN))],
      ['an infinite low part', withTensor(`sum_lo.${name}`, changed(Number.POSITIVE_INFINITY))],
      ['another shape', withTensor(`sum_hi.${name}`, {...high, shape: [16]})],
      ['a tensor too many', withTensor('sum_hi.x', high)],
      ['a sum of what was not reached', meta('variable.0.reached', 'false')],
      ['no sum of what was', writeSafetensors(without(floats, `sum_hi.${name}`), metadata)],
      ['no low part', writeSafetensors(without(floats, `sum_lo.${name}`), metadata)],
      ['no metadata', writeSafetensors(floats, new Map())],
      ['another format', meta('format', 'engram-memory')],
      ['a newer version', meta('format_version', '2')],
      ['a name twice', meta('variable.1.name', name)],
      ['a broken shape', meta('variable.0.shape', '4,x')],
      ['a shape beyond 2^53', meta('variable.0.shape', '9999999999999999')],
      ['a broken flag', meta('variable.0.reached', 'yes')],
      ['a short fingerprint', meta('variable.0.fingerprint', 'abc')],
      ['a fingerprint in capitals', meta('variable.0.fingerprint', 'A'.repeat(64))],
      ['no fingerprint', writeSafetensors(floats, without(metadata, 'variable.6.fingerprint'))],
      ['another phi', meta('phi', 'cube')],
      ['another function', meta('output', 'softmax')],
      ['another seed', meta('seed', 'F')],
      ['outputs that are none', meta('outputs', '')],
      ['outputs out of order', meta('outputs', '1,0')],
      ['an output twice', meta('outputs', '1,1')],
      ['a negative output', meta('outputs', '-1')],
      ['no samples', meta('samples', '0')],
      ['a broken number of samples', meta('samples', '1e3')],
      ['more samples than can be counted', meta('samples', '9999999999999999')],
      ['a broken number of batches', meta('batches', '-1')],
      ['endless time', meta('seconds', 'Infinity')],
      ['no time', meta('seconds', '')],
      ['negative time', meta('certificate_seconds', '-1')],
      ['the last byte cut off', bytes.subarray(0, -1)],
      ['nothing', new Uint8Array()],
    ];
    for (const key of metadata.keys()) {
      if (/^(engram|engine)$|\.rule$/.test(key)) continue; // told for the reader's sake
      damaged.push([`no ${key}`, writeSafetensors(floats, without(metadata, key))]);
    }
    const {numTensors, numDataBuffers} = tf.memory();
    for (const [what, file] of damaged) {
      const error = await Accumulation.load(plain, storeOf(file)).catch((thrown) => thrown);
      expect(error, what).toMatchObject({code: 'DATA_FILE'});
    }
    for (const missing of [join(folder, 'none'), folder]) {
      expect((await errorOf(() => Accumulation.load(plain, `file://${missing}`))).code).toBe('DATA_FILE');
    }
    for (const place of [join(folder, 'none', 'x'), folder]) {
      expect((await errorOf(() => accumulation.save(`file://${place}`))).code).toBe('DATA_FILE');
    }
    for (const place of ['', 'shard.safetensors', 'nowhere://a', null, {}, 7] as never[]) {
      expect((await errorOf(() => accumulation.save(place))).code).toBe('ARGUMENT');
      expect((await errorOf(() => Accumulation.load(plain, place))).code).toBe('ARGUMENT');
    }
    expect(readdirSync(folder).filter((entry) => entry.endsWith('.tmp'))).toEqual([]);
    expect(tf.memory().numTensors).toBe(numTensors);
    expect(tf.memory().numDataBuffers).toBe(numDataBuffers);
    expect(await bytesOf(accumulation)).toEqual(bytes);
    dispose();
  });

  it('signed sums are no damage where signed gradients were summed', async () => {
    const {plain, accumulation, dispose} = await shard({phi: 'identity'});
    const again = await Accumulation.load(plain, storeOf(await bytesOf(accumulation)));
    const omega = await omegaOf(again);
    expect([...omega.values()].some((values) => values.some((value) => value < 0))).toBe(true);
    expect(omega).toEqual(await omegaOf(accumulation));
    again.dispose();
    dispose();
  });

  it('memories and shards are not taken for each other', async () => {
    const {plain, accumulation, x, dispose} = await shard();
    const mas = new MemoryAwareSynapses(plain, {lambda: 1});
    await mas.consolidate(x);
    const [memory, sums] = [shelf(), shelf()];
    await mas.save(memory);
    await accumulation.save(sums);
    expect((await errorOf(() => mas.load(sums))).code).toBe('DATA_FILE');
    expect((await errorOf(() => Accumulation.load(plain, memory))).code).toBe('DATA_FILE');
    mas.dispose();
    dispose();
  });

  it('that were mutated 10 000 times load or are refused', async () => {
    const {plain, accumulation, dispose} = await shard();
    const original = await bytesOf(accumulation);
    const header = 8 + Number(new DataView(original.buffer).getBigUint64(0, true));
    let seed = 36;
    const random = (below: number) => {
      seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
      return Math.floor((seed / 2 ** 32) * below);
    };
    const {numTensors} = tf.memory();
    let refused = 0;
    for (let run = 0; run < 10_000; run++) {
      const bytes = Uint8Array.from(original);
      for (let i = random(3); i >= 0; i--) bytes[random(run % 2 ? header : bytes.length)] ^= 1 << random(8);
      const file = bytes.subarray(0, run % 10 ? bytes.length : random(bytes.length));
      const loaded = await Accumulation.load(plain, storeOf(file)).catch((thrown) => thrown);
      if (!(loaded instanceof Error)) {
        if (run % 50 === 0) {
          for (const omega of (await omegaOf(loaded)).values()) expect(omega.every((value) => value >= 0)).toBe(true);
        }
        loaded.dispose();
        continue;
      }
      expect(loaded).toBeInstanceOf(EngramError);
      expect(['DATA_FILE', 'ARGUMENT', 'UNKNOWN_VARIABLE', 'SHAPE']).toContain((loaded as EngramError).code);
      refused++;
    }
    expect(refused).toBeGreaterThan(2500);
    expect(refused).toBeLessThan(9900);
    expect(tf.memory().numTensors).toBe(numTensors);
    dispose();
  });

  it('are not written without samples, or half', async () => {
    const {plain, accumulation, x, dispose} = await shard();
    const empty = new Accumulation(plain);
    const path = fresh();
    expect((await errorOf(() => empty.save(`file://${path}`))).code).toBe('EMPTY_DATA');
    expect(existsSync(path)).toBe(false);
    await accumulation.save(`file://${path}`);
    const bytes = readFileSync(path);
    await errorOf(() => empty.save(`file://${path}`));
    const failing = {write: () => Promise.reject(new Error('full')), read: () => Promise.reject('gone')};
    expect(await errorOf(() => accumulation.save(failing))).toMatchObject({code: 'DATA_FILE', received: 'full'});
    expect((await errorOf(() => Accumulation.load(plain, failing))).code).toBe('DATA_FILE');
    expect(readFileSync(path)).toEqual(bytes);
    // Being saved, it takes no sample: what is written is one state.
    const saving = accumulation.save(`file://${path}`);
    expect((await errorOf(() => accumulation.add(x))).code).toBe('BUSY');
    await saving;
    expect(readFileSync(path)).toEqual(bytes);
    empty.dispose();
    dispose();
  });
});
