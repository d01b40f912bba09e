/** A file is whole or refused: damage, mutations, kill -9, full disks, calls at the wrong time. */
import {execFileSync, spawn} from 'node:child_process';
import {readdirSync, readFileSync, rmSync} from 'node:fs';
import {join} from 'node:path';
import {pathToFileURL} from 'node:url';
import * as tf from '@tensorflow/tfjs';
import {describe, expect, it} from 'vitest';
import {EngramError, MemoryAwareSynapses} from '../dist/index.js';
import {floatsOf, readSafetensors, writeSafetensors} from '../dist/memory/safetensors.js';
import {consolidated, contents, errorOf, folder, fresh, options, root, samples} from './memory-files.js';

describe('memory files under attack', () => {
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
