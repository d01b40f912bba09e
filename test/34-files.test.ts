/** A memory outlives its process: saved whole or not at all, found again under other names, refused when damaged. */
import {execFileSync, spawn} from 'node:child_process';
import {mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {fileURLToPath, pathToFileURL} from 'node:url';
import * as tf from '@tensorflow/tfjs';
import {afterAll, beforeAll, describe, expect, it} from 'vitest';
import {EngramError, MemoryAwareSynapses, type MemoryAwareSynapsesOptions} from '../dist/index.js';
import {floatsOf, readSafetensors, writeSafetensors} from '../dist/memory/safetensors.js';
import {version} from '../dist/version.js';

const root = fileURLToPath(new URL('..', import.meta.url));
let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'engram-'));
});
afterAll(() => rmSync(folder, {recursive: true}));

let files = 0;
const fresh = () => join(folder, `${++files}.safetensors`);

async function errorOf(work: Promise<unknown>): Promise<EngramError> {
  const error = await work.then(
    () => new Error('nothing was thrown'),
    (thrown) => thrown,
  );
  expect(error).toBeInstanceOf(EngramError);
  return error;
}

/** A network with two layers of one shape, so that only order tells them apart. */
function network(seed = 1): tf.Sequential {
  const kernelInitializer = (s: number) => tf.initializers.glorotUniform({seed: s});
  return tf.sequential({
    layers: [
      tf.layers.dense({inputShape: [4], units: 4, activation: 'tanh', kernelInitializer: kernelInitializer(seed)}),
      tf.layers.dense({units: 4, activation: 'tanh', kernelInitializer: kernelInitializer(seed + 1)}),
      tf.layers.dense({units: 3, kernelInitializer: kernelInitializer(seed + 2)}),
    ],
  });
}

const options: MemoryAwareSynapsesOptions = {lambda: 2, accumulate: 'mean', normalize: true};
const samples = () => tf.randomNormal([12, 4], 0, 1, 'float32', 7);

async function consolidated(tasks = 1) {
  const model = network();
  const mas = new MemoryAwareSynapses(model, options);
  const x = samples();
  for (let i = 0; i < tasks; i++) await mas.consolidate(x);
  x.dispose();
  return {model, mas};
}

/** Omega, theta* and tasks in the order of the variables, whatever their names. */
async function contents(mas: MemoryAwareSynapses) {
  const values = (tensors: ReadonlyMap<string, tf.Tensor>) =>
    Promise.all([...tensors.values()].map(async (t) => [...(await t.data())]));
  return {importance: await values(mas.importance), anchor: await values(mas.anchor), tasks: [...mas.tasks.values()]};
}

