/**
 * The `native` backend: tfjs' cpu backend, whose tensors it keeps, with the addon beside it and with memory that is used
 * again.
 *
 * A result's memory is taken back only if the backend allocated it and it never reached JavaScript. It does so by being
 * read (data, dataSync, bufferSync, a move to another backend), and by being an input of a kernel that was borrowed from
 * cpu: that one may hand out a view of it, as cpu's slice, split and unpack do without counting references.
 */
import {MathBackendCPU} from '@tensorflow/tfjs-backend-cpu';
import type * as tf from '@tensorflow/tfjs-core';
import type {Addon} from '#addon';
import {BufferPool} from './buffers.js';
import {requireAddon} from './threads.js';

/** What tfjs' cpu backend keeps for a tensor, and whether its memory is still the backend's own. */
interface TensorData {
  values?: unknown;
  own?: boolean;
}

/** One instance is made by TensorFlow.js when the backend is first used. */
export class NativeBackend extends MathBackendCPU {
  readonly addon: Addon;
  readonly buffers = new BufferPool();

  /** @throws EngramError NO_ADDON where the addon is missing */
  constructor() {
    super();
    // tfjs' cpu backend greets with the advice to install tfjs-node for speed.
    (this as unknown as {firstUse: boolean}).firstUse = false;
    this.addon = requireAddon();
    this.addon.keepFreedMemory();
  }

  /** Memory for a float32 result, with any contents: {@link wrap} it when every element is written. */
  allocate(shape: readonly number[]): Float32Array {
    return this.buffers.take(shape.reduce((size, length) => size * length, 1));
  }

  /** A tensor on memory of {@link allocate}. */
  wrap(values: Float32Array, shape: number[]): tf.TensorInfo {
    const info = this.makeTensorInfo(shape, 'float32', values);
    this.entry(info.dataId)!.own = true;
    return info;
  }

  /** From now on somebody may hold the memory of these tensors. */
  show(tensors: Iterable<tf.TensorInfo | null | undefined>): void {
    for (const tensor of tensors) {
      const entry = tensor && this.entry(tensor.dataId);
      if (entry?.own) entry.own = false;
    }
  }

  /** The values of a tensor, whose memory is the reader's from then on. */
  override readSync(dataId: object): tf.BackendValues {
    const entry = this.entry(dataId);
    if (entry?.own) entry.own = false;
    return super.readSync(dataId);
  }

  override disposeData(dataId: object, force = false): boolean {
    const entry = this.entry(dataId);
    const disposed = super.disposeData(dataId, force);
    if (entry?.own && !this.data.has(dataId)) this.buffers.give(entry.values as Float32Array);
    return disposed;
  }

  /** Lets go of the memory that waits for its next use. */
  override dispose(): void {
    this.buffers.clear();
    super.dispose();
  }

  private entry(dataId: object): TensorData | undefined {
    return this.data.has(dataId) ? (this.data.get(dataId) as TensorData) : undefined;
  }
}
