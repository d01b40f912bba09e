/** The interface that the three engines (webgpu, native, reference) stand behind. */
import type {BufferName, KernelName, Params} from './table.js';

export type EngineName = 'webgpu' | 'native' | 'reference';

/** A buffer for every name in the kernel's row. */
export type Buffers<K extends KernelName, Buffer> = {[B in BufferName<K>]: Buffer};

/** Runs kernels of the table on buffers of one kind: typed arrays, or GPU buffers. */
export interface Engine<Buffer> {
  readonly name: EngineName;
  /**
   * Runs one kernel. `read_write` and `write` buffers are changed in place; they must not overlap any other buffer.
   *
   * @throws EngramError ARGUMENT, SHAPE, DTYPE or DETACHED, before anything is changed
   */
  run<K extends KernelName>(kernel: K, params: Params<K>, buffers: Buffers<K, Buffer>): void;
}

/** Host memory that kernels write: f32 buffers are Float32Array, u32 buffers Uint32Array. */
export type HostArray = Float32Array | Uint32Array;
/** What the CPU engines work on; i32 buffers, which no kernel writes, are Int32Array. */
export type HostInput = HostArray | Int32Array;
