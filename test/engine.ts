/** Starts the engine that this run of an `.engines.test.ts` file is about (vitest.config.ts names it). */
import * as tf from '@tensorflow/tfjs';
import {describe} from 'vitest';
import {tensorEngine} from '../dist/kernels/tensors.js';

export const engineName = process.env.ENGRAM_TEST_ENGINE as 'native' | 'reference' | 'webgpu';

/** Largest accepted max |a-b| / max(|b|, 1e-4 max|b|) against the definition. */
export const exactness = engineName === 'webgpu' ? 1e-4 : 1e-5;

async function start(): Promise<string | null> {
  if (engineName === 'reference') {
    await tf.setBackend('cpu');
  } else if (engineName === 'native') {
    await import('../dist/backends/native.js');
    await tf.setBackend('native');
  } else {
    try {
      await import('../dist/backends/webgpu.js');
      if (!(await tf.setBackend('webgpu'))) throw new Error('tf.setBackend("webgpu") returned false');
    } catch (error) {
      if (process.env.ENGRAM_GPU === 'require') throw error;
      return (error as Error).message;
    }
  }
  const {name} = tensorEngine();
  if (name !== engineName) throw new Error(`the tests are about the ${engineName} engine, but ${name} answers`);
  return null;
}

const unavailable = await start();
if (unavailable) console.warn(`engram tests: no WebGPU adapter, so the webgpu engine is skipped (${unavailable})`);

/** `describe`, skipped where this machine has no GPU adapter; ENGRAM_GPU=require makes that a failure instead. */
export const describeEngine = describe.skipIf(unavailable !== null);

/** max |a-b| / max(|b|, 1e-4 max|b|): the metric of exactness. */
export function deviation(actual: ArrayLike<number>, expected: ArrayLike<number>): number {
  if (actual.length !== expected.length) return Number.POSITIVE_INFINITY;
  let largest = 0;
  for (let i = 0; i < expected.length; i++) largest = Math.max(largest, Math.abs(expected[i]));
  let worst = 0;
  for (let i = 0; i < expected.length; i++) {
    const scale = Math.max(Math.abs(expected[i]), 1e-4 * largest);
    const error = scale === 0 ? Math.abs(actual[i]) : Math.abs(actual[i] - expected[i]) / scale;
    if (!(error <= worst)) worst = error;
  }
  return worst;
}
