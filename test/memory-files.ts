/** A network, its memory, and a folder to save it in. */
import {mkdtempSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {fileURLToPath} from 'node:url';
import * as tf from '@tensorflow/tfjs';
import {afterAll, expect} from 'vitest';
import {EngramError, MemoryAwareSynapses, type MemoryAwareSynapsesOptions} from '../dist/index.js';

export const root = fileURLToPath(new URL('..', import.meta.url));
export const folder = mkdtempSync(join(tmpdir(), 'engram-'));
afterAll(() => rmSync(folder, {recursive: true}));

let files = 0;
/** A path that was not used yet. */
export const fresh = () => join(folder, `${++files}.safetensors`);

export async function errorOf(work: Promise<unknown>): Promise<EngramError> {
  const error = await work.then(
    () => new Error('nothing was thrown'),
    (thrown) => thrown,
  );
  expect(error).toBeInstanceOf(EngramError);
  return error;
}

/** A network with two layers of one shape, so that only order tells them apart. */
export function network(seed = 1): tf.Sequential {
  const kernelInitializer = (s: number) => tf.initializers.glorotUniform({seed: s});
  return tf.sequential({
    layers: [
      tf.layers.dense({inputShape: [4], units: 4, activation: 'tanh', kernelInitializer: kernelInitializer(seed)}),
      tf.layers.dense({units: 4, activation: 'tanh', kernelInitializer: kernelInitializer(seed + 1)}),
      tf.layers.dense({units: 3, kernelInitializer: kernelInitializer(seed + 2)}),
    ],
  });
}

export const options: MemoryAwareSynapsesOptions = {lambda: 2, accumulate: 'mean', normalize: true};
export const samples = () => tf.randomNormal([12, 4], 0, 1, 'float32', 7);

export async function consolidated(tasks = 1) {
  const model = network();
  const mas = new MemoryAwareSynapses(model, options);
  const x = samples();
  for (let i = 0; i < tasks; i++) await mas.consolidate(x);
  x.dispose();
  return {model, mas};
}

/** Omega, theta* and tasks in the order of the variables, whatever their names. */
export async function contents(mas: MemoryAwareSynapses) {
  const values = (tensors: ReadonlyMap<string, tf.Tensor>) =>
    Promise.all([...tensors.values()].map(async (t) => [...(await t.data())]));
  return {importance: await values(mas.importance), anchor: await values(mas.anchor), tasks: [...mas.tasks.values()]};
}
