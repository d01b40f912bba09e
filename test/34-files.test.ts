/** A memory outlives its process: it comes back byte for byte, and is found again under other names. */
import {execFileSync} from 'node:child_process';
import {mkdirSync, readdirSync, readFileSync, symlinkSync} from 'node:fs';
import {join, relative} from 'node:path';
import {pathToFileURL} from 'node:url';
import * as tf from '@tensorflow/tfjs';
import {describe, expect, it} from 'vitest';
import {MemoryAwareSynapses} from '../dist/index.js';
import {version} from '../dist/version.js';
import {consolidated, contents, errorOf, folder, fresh, network, options, root, samples} from './memory-files.js';

describe('memory files', () => {
  it('come back byte for byte, under relative and absolute paths, URLs and links', async () => {
    const {model, mas} = await consolidated(3);
    const path = fresh();
    await mas.save(`file://${path}`);
    const bytes = readFileSync(path);
    const other = new MemoryAwareSynapses(model, options);
    const report = await other.load(`file://${relative(process.cwd(), path)}`);
    expect(await contents(other)).toEqual(await contents(mas));
    expect(other.tasks).toEqual(mas.tasks);
    expect([...report.matched]).toEqual([...mas.importance.keys()].map((name) => [name, name]));
    expect(report).toMatchObject({fresh: [], elsewhere: [], settings: {method: 'mas', lambda: 2}});
    const spaced = join(folder, 'a b%20c.safetensors');
    await other.save(pathToFileURL(spaced));
    expect(readFileSync(spaced)).toEqual(bytes);
    await other.load(`file://${spaced}`);
    mkdirSync(join(folder, 'links'));
    symlinkSync(spaced, join(folder, 'links', 'l'));
    await other.save(`file://${join(folder, 'links', 'l')}`);
    expect(readFileSync(spaced)).toEqual(bytes);
    expect(readdirSync(join(folder, 'links'))).toEqual(['l']);
    expect(readdirSync(folder).filter((name) => name.endsWith('.tmp'))).toEqual([]);
    mas.dispose();
    other.dispose();
    model.dispose();
  });

  it('say what they hold, also to an independent reader', async () => {
    const {model, mas} = await consolidated(2);
    const path = fresh();
    await mas.save(`file://${path}`);
    const script = join(root, 'test/golden/read_safetensors.py');
    const {metadata, tensors} = JSON.parse(execFileSync('python3', [script, path], {encoding: 'utf8'}));
    expect(metadata).toMatchObject({
      format: 'engram-memory',
      format_version: '1',
      engram: JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')).version,
      method: 'mas',
      lambda: '2',
      accumulate: 'mean',
      output: 'logits',
      normalize: 'true',
      samples: '24',
      'variable.0.shape': '4,4',
      'variable.0.tasks': '2',
      'variable.0.network': 'true',
    });
    expect(metadata.engram).toBe(version);
    expect(Object.keys(tensors)).toHaveLength(12);
    for (const [name, omega] of mas.importance) {
      expect(tensors[`importance.${name}`]).toEqual({shape: omega.shape, values: [...(await omega.data())]});
      const anchor = mas.anchor.get(name)!;
      expect(tensors[`anchor.${name}`]).toEqual({shape: anchor.shape, values: [...(await anchor.data())]});
    }
    mas.dispose();
    model.dispose();
  });

  it('hold an empty memory, and variables of which only some hold something', async () => {
    const model = network();
    const empty = new MemoryAwareSynapses(model, {lambda: 1});
    const path = fresh();
    await empty.save(`file://${path}`);
    const other = new MemoryAwareSynapses(model, {lambda: 1});
    expect((await other.load(`file://${path}`)).matched.size).toBe(0);
    expect(other.importance.size).toBe(0);
    // Of nameless variables of one shape only the second is on the path; order finds it.
    const make = () => {
      const variables = [1, 2, 3].map((value) => tf.variable(tf.fill([4, 2], value)));
      const forward = (input: tf.Tensor | tf.Tensor[]) => tf.matMul(input as tf.Tensor, variables[1] as tf.Tensor);
      return {forward, variables};
    };
    const [partly, later] = [make(), make()];
    const mas = new MemoryAwareSynapses(partly, {lambda: 1});
    const x = samples();
    await mas.consolidate(x);
    await mas.save(`file://${path}`);
    const again = new MemoryAwareSynapses(later, {lambda: 1});
    const report = await again.load(`file://${path}`);
    expect([...report.matched]).toEqual([[later.variables[1].name, partly.variables[1].name]]);
    expect(report.fresh).toEqual([later.variables[0].name, later.variables[2].name]);
    expect(await contents(again)).toEqual(await contents(mas));
    for (const disposable of [mas, again, x]) disposable.dispose();
    tf.dispose([...partly.variables, ...later.variables] as tf.Tensor[]);
    empty.dispose();
    other.dispose();
    model.dispose();
  });

  it('are found by another process that numbers names differently', () => {
    const path = fresh();
    // Earlier layers shift the numbers by one: the names overlap, and equal names mean different layers of one shape.
    const run = (shift: number) => {
      const script = `
        import * as tf from '@tensorflow/tfjs';
        import {MemoryAwareSynapses} from 'engram';
        for (let i = 0; i < ${shift}; i++) tf.layers.dense({units: 1});
        const kernelInitializer = tf.initializers.glorotUniform({seed: 4});
        const model = tf.sequential({layers: [
          tf.layers.dense({inputShape: [4], units: 4, activation: 'tanh', kernelInitializer}),
          tf.layers.dense({units: 4, activation: 'tanh', kernelInitializer}), tf.layers.dense({units: 3, kernelInitializer})]});
        const mas = new MemoryAwareSynapses(model, ${JSON.stringify(options)});
        const x = tf.randomNormal([12, 4], 0, 1, 'float32', 7);
        if (${shift}) await mas.load('file://${path}');
        else await mas.consolidate(x).then(() => mas.save('file://${path}'));
        await mas.consolidate(x);
        const values = (map) => Promise.all([...map.values()].map(async (t) => [...await t.data()]));
        console.log(JSON.stringify({names: [...mas.importance.keys()], importance: await values(mas.importance),
          anchor: await values(mas.anchor), tasks: [...mas.tasks.values()]}));`;
      const printed = execFileSync(process.execPath, ['--input-type=module', '-e', script], {
        cwd: root,
        encoding: 'utf8',
        stdio: ['ignore', 'pipe', 'ignore'],
      });
      return JSON.parse(printed.trim().split('\n').at(-1)!);
    };
    const {names, ...saved} = run(0);
    const {names: namesLater, ...loaded} = run(1);
    expect(namesLater.filter((name: string) => names.includes(name))).toHaveLength(4);
    expect(namesLater).not.toEqual(names);
    expect(saved.tasks).toEqual([2, 2, 2, 2, 2, 2]);
    expect(loaded).toEqual(saved);
  });

  it('are refused with both sides named when the network is another one; the memory stays', async () => {
    const {model, mas} = await consolidated();
    const path = fresh();
    await mas.save(`file://${path}`);
    const build = (...units: number[]) =>
      tf.sequential({layers: units.map((u, i) => tf.layers.dense({units: u, ...(i === 0 ? {inputShape: [4]} : {})}))});
    const x = samples();
    for (const [other, code] of [
      [build(4, 4, 5), 'SHAPE'],
      [build(4, 4), 'UNKNOWN_VARIABLE'],
      [build(4, 4, 4, 3), 'UNKNOWN_VARIABLE'],
      [
        tf.sequential({layers: [tf.layers.dense({inputShape: [4], units: 3, name: `only${Date.now()}`})]}),
        'UNKNOWN_VARIABLE',
      ],
    ] as const) {
      const loading = new MemoryAwareSynapses(other, options);
      await loading.consolidate(x);
      const before = await contents(loading);
      const error = await errorOf(loading.load(`file://${path}`));
      expect(error.code).toBe(code);
      const [first] = loading.importance.keys();
      expect(error.message).toContain(code === 'SHAPE' ? '[4, 5]' : first);
      expect(error.message).toContain(code === 'SHAPE' ? '[4, 3]' : [...mas.importance.keys()][0]);
      expect(await contents(loading)).toEqual(before);
      loading.dispose();
      other.dispose();
    }
    x.dispose();
    mas.dispose();
    model.dispose();
  });

  it('take names where order does not tell', async () => {
    const {model, mas} = await consolidated();
    const path = fresh();
    await mas.save(`file://${path}`);
    const deeper = tf.sequential({
      layers: [4, 4, 4, 3].map((units, i) => tf.layers.dense({units, ...(i === 0 ? {inputShape: [4]} : {})})),
    });
    const other = new MemoryAwareSynapses(deeper, options);
    const now = deeper.trainableWeights.map((w) => (w.read() as tf.Variable).name);
    const then = [...mas.importance.keys()];
    const names = {
      [now[0]]: then[0],
      [now[1]]: then[1],
      [now[2]]: then[2],
      [now[3]]: then[3],
      [now[4]]: null,
      [now[5]]: null,
      [now[6]]: then[4],
      [now[7]]: then[5],
    };
    const report = await other.load(`file://${path}`, {names});
    expect(report.fresh).toEqual([now[4], now[5]]);
    expect(other.importance.has(now[4])).toBe(false);
    expect(await other.importance.get(now[6])!.data()).toEqual(await mas.importance.get(then[4])!.data());
    for (const wrong of [{nonsense: then[0]}, {[now[0]]: 'nonsense'}, {...names, [now[4]]: then[0]}]) {
      expect((await errorOf(other.load(`file://${path}`, {names: wrong}))).code).toBe('UNKNOWN_VARIABLE');
    }
    other.dispose();
    mas.dispose();
    model.dispose();
    deeper.dispose();
  });

  it('go to any tf.io handler or scheme, and to a store of the caller', async () => {
    const {model, mas} = await consolidated();
    const expected = await contents(mas);
    const other = new MemoryAwareSynapses(model, options);
    let artifacts: tf.io.ModelArtifacts | undefined;
    const handler: tf.io.IOHandler = {
      save: async (saved) => {
        artifacts = saved;
        return {modelArtifactsInfo: {dateSaved: new Date(), modelTopologyType: 'JSON'}};
      },
      load: async () => artifacts!,
    };
    await mas.save(handler);
    await other.load(handler);
    expect(await contents(other)).toEqual(expected);
    const route = (url: string | string[]) => (String(url).startsWith('engram-test://') ? handler : null!);
    tf.io.registerSaveRouter(route);
    tf.io.registerLoadRouter(route);
    artifacts = undefined;
    await mas.save('engram-test://a');
    await other.load('engram-test://a');
    let kept = new Uint8Array();
    const write = async (bytes: Uint8Array) => {
      kept = bytes.slice();
    };
    const store = {write, read: async () => kept};
    await mas.save(store);
    await other.load(store);
    expect(await contents(other)).toEqual(expected);
    artifacts = {modelTopology: {}, weightSpecs: [], weightData: new ArrayBuffer(0)};
    expect((await errorOf(other.load(handler))).code).toBe('DATA_FILE');
    const failing = {write: () => Promise.reject(new Error('full')), read: () => Promise.reject('gone')};
    expect(await errorOf(mas.save(failing))).toMatchObject({code: 'DATA_FILE', received: 'full'});
    expect((await errorOf(other.load(failing))).code).toBe('DATA_FILE');
    expect((await errorOf(other.load({...store, read: async () => 'text' as never}))).code).toBe('DATA_FILE');
    for (const place of ['', 'memory.safetensors', 'nowhere://a', null, {}, 7]) {
      expect((await errorOf(mas.save(place as string))).code).toBe('ARGUMENT');
      expect((await errorOf(other.load(place as string))).code).toBe('ARGUMENT');
    }
    expect(await contents(other)).toEqual(expected);
    mas.dispose();
    other.dispose();
    model.dispose();
  });
});
