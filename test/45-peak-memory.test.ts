/** Consolidation needs activations, deltas and three times the parameters, whatever the number of batches. */
import {execFile} from 'node:child_process';
import {fileURLToPath} from 'node:url';
import {promisify} from 'node:util';
import {expect, it} from 'vitest';

const script = `
  import * as tf from '@tensorflow/tfjs';
  import {MemoryAwareSynapses} from 'engram';
  import 'engram/native';
  await tf.setBackend('native');
  const units = 2048;
  const hidden = [0, 1].map(() => tf.layers.dense({units, activation: 'relu'}));
  const model = tf.sequential({layers: [tf.layers.dense({inputShape: [256], units, activation: 'relu'}), ...hidden, tf.layers.dense({units: 10})]});
  const x = tf.randomNormal([40 * 32, 256]);
  const mas = new MemoryAwareSynapses(model, {lambda: 1});
  // Two samples warm every code path up on a network of its own, so that only this network's memory is counted.
  const small = tf.sequential({layers: [tf.layers.dense({inputShape: [4], units: 3, activation: 'relu'}), tf.layers.dense({units: 2})]});
  await new MemoryAwareSynapses(small, {lambda: 1}).consolidate(tf.ones([2, 4]));
  gc();
  const before = process.memoryUsage.rss();
  let peak = 0;
  const watch = () => { peak = Math.max(peak, process.memoryUsage.rss()); };
  await mas.consolidate(x, {batchSize: 32, onProgress: watch});
  watch();
  const parameters = 4 * model.countParams();
  const activationsAndDeltas = 2 * 4 * 32 * (256 + 3 * units + 10);
  console.log(JSON.stringify({growth: peak - before, bound: activationsAndDeltas + 3 * parameters + 64 * 2 ** 20}));`;

it('stays within activations and deltas + 3x the parameters + 64 MiB', async () => {
  const {stdout} = await promisify(execFile)(process.execPath, ['--expose-gc', '--input-type=module', '-e', script], {
    cwd: fileURLToPath(new URL('..', import.meta.url)),
    env: {...process.env, ENGRAM_NATIVE: 'require'},
  });
  const {growth, bound} = JSON.parse(stdout.trim().split('\n').at(-1)!);
  expect(growth).toBeLessThan(bound);
});
