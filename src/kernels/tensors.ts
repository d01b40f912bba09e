/** Kernels on TensorFlow.js tensors: the choice of the engine for the device where the tensors live. */
import * as tf from '@tensorflow/tfjs-core';
import type {TensorEngine} from './tensor-engine.js';
import {type HostBackend, HostTensorEngine} from './tensors-host.js';
import {type WebGpuBackendLike, webGpuTensorEngine} from './tensors-webgpu.js';

const engines = new WeakMap<object, TensorEngine>();

/** The engine for tensors of the current TensorFlow.js backend. Engines are kept one per backend instance. */
export function tensorEngine(): TensorEngine {
  const backend = tf.backend();
  const known = engines.get(backend);
  if (known) return known;
  const engine =
    tf.getBackend() === 'webgpu'
      ? webGpuTensorEngine(backend as unknown as WebGpuBackendLike)
      : new HostTensorEngine(backend as unknown as HostBackend);
  engines.set(backend, engine);
  return engine;
}
