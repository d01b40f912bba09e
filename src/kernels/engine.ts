/** The interface that the three engines (webgpu, native, reference) stand behind. */
import type {BufferName, KernelName, Params} from './table.js';

/** Where kernels run: on a GPU, in the C++ addon, or in plain TypeScript. */
export type EngineName = 'webgpu' | 'native' | 'reference';

/** A buffer for every name in the kernel's row. */
export type Buffers<K extends KernelName, Buffer> = {[B in BufferName<K>]: Buffer};

/** How a call off the event loop can be stopped. */
export interface RunOptions {
  /** Stops the call: its promise rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
}

/** Runs kernels of the table on buffers of one kind: typed arrays, or GPU buffers. */
export interface Engine<Buffer> {
  readonly name: EngineName;
  /**
   * Runs one kernel. `read_write` and `write` buffers are changed in place; they must not overlap any other buffer.
   *
   * @throws EngramError ARGUMENT, SHAPE, DTYPE or DETACHED, before anything is changed
   */
  run<K extends KernelName>(kernel: K, params: Params<K>, buffers: Buffers<K, Buffer>): void;
  /**
   * Runs one kernel on typed arrays off the event loop, which is never held for more than a few milliseconds. On the CPU
   * engines one call runs at a time; which comes first is decided when its inputs are copied: a MiB of them before this
   * returns, larger ones in pieces. `read_write` and `write` arrays hold the result when the promise resolves, and
   * are untouched when it rejects. Leave all arrays alone until it settles: a change to an input may or may not count,
   * and one to an output is overwritten. Transferring or resizing an array meanwhile is safe.
   *
   * An array in a SharedArrayBuffer is not copied: the kernel works on it in place, races with other threads are the
   * caller's to prevent, and when the promise rejects what the kernel writes there is unspecified, though no longer
   * written to. All others are copied, on the CPU engines into shared memory that only the call knows.
   *
   * The addon and the reference engine stop within milliseconds of an abort, before the promise rejects; a GPU finishes
   * the kernel, and its result is dropped. An abort after the kernel has ended comes too late: the promise resolves.
   *
   * @throws EngramError ARGUMENT, SHAPE, DTYPE or DETACHED, before anything is queued; DETACHED for an array that was
   *   transferred or resized before its copy was made or its result could be written; NO_ADDON from the reference engine
   *   in a browser; the signal's reason. All by rejection.
   */
  runAsync<K extends KernelName>(
    kernel: K,
    params: Params<K>,
    arrays: Buffers<K, HostInput>,
    options?: RunOptions,
  ): Promise<void>;
}

/** Host memory that kernels write: f32 buffers are Float32Array, u32 buffers Uint32Array. */
export type HostArray = Float32Array | Uint32Array;
/** What the CPU engines work on; i32 buffers, which no kernel writes, are Int32Array. */
export type HostInput = HostArray | Int32Array;
