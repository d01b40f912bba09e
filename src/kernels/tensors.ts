/** Kernels on TensorFlow.js tensors: the choice of the engine for the device where the tensors live. */
import * as tf from '@tensorflow/tfjs-core';
import type {TensorEngine} from './tensor-engine.js';
import {type HostBackend, HostTensorEngine} from './tensors-host.js';
import {type WebGpuBackendLike, webGpuTensorEngine} from './tensors-webgpu.js';

const hostEngines = new WeakMap<object, HostTensorEngine>();

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
