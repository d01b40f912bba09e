/** Loads the C++ addon. The browser build resolves `#addon` to addon.browser.ts, so nothing of Node enters its graph. */
import {createRequire} from 'node:module';
import type {HostInput} from './engine.js';

/** The functions of `native/addon.cc`. Arguments are checked in C++; errors carry a `code` of {@link ErrorCode}. */
export interface Addon {
  /** Runs kernel number `kernel` of the table on parameters and buffers in the row's order. */
  run(kernel: number, params: Float64Array, buffers: HostInput[]): void;
  /** Throws what {@link run} would throw for these arguments, and does nothing else. */
  check(kernel: number, params: Float64Array, buffers: HostInput[]): void;
  /**
   * Starts a kernel on the process's background thread, on buffers that all lie in SharedArrayBuffers, and calls `done`
   * once when the thread is through with them. Calls run in their order, each on all threads of the pool, which leave
   * it while another caller needs them.
   *
   * @returns a function that cancels the call, whether it waits or runs; without effect once it is over
   */
  start(kernel: number, params: Float64Array, buffers: HostInput[], done: (outcome: Outcome) => void): () => void;
  /** Runs operation number `operation` of the tfjs backend's table (src/backends/native/table.ts), in the same way. */
  operate(operation: number, params: Float64Array, buffers: (HostInput | Uint8Array)[]): void;
  /** Rows as the addon was built with them, for the mirror test. */
  readonly table: readonly AddonRow[];
  /** The rows of {@link operate}. */
  readonly operations: readonly AddonRow[];
  /** Instruction set in use: `avx512`, `avx2`, `neon` or `scalar`. */
  instructionSet(): string;
  /** Instruction sets that this machine can run. */
  instructionSets(): string[];
  /** Chooses one of {@link instructionSets}; for tests and benchmarks. */
  setInstructionSet(name: string): void;
  /** Threads of the pool. */
  threads(): number;
  /** Resizes the pool; 1 runs everything on the calling thread. */
  setThreads(count: number): void;
  /** Makes the C library keep up to 256 MiB of freed memory; once per process, for the tfjs backend. glibc only. */
  keepFreedMemory(): void;
}

/** How a call of {@link Addon.start} ended. */
export type Outcome = 'done' | 'cancelled' | 'out of memory';

export interface AddonRow {
  readonly name: string;
  readonly params: readonly string[];
  readonly buffers: readonly string[];
}

/** The addon, or one line that says why there is none. ENGRAM_ADDON names another build of it, one with sanitizers say. */
export function loadAddon(): {addon: Addon} | {missing: string} {
  if (process.env.ENGRAM_NATIVE === 'skip') return {missing: 'ENGRAM_NATIVE=skip'};
  try {
    const path = process.env.ENGRAM_ADDON ?? '../../native/build/Release/engram_native.node';
    return {addon: createRequire(import.meta.url)(path) as Addon};
  } catch (error) {
    const reason = (error as Error).message.split('\n')[0];
    if (process.env.ENGRAM_NATIVE === 'require') {
      throw new Error(`ENGRAM_NATIVE=require, but the addon cannot be loaded: ${reason}. Run "npm run build:native".`);
    }
    return {missing: reason};
  }
}
