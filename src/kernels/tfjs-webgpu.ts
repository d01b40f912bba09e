/**
 * What the engine needs of tfjs' `webgpu` backend, and the backend's commands as a stream.
 *
 * The backend is named by its shape: importing it here would pull WebGPU into the main entry. Some of its members are
 * private in TypeScript; they are what tfjs 4.22 has, and test/13-webgpu-tensors.test.ts fails if they change.
 */
import type * as tf from '@tensorflow/tfjs-core';
import type {CommandStream} from './webgpu.js';
import type {Readings} from './webgpu-readings.js';

interface TensorData {
  resource?: GPUBuffer | null;
  values: unknown;
  /** Tensors that share the data. */
  refCount: number;
  /** The buffer is a user's. */
  external?: boolean;
}
/** The part of tfjs' WebGPU backend that the engine needs. */
export interface WebGpuBackendLike {
  readonly device: GPUDevice;
  /** Gives the data of a tensor; fetches it first if it lives on another backend. */
  readonly tensorMap: {get(dataId: object): TensorData};
  commandEncoder: GPUCommandEncoder | null;
  computePassEncoder: GPUComputePassEncoder | null;
  commandQueueOwnedIds: WeakSet<object>;
  dispatchCountInPass: number;
  ensureCommandEncoderReady(): void;
  endComputePassEncoder(): void;
  submitQueue(): void;
  uploadToGPU(dataId: object): void;
  makeTensorInfo(shape: number[], dtype: 'float32'): tf.TensorInfo;
  disposeData(dataId: object): unknown;
  /** There if the backend is that of engram/webgpu. */
  readonly readings?: Readings;
}

/** tfjs' queue of recorded commands, which it submits every 15 dispatches and at every readback. */
export class TfjsStream implements CommandStream {
  constructor(private readonly backend: WebGpuBackendLike) {}

  pass(): GPUComputePassEncoder {
    const {backend} = this;
    backend.ensureCommandEncoderReady();
    backend.computePassEncoder ??= backend.commandEncoder!.beginComputePass();
    backend.dispatchCountInPass++;
    return backend.computePassEncoder;
  }
  encoder(): GPUCommandEncoder {
    this.backend.ensureCommandEncoderReady();
    this.backend.endComputePassEncoder();
    return this.backend.commandEncoder!;
  }
  /** tfjs submits with the next kernel of its own. */
  encoded(): void {}
  submit(): void {
    if (!this.backend.commandEncoder) return;
    this.backend.endComputePassEncoder();
    this.backend.submitQueue();
  }
}
