/** The native backend in worker_threads: several at once share the pool, and one that ends takes nothing down with it. */
import {spawnSync} from 'node:child_process';
import {createRequire} from 'node:module';
import {pathToFileURL} from 'node:url';
import {Worker} from 'node:worker_threads';
import {afterEach, beforeEach, expect, it} from 'vitest';
import {setThreads} from '../dist/backends/native.js';
import {describeAddon, useDefaults} from './native.js';

const tfjs = pathToFileURL(createRequire(import.meta.url).resolve('@tensorflow/tfjs')).href;
const native = new URL('../dist/backends/native.js', import.meta.url).href;

/** What a thread does with TensorFlow.js on a backend. */
const program = (backend: 'native' | 'cpu', does: string) => `
  import {parentPort, workerData} from 'node:worker_threads';
  const {default: tf} = await import(${JSON.stringify(tfjs)});
  await import(${JSON.stringify(native)});
  tf.env().set('IS_TEST', true);  // the cpu backend keeps its greeting to itself
  await tf.setBackend('${backend}');
  const random = (shape, seed) => tf.randomUniform(shape, -1, 1, 'float32', seed);
  const seeded = (seed) => tf.initializers.glorotUniform({seed});
  const [a, b] = [random([257, 300], 1), random([300, 129], 2)];
  const [images, filter] = [random([4, 24, 24, 8], 3), random([3, 3, 8, 16], 4)];
  const convolve = (x, w) => tf.conv2d(x, w, [1, 1], 'same');
  ${does}`;

/** Gives a matrix product, a convolution and its gradients, and the network that three steps of training end in. */
const results = `
  function results() {
    const model = tf.sequential({layers: [
      tf.layers.conv2d({inputShape: [24, 24, 8], filters: 8, kernelSize: 3, activation: 'relu', kernelInitializer: seeded(5)}),
      tf.layers.maxPooling2d({poolSize: 2}),
      tf.layers.flatten(),
      tf.layers.dense({units: 10, kernelInitializer: seeded(6)}),
    ]});
    const [x, y] = [random([16, 24, 24, 8], 7), random([16, 10], 8)];
    const optimizer = tf.train.sgd(0.05);
    const losses = [1, 2, 3].map(() => {
      const loss = optimizer.minimize(() => tf.losses.meanSquaredError(y, model.apply(x, {training: true})), true);
      return loss.dataSync()[0];
    });
    const tensors = tf.tidy(() => {
      const [ofImages, ofFilter] = tf.grads((x, w) => tf.sum(tf.square(convolve(x, w))))([images, filter]);
      return [tf.matMul(a, b), convolve(images, filter), ofImages, ofFilter].map((t) => t.dataSync());
    });
    return [...tensors, Float32Array.from(losses), ...model.getWeights().map((w) => w.dataSync())];
  }`;

/** For ever: what a worker is ended in the middle of. */
const endlessly = `
  const [c, d] = [random([512, 512], 9), random([512, 512], 10)];
  for (let step = 0; ; step++) {
    tf.tidy(() => {
      tf.matMul(c, d);
      tf.grads((x, w) => tf.sum(convolve(x, w)))([images, filter]);
    });
    if (step === 2) parentPort.postMessage('under way');
  }`;

const urlOf = (code: string) => new URL(`data:text/javascript,${encodeURIComponent(code)}`);
const startWorker = (code: string, workerData?: unknown) => new Worker(urlOf(code), {workerData});
const message = <T>(worker: Worker) =>
  new Promise<T>((resolve, reject) => {
    worker.once('message', resolve);
    worker.once('error', reject);
    worker.once('exit', (code) => reject(new Error(`the worker ended with ${code} and said nothing`)));
  });

/** What one worker computes, all alone. */
const alone = (backend: 'native' | 'cpu') =>
  message<Float32Array[]>(startWorker(program(backend, `${results} parentPort.postMessage(results());`)));