describe('memory files', () => {
  it('come back byte for byte, under relative and absolute paths, URLs and links', async () => {
    const {model, mas} = await consolidated(3);
    const path = fresh();
    await mas.save(`file://${path}`);
    const bytes = readFileSync(path);
    const other = new MemoryAwareSynapses(model, options);
    const report = await other.load(`file://${path}`);
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
        tf.sequential({layers: [tf.layers.dense({inputShape: [4], units: 3, name: `only${files}`})]}),
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

  it('that are missing, damaged, or of another kind are refused; nothing changes and nothing leaks', async () => {
    const {model, mas} = await consolidated();
    const path = fresh();
    await mas.save(`file://${path}`);
    const {metadata, tensors} = readSafetensors(readFileSync(path));
    const floats = new Map([...tensors].map(([name, raw]) => [name, {shape: raw.shape, values: floatsOf(name, raw)}]));
    const [name] = mas.importance.keys();
    const first = floats.get(`importance.${name}`)!;
    const changed = (value: number) => ({...first, values: first.values.map((v, i) => (i === 3 ? value : v))});
    const meta = (key: string, value: string) => writeSafetensors(floats, new Map([...metadata, [key, value]]));
    const without = <V>(map: ReadonlyMap<string, V>, key: string) => new Map([...map].filter(([k]) => k !== key));
    const withTensor = (key: string, tensor: typeof first) =>
      writeSafetensors(new Map([...floats, [key, tensor]]), metadata);
    const damagedFiles: [string, string, Uint8Array][] = [
      ['a negative importance', 'DATA_FILE', withTensor(`importance.${name}`, changed(-1))],
      ['a NaN importance', 'DATA_FILE', withTensor(`importance.${name}`, changed(Number.NaN))],
      ['an infinite anchor', 'DATA_FILE', withTensor(`anchor.${name}`, changed(Number.POSITIVE_INFINITY))],
      ['another shape', 'DATA_FILE', withTensor(`anchor.${name}`, {...first, shape: [16]})],
      ['a tensor too many', 'DATA_FILE', withTensor('importance.x', first)],
      ['no anchor', 'DATA_FILE', writeSafetensors(without(floats, `anchor.${name}`), metadata)],
      ['no metadata', 'DATA_FILE', writeSafetensors(floats, new Map())],
      ['no lambda', 'DATA_FILE', writeSafetensors(floats, without(metadata, 'lambda'))],
      ['a newer version', 'DATA_FILE', meta('format_version', '2')],
      ['a name twice', 'DATA_FILE', meta('variable.1.name', name)],
      ['a broken shape', 'DATA_FILE', meta('variable.0.shape', '4,x')],
      ['a broken number of samples', 'DATA_FILE', meta('samples', '1e3')],
      ['a broken count', 'DATA_FILE', meta('variable.0.tasks', '-1')],
      ['a broken flag', 'DATA_FILE', meta('variable.0.network', 'yes')],
      ['another method', 'ARGUMENT', meta('method', 'ewc')],
      ['another rule', 'ARGUMENT', meta('accumulate', 'sum')],
      ['another function', 'ARGUMENT', meta('output', 'output')],
      ['another scale', 'ARGUMENT', meta('normalize', 'false')],
      ['the last byte cut off', 'DATA_FILE', readFileSync(path).subarray(0, -1)],
      ['nothing', 'DATA_FILE', new Uint8Array()],
    ];
    const before = await contents(mas);
    await mas.load(`file://${path}`); // from here on anchors share no memory with the variables
    const {numTensors, numDataBuffers} = tf.memory();
    for (const [what, code, bytes] of damagedFiles) {
      const store = {read: async () => bytes, write: async () => {}};
      expect((await errorOf(mas.load(store))).code, what).toBe(code);
    }
    for (const missing of [join(folder, 'none'), folder]) {
      expect((await errorOf(mas.load(`file://${missing}`))).code).toBe('DATA_FILE');
    }
    expect((await errorOf(mas.save(`file://${join(folder, 'none', 'x')}`))).code).toBe('DATA_FILE');
    expect((await errorOf(mas.save(`file://${folder}`))).code).toBe('DATA_FILE');
    expect(readdirSync(folder).filter((entry) => entry.endsWith('.tmp'))).toEqual([]);
    for (let i = 0; i < 20; i++) {
      await mas.save(`file://${path}`);
      await mas.load(`file://${path}`);
    }
    expect(tf.memory().numTensors).toBe(numTensors);
    expect(tf.memory().numDataBuffers).toBe(numDataBuffers);
    expect(await contents(mas)).toEqual(before);
    mas.dispose();
    model.dispose();
  });

  it('that were mutated 2000 times load or are refused', async () => {
    const {model, mas} = await consolidated();
    const path = fresh();
    await mas.save(`file://${path}`);
    const original = readFileSync(path);
    const header = 8 + Number(original.readBigUInt64LE());
    let seed = 34;
    const random = (below: number) => {
      seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
      return Math.floor((seed / 2 ** 32) * below);
    };
    const {numTensors} = tf.memory();
    let refused = 0;
    for (let run = 0; run < 2000; run++) {
      const bytes = Uint8Array.from(original);
      for (let i = random(3); i >= 0; i--) bytes[random(run % 2 ? header : bytes.length)] ^= 1 << random(8);
      const read = async () => bytes.subarray(0, run % 10 ? bytes.length : random(bytes.length));
      const error = await mas.load({read, write: async () => {}}).catch((thrown) => thrown);
      if (!(error instanceof Error)) continue;
      expect(error).toBeInstanceOf(EngramError);
      expect(['DATA_FILE', 'ARGUMENT', 'UNKNOWN_VARIABLE', 'SHAPE']).toContain((error as EngramError).code);
      refused++;
    }
    expect(refused).toBeGreaterThan(500);
    expect(refused).toBeLessThan(2000);
    expect(tf.memory().numTensors).toBe(numTensors);
    mas.dispose();
    model.dispose();
  });

  it('survive kill -9 during a save: the old one or the new one is there, whole', async () => {
    const path = fresh();
    const module = pathToFileURL(join(root, 'dist/memory/node-file.js')).href;
    const script = `
      import {writeWhole} from '${module}';
      for (let i = 1; ; i++) {
        await writeWhole('file://${path}', new Uint8Array(16_000_000).fill(i % 251));
        if (i === 1) console.log('ready');
      }`;
    let interrupted = 0;
    for (let round = 0; round < 12; round++) {
      const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      await new Promise((ready) => child.stdout.once('data', ready));
      await new Promise((later) => setTimeout(later, 7 * round));
      const gone = new Promise((exit) => child.once('exit', exit));
      child.kill('SIGKILL');
      await gone;
      const bytes = readFileSync(path);
      expect(bytes.length).toBe(16_000_000);
      expect(bytes.every((byte) => byte === bytes[0])).toBe(true);
      for (const name of readdirSync(folder).filter((entry) => entry.endsWith('.tmp'))) {
        interrupted++;
        rmSync(join(folder, name));
      }
    }
    expect(interrupted, 'kills that came during a write').toBeGreaterThan(0);
  });

  it.skipIf(process.platform === 'win32')('leave the old one whole, and no remains, when there is no room', () => {
    const path = fresh();
    const module = pathToFileURL(join(root, 'dist/memory/node-file.js')).href;
    const script = `
      import {writeWhole} from '${module}';
      await writeWhole('file://${path}', new Uint8Array(1000).fill(1));
      await writeWhole('file://${path}', new Uint8Array(1_000_000).fill(2)).catch(({code}) => console.log(code));`;
    // A largest file size stands in for a full disk: writing stops halfway through with an error.
    const shell = 'trap "" XFSZ; ulimit -f 100; exec "$0" --input-type=module -e "$1"';
    expect(execFileSync('bash', ['-c', shell, process.execPath, script], {encoding: 'utf8'}).trim()).toBe('DATA_FILE');
    expect([...readFileSync(path)]).toEqual(Array(1000).fill(1));
    expect(readdirSync(folder).filter((entry) => entry.endsWith('.tmp'))).toEqual([]);
  });

  it('are neither written nor read after dispose, nor read during a consolidation', async () => {
    const {model, mas} = await consolidated();
    const path = fresh();
    await mas.save(`file://${path}`);
    const x = samples();
    const running = mas.consolidate(x);
    expect((await errorOf(mas.load(`file://${path}`))).code).toBe('BUSY');
    const saving = mas.save(`file://${path}`); // of the memory as it was, although it changes meanwhile
    await Promise.all([running, saving]);
    const other = new MemoryAwareSynapses(model, options);
    await other.load(`file://${path}`);
    expect([...other.tasks.values()]).toEqual([1, 1, 1, 1, 1, 1]);
    const loading = other.load(`file://${path}`);
    expect((await errorOf(other.consolidate(x))).code).toBe('BUSY');
    other.dispose();
    expect((await errorOf(loading)).code).toBe('DISPOSED');
    mas.dispose();
    const bytes = readFileSync(path);
    expect((await errorOf(mas.save(`file://${path}`))).code).toBe('DISPOSED');
    expect((await errorOf(mas.load(`file://${path}`))).code).toBe('DISPOSED');
    expect(readFileSync(path)).toEqual(bytes);
    x.dispose();
    model.dispose();
  });
});
