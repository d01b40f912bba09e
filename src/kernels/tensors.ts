/** Kernels on TensorFlow.js tensors: the choice of the engine for the device where the tensors live. */
import * as tf from '@tensorflow/tfjs-core';
import {EngramError} from '../errors.js';
import type {TensorEngine} from './tensor-engine.js';
import {type HostBackend, HostTensorEngine} from './tensors-host.js';
import {webGpuTensorEngine} from './tensors-webgpu.js';
import type {WebGpuBackendLike} from './tfjs-webgpu.js';
import {DeviceHealth} from './webgpu-health.js';

const hostEngines = new WeakMap<object, HostTensorEngine>();

/** Whether the GPU device of the current backend was lost or refused work. */
export function deviceLost(): boolean {
  if (tf.getBackend() !== 'webgpu') return false;
  return DeviceHealth.of((tf.backend() as unknown as WebGpuBackendLike).device).faulty;
}

/**
 * Puts a new device in the place of the lost one: for calls that begin something anew, where that is safe. Values that
 * were on the old one alone are gone, and whoever uses them is told.
 *
 * @throws EngramError NO_GPU where there is no other device
 */
export async function renewDevice(): Promise<void> {
  if (await tf.setBackend('webgpu')) return;
  throw new EngramError('NO_GPU', {
    expected: 'another GPU device after one that was lost',
    received: 'none',
    remedy: 'TensorFlow.js printed the reason. Choose another backend with tf.setBackend, or start the program again.',
  });
}

/** The engine for tensors of the current TensorFlow.js backend. Engines are kept one per backend instance. */
export function tensorEngine(): TensorEngine {
  const backend = tf.backend();
  if (tf.getBackend() === 'webgpu') return webGpuTensorEngine(backend as unknown as WebGpuBackendLike);
  let engine = hostEngines.get(backend);
  if (!engine) {
    engine = new HostTensorEngine(backend as unknown as HostBackend);
    hostEngines.set(backend, engine);
  }
  return engine;
}