/** A program with three workers on the backend's kernels, which then does what `then` says. */
const withWorkers = (then: string) => `
  import {Worker} from 'node:worker_threads';
  const code = ${JSON.stringify(program('native', endlessly))};
  const workers = [1, 2, 3].map(() => new Worker(new URL('data:text/javascript,' + encodeURIComponent(code))));
  await Promise.all(workers.map((worker) => new Promise((resolve) => worker.once('message', resolve))));
  ${then}`;
const run = (code: string) => {
  const {status, signal, stdout, stderr} = spawnSync(process.execPath, ['--input-type=module', '-e', code], {
    encoding: 'utf8',
    env: {...process.env, ENGRAM_NUM_THREADS: '3'},
  });
  return {status, signal, stdout, stderr};
};

describeAddon('the native backend in worker_threads', () => {
  beforeEach(() => setThreads(3));
  afterEach(useDefaults);

  it('computes in several at once what it computes alone, to the bit, and what cpu computes', async () => {
    const [truth, cpu] = [await alone('native'), await alone('cpu')];
    expect(truth.length).toBe(9);
    truth.forEach((values, at) => {
      expect(values.length).toBe(cpu[at].length);
      const largest = cpu[at].reduce((most, x) => Math.max(most, Math.abs(x)), 0);
      expect(largest).toBeGreaterThan(0);
      const furthest = values.reduce((most, x, i) => Math.max(most, Math.abs(x - cpu[at][i])), 0);
      expect(furthest, `result ${at}`).toBeLessThanOrEqual(1e-5 * largest);
    });

    // All wait until the last one is ready, so that their kernels meet in the pool.
    const [workers, rounds] = [4, 5];
    const gate = new Int32Array(new SharedArrayBuffer(4));
    const code = program(
      'native',
      `${results}
      const {gate, workers, rounds} = workerData;
      if (Atomics.add(gate, 0, 1) + 1 === workers) Atomics.notify(gate, 0);
      for (let ready; (ready = Atomics.load(gate, 0)) < workers;) Atomics.wait(gate, 0, ready, 100);
      parentPort.postMessage(Array.from({length: rounds}, results));`,
    );
    const found = await Promise.all(
      Array.from({length: workers}, () => message<Float32Array[][]>(startWorker(code, {gate, workers, rounds}))),
    );
    for (const [worker, all] of found.entries()) {
      expect(all.length).toBe(rounds);
      for (const [round, values] of all.entries()) {
        expect(values.length).toBe(truth.length);
        values.forEach((result, at) => {
          const same = Buffer.from(result.buffer).equals(Buffer.from(truth[at].buffer));
          expect(same, `result ${at} of round ${round} in worker ${worker}`).toBe(true);
        });
      }
    }
  });

  it('outlives workers that are terminated with kernels under way', async () => {
    for (let round = 0; round < 3; round++) {
      const workers = [1, 2].map(() => startWorker(program('native', endlessly)));
      await Promise.all(workers.map(message));
      const survivor = alone('native');
      for (const worker of workers) expect(await worker.terminate()).toBe(1);
      const [before, after] = [await survivor, await alone('native')];
      after.forEach((values, at) => {
        expect(Buffer.from(values.buffer).equals(Buffer.from(before[at].buffer)), `result ${at}`).toBe(true);
      });
    }
  });

  it('ends a worker that exits by itself with its own code', async () => {
    const worker = startWorker(program('native', 'tf.matMul(a, b); process.exit(5);'));
    expect(await new Promise((resolve) => worker.once('exit', resolve))).toBe(5);
  });

  it('lets process.exit end the process with its code while workers compute', () => {
    expect(run(withWorkers("console.log('leaving'); process.exit(7);"))).toEqual({
      status: 7,
      signal: null,
      stdout: 'leaving\n',
      stderr: '',
    });
  });

  it('lets an exception that nobody catches end the process while workers compute', () => {
    const {status, signal, stderr} = run(withWorkers("throw new Error('of the program');"));
    expect({status, signal}).toEqual({status: 1, signal: null});
    expect(stderr).toContain('of the program');
  });
});
