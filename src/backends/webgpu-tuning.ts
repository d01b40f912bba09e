/** Tuning on tfjs' `webgpu` backend: tilings of the kernels, measured on the device at hand. */
import * as tf from '@tensorflow/tfjs-core';
import {EngramError} from '../errors.js';
import {type WebGpuTensorEngine, webGpuTensorEngine} from '../kernels/tensors-webgpu.js';
import type {WebGpuBackendLike} from '../kernels/tfjs-webgpu.js';
import type {TuneOptions, Tuning} from '../kernels/webgpu-tune.js';

/**
 * Measures the importance and gradient kernels of all layers that were consolidated or trained so far, and uses what is
 * fastest from now on. Seconds a layer, most of them for compiling.
 *
 * ```ts
 * await mas.consolidate(x);                                 // tells what there is to tune
 * await writeFile('tuning.json', JSON.stringify(await autotune()));
 * useTuning(JSON.parse(await readFile('tuning.json')));      // in the next process
 * ```
 *
 * @returns all that is tuned: JSON, for the same adapter
 * @throws EngramError BACKEND if another backend is in use, ARGUMENT, DEVICE
 */
export async function autotune(options?: TuneOptions): Promise<Tuning> {
  return presentEngine().tune(options);
}

/**
 * Uses what {@link autotune} found, in this process or another.
 *
 * @throws EngramError ARGUMENT for a tuning of another adapter, BACKEND
 */
export function useTuning(tuning: Tuning): void {
  presentEngine().useTuning(tuning);
}

function presentEngine(): WebGpuTensorEngine {
  if (tf.getBackend() === 'webgpu') return webGpuTensorEngine(tf.backend() as unknown as WebGpuBackendLike);
  throw new EngramError('BACKEND', {
    expected: 'the webgpu backend in use',
    received: tf.getBackend() || 'none',
    remedy: 'Call await tf.setBackend("webgpu") first: only its kernels are tuned.',
  });
}
