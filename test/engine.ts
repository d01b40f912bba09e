/** Starts the engine that this run of an `.engines.test.ts` file is about (vitest.config.ts names it). */
import * as tf from '@tensorflow/tfjs';
import {describe} from 'vitest';
import {loadAddon} from '../dist/kernels/addon.js';
import {tensorEngine} from '../dist/kernels/tensors.js';

export {deviation} from './metric.js';

export const engineName = process.env.ENGRAM_TEST_ENGINE as 'native' | 'reference' | 'webgpu';

/** Largest accepted max |a-b| / max(|b|, 1e-4 max|b|) against the definition. */
export const exactness = engineName === 'webgpu' ? 1e-4 : 1e-5;

/** Makes the engine answer; or says why this machine has none (ENGRAM_GPU and ENGRAM_NATIVE=require throw instead). */
async function start(): Promise<string | null> {
  if (engineName === 'webgpu') {
    const {device} = await import('./gpu.js');
    if (!device) return 'no WebGPU adapter'; // gpu.ts has said so
    await tf.setBackend('webgpu');
  } else if (engineName === 'native') {
    const loaded = loadAddon();
    if ('missing' in loaded) {
      console.warn(`engram tests: the native engine is skipped (${loaded.missing})`);
      return loaded.missing;
    }
    await import('../dist/backends/native.js');
    await tf.setBackend('native');
  } else {
    await tf.setBackend('cpu');
  }
  const {name} = tensorEngine();
  if (name !== engineName) throw new Error(`the tests are about the ${engineName} engine, but ${name} answers`);
  return null;
}

const unavailable = await start();
// vitest runs the body of a skipped suite too, to list its tests: what is made there needs some backend.
if (unavailable !== null) await tf.setBackend('cpu');

/** `describe`, skipped where this machine lacks the engine. */
export const describeEngine = describe.skipIf(unavailable !== null);
