/** The end of a process or of a worker_thread while kernels run for it in the background. */
import {spawnSync} from 'node:child_process';
import {Worker} from 'node:worker_threads';
import {describe, expect, it} from 'vitest';
import {endless} from './endless.js';
import {addon, describeAddon, engine, use, useDefaults} from './native.js';

/** A program that has one endless call on its own arrays and one on shared memory under way, then does what `then` says. */
const program = (then: string, engine: 'native' | 'reference') => `
  import {parentPort} from 'node:worker_threads';
  const at = (file) => import(new URL('../dist/kernels/' + file, ${JSON.stringify(import.meta.url)}));
  const {loadAddon} = await at('addon.js');
  const {nativeEngine} = await at('native.js');
  const {referenceEngine} = await at('reference/engine.js');
  const params = ${JSON.stringify(endless().params)};
  const lengths = ${JSON.stringify(Object.entries(endless().arrays).map(([name, array]) => [name, array.length]))};
  const arrays = (memory) => Object.fromEntries(lengths.map(([name, length]) =>
    [name, new Float32Array(new memory(4 * length))]));
  ${engine === 'native' ? "const {addon} = loadAddon(); addon.setInstructionSet('scalar');" : ''}
  const engine = ${engine === 'native' ? 'nativeEngine(addon)' : 'referenceEngine'};
  const unsettled = [engine.runAsync('grad_moment', params, arrays(SharedArrayBuffer)),
                     engine.runAsync('grad_moment', params, arrays(ArrayBuffer))];
  await new Promise((resolve) => setTimeout(resolve, 100));
  ${then}`;

const run = (then: string, engine: 'native' | 'reference') =>
  spawnSync(process.execPath, ['--input-type=module', '-e', program(then, engine)], {encoding: 'utf8'});

for (const [name, about] of [
  ['native', describeAddon],
  ['reference', describe],
] as const) {
  about(`calls in the background of the ${name} engine`, () => {
    it('do not keep process.exit waiting, and end with it quietly', () => {
      const {status, signal, stdout, stderr} = run("console.log('leaving'); process.exit(7);", name);
      expect({status, signal, stdout, stderr}).toEqual({status: 7, signal: null, stdout: 'leaving\n', stderr: ''});
    });

    it('end with an exception that nobody catches', () => {
      const {status, signal, stderr} = run("setTimeout(() => { throw new Error('of the program'); });", name);
      expect({status, signal}).toEqual({status: 1, signal: null});
      expect(stderr).toContain('of the program');
    });

    it('keep the process alive until they are over', () => {
      const script = `
        const {hostEngine, referenceEngine} = await import('engram/kernels');
        const engine = ${name === 'native' ? 'hostEngine()' : 'referenceEngine'};
        const hi = Float32Array.of(1, 2);
        engine.runAsync('fold', {size: 2}, {batch: hi.slice(), hi, lo: new Float32Array(2)})
          .then(() => console.log(...hi));`;
      const {stdout} = spawnSync(process.execPath, ['--input-type=module', '-e', script], {encoding: 'utf8'});
      expect(stdout).toBe('2 4\n');
    });

    it('end with the worker_thread that asked for them', async () => {
      for (let round = 0; round < 3; round++) {
        const code = program("parentPort.postMessage('under way');", name);
        const worker = new Worker(new URL(`data:text/javascript,${encodeURIComponent(code)}`));
        await new Promise((resolve, reject) => {
          worker.once('message', resolve);
          worker.once('error', reject);
        });
        await worker.terminate();
      }
    });
  });
}

describeAddon('the background thread', () => {
  it('goes on for others when a worker_thread ends', async () => {
    // Alone in its queue: only if the calls of the worker_threads above are gone does it ever run.
    use(addon.instructionSets()[0], 2);
    const hi = Float32Array.of(1, 2);
    await engine.runAsync('fold', {size: 2}, {batch: hi.slice(), hi, lo: new Float32Array(2)});
    expect([...hi]).toEqual([2, 4]);
    useDefaults();
  });
});
