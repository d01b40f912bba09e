/** Kernels on tensors of tfjs' `webgpu` backend, encoded into tfjs' own command stream: no copy, no readback. */
import {EngramError} from '../errors.js';
import type {TensorEngine} from './tensors.js';

/** The part of tfjs' WebGPU backend that the engine needs. */
export interface WebGpuBackendLike {
  readonly device: GPUDevice;
}

export function webGpuTensorEngine(_backend: WebGpuBackendLike): TensorEngine {
  throw new EngramError('BACKEND', {
    expected: 'a backend with kernels',
    received: 'webgpu',
    remedy: 'Use tf.setBackend("native") or "cpu".',
  });
}
