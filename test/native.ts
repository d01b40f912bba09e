/** What the tests of the C++ addon share: the addon itself, each way to run it, and data that repeats. */
import {describe} from 'vitest';
import {type Addon, loadAddon} from '../dist/kernels/addon.js';
import {nativeEngine} from '../dist/kernels/native.js';
import {bodies} from '../dist/kernels/reference/engine.js';
import type {KernelName, Params} from '../dist/kernels/table.js';

const loaded = loadAddon();
const missing = 'missing' in loaded ? loaded.missing : null;
if (missing) console.warn(`engram tests: the C++ addon is skipped (${missing})`);

/** `describe`, skipped where the addon is not built; ENGRAM_NATIVE=require makes that a failure instead. */
export const describeAddon: typeof describe = (missing === null ? describe : describe.skip) as typeof describe;
// Without the addon one set is named all the same, so that skipped suites are listed.
export const addon = (
  'addon' in loaded ? loaded.addon : {instructionSets: () => ['scalar'], threads: () => 1}
) as Addon;
export const engine = nativeEngine(addon);

/** Every instruction set of this machine, on one thread and on three (more than the test machine has). */
export const setups = addon.instructionSets().flatMap((set) => [1, 3].map((threads) => [set, threads] as const));
export function use(set: string, threads: number): void {
  addon.setInstructionSet(set);
  addon.setThreads(threads);
}
const threadsAtStart = addon.threads();
/** Back to what the addon chose by itself. */
export function useDefaults(): void {
  use(addon.instructionSets()[0], threadsAtStart);
}

/** Uniform in [-1, 1), the same in every run. */
export function randomNumbers(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) | 0;
    return (state >> 8) / 2 ** 23;
  };
}
export function randomArray(length: number, seed: number, scale = 1): Float32Array {
  const random = randomNumbers(seed);
  return Float32Array.from({length}, () => random() * scale);
}

/** Ids of `rows` rows, few of them often; one in eight lies below or beyond. */
export function randomIds(length: number, rows: number, seed: number): Int32Array {
  const random = randomNumbers(seed);
  const beyond = [-1, rows, -(2 ** 31), 2 ** 31 - 1];
  return Int32Array.from({length}, () => {
    const x = Math.abs(random());
    return x > 7 / 8 ? beyond[Math.floor(x * 32) % 4] : Math.floor((x * 8) ** 2 * (rows / 49)) % rows;
  });
}

export type Arrays = Record<string, Float32Array | Uint32Array | Int32Array>;
const copies = (arrays: Arrays): Arrays => Object.fromEntries(Object.entries(arrays).map(([n, a]) => [n, a.slice()]));

/** A kernel's arrays after a call on the addon; the given ones stay as they are. */
export function onAddon<K extends KernelName>(kernel: K, params: Params<K>, arrays: Arrays): Arrays {
  const own = copies(arrays);
  engine.run(kernel, params, own as never);
  return own;
}

/** The same by the reference in 32 bits: the truth for kernels that must agree bit for bit. */
export function onReference<K extends KernelName>(kernel: K, params: Params<K>, arrays: Arrays): Arrays {
  const own = copies(arrays);
  (bodies[kernel] as (p: Params<K>, b: Arrays) => void)(params, own);
  return own;
}

/** The same by the reference in 64 bits: the truth for sums. */
export function inDoubles<K extends KernelName>(
  kernel: K,
  params: Params<K>,
  arrays: Arrays,
): Record<string, Float64Array> {
  const own = Object.fromEntries(Object.entries(arrays).map(([name, array]) => [name, Float64Array.from(array)]));
  (bodies[kernel] as (p: Params<K>, b: typeof own) => void)(params, own);
  return own;
}
