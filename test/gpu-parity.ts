/**
 * Parity of a kernel on the GPU with its reference body in float64:
 *   error <= 2^-20 * log2(n+2) * (the same sum over absolute values) + 1e-37, n the terms of the sum.
 * Every buffer has guard words behind it.
 */
import {expect} from 'vitest';
import {bodies} from '../dist/kernels/reference/engine.js';
import {type KernelName, type Params, row} from '../dist/kernels/table.js';
import {WebGpuEngine} from '../dist/kernels/webgpu.js';
import {constantsOf, makePlan} from '../dist/kernels/webgpu-plan.js';
import type {MomentKernel, Tiling} from '../dist/kernels/webgpu-tilings.js';
import {device} from './gpu.js';

export type Arrays = Record<string, Float32Array | Uint32Array | Int32Array>;
export type Doubles = Record<string, Float64Array>;
const epsilon = 2 ** -20;
const guardWords = 8;
const guard = 0x5a5a5a5a;
let engine: WebGpuEngine | undefined;
let cases = 0;
let worst = {share: 0, what: ''};
/** What the plans of the calls so far chose: "KERNEL OPTION VALUE". */
export const seen = new Set<string>();

/** Prints one line about the calls of this file. */
export function reportParity(mostPipelines: number): void {
  if (!engine) return;
  const count = engine.pipelineCount;
  console.log(
    `webgpu parity: ${cases} cases, ${count} pipelines, largest error ${worst.share.toFixed(3)} of the allowed ` +
      `(${worst.what})`,
  );
  expect(count).toBeLessThanOrEqual(mostPipelines);
}

/** Values of a kind of data; `a` and `d` mark the two factors of a product, so that 1e38 does not overflow it. */
export const kinds = {
  normal: (random: () => number) => random(),
  zeros: (random: () => number) => [0, -0, 0.5, -1][Math.floor((random() + 0.5) * 4)],
  huge: (random: () => number, factor: 'a' | 'd') => (factor === 'a' ? 1e38 : 1e-30) * random(),
  denormal: (random: () => number, factor: 'a' | 'd') => (factor === 'a' ? 1e-39 : 1) * random(),
};
export type Kind = keyof typeof kinds;

export function filled(length: number, seed: number, kind: Kind = 'normal', factor: 'a' | 'd' = 'd'): Float32Array {
  const random = randomNumbers(seed);
  return Float32Array.from({length}, () => kinds[kind](random, factor));
}
export const magnitudes = (array: Arrays[string]): Float64Array => Float64Array.from(array, Math.abs);

/** Runs on the GPU, each buffer with guard words behind it; checks guards and that inputs are as they were. */
export async function onGpu<K extends KernelName>(
  kernel: K,
  params: Params<K>,
  arrays: Arrays,
  times = 1,
  tiling?: Tiling,
): Promise<Arrays> {
  engine ??= new WebGpuEngine(device);
  const gpu = engine;
  if (tiling) gpu.useTiling(kernel as MomentKernel, params as Params<MomentKernel>, tiling);
  const held = Object.entries(arrays).map(([name, array]) => {
    const bytes = new Uint8Array(4 * (array.length + guardWords)).fill(guard & 0xff);
    bytes.set(new Uint8Array(array.buffer, array.byteOffset, array.byteLength));
    return {name, length: array.length, buffer: gpu.allocate(bytes.length / 4, new Uint32Array(bytes.buffer))};
  });
  const memory = Object.fromEntries(held.map(({name, buffer, length}) => [name, {buffer, length}]));
  for (let i = 0; i < times; i++) gpu.run(kernel, params, memory as Parameters<typeof gpu.run<K>>[2]);
  const results: Arrays = {};
  for (const {name, buffer, length} of held) {
    const words = (await gpu.read(buffer, length + guardWords, 'u32')) as Uint32Array;
    expect([...words.subarray(length)], `${kernel}: guard of ${name}`).toEqual(new Array(guardWords).fill(guard));
    const bits = words.slice(0, length);
    const {access, dtype} = row(kernel).buffers[name];
    if (access === 'read') expect(sameBits(bits, arrays[name]), `${kernel}: ${name} changed`).toBe(true);
    results[name] = dtype === 'f32' ? new Float32Array(bits.buffer) : bits;
    buffer.destroy();
  }
  const {stages} = makePlan(kernel, constantsOf(kernel, params), device.limits, {tiling});
  for (const {constants} of stages) {
    for (const name of ['micro', 'vectorA', 'vectorD', 'accumulate']) {
      if (name in constants) seen.add(`${kernel} ${name} ${constants[name]}`);
    }
  }
  return results;
}
function sameBits(bits: Uint32Array, array: Arrays[string]): boolean {
  const other = new Uint32Array(array.buffer, array.byteOffset, array.length);
  return bits.every((word, i) => word === other[i]);
}

/** Compares with the reference body; `scale` holds, for every output, the sum over absolute values. */
export async function parity<K extends KernelName>(
  kernel: K,
  params: Params<K>,
  arrays: Arrays,
  n: number,
  scale: Doubles,
  times = 1,
  tiling?: Tiling,
): Promise<void> {
  const body = bodies[kernel] as unknown as (params: Params<K>, buffers: Doubles) => void;
  const truth: Doubles = Object.fromEntries(Object.entries(arrays).map(([name, a]) => [name, Float64Array.from(a)]));
  for (let i = 0; i < times; i++) body(params, truth);
  const actual = await onGpu(kernel, params, arrays, times, tiling);
  cases++;
  for (const [name, bounds] of Object.entries(scale)) {
    const what = `${kernel} ${JSON.stringify(params)} ${tiling ? JSON.stringify(tiling) : ''} ${name}`;
    for (let i = 0; i < truth[name].length; i++) {
      const allowed = epsilon * Math.log2(n + 2) * bounds[i] + 1e-37;
      const share = Math.abs(actual[name][i] - truth[name][i]) / allowed;
      if (!(share <= 1)) expect.fail(`${what}[${i}]: ${actual[name][i]} for ${truth[name][i]}, allowed ±${allowed}`);
      if (share > worst.share) worst = {share, what};
    }
  }
}

type TestedMoment = MomentKernel | 'grad_moment_sum' | 'grad_moment_depthwise';

/** Parity of a moment kernel: the scale is the same kernel on absolute values (phi = abs adds what phi = identity adds). */
export async function momentParity<K extends TestedMoment>(
  kernel: K,
  params: Params<K>,
  kind: Kind,
  lengths: {activations: number; deltas: number; moment: number},
  n: number,
  times = 1,
  tiling?: Tiling,
): Promise<void> {
  const safe = params.phi === 'square' && kind === 'huge' ? 'normal' : kind; // 1e38 squared has no 32-bit result
  const arrays = {
    activations: filled(lengths.activations, n + 1, safe, 'a'),
    deltas: filled(lengths.deltas, n + 2, safe),
    moment: filled(lengths.moment, n + 3),
  };
  const scale = {
    activations: magnitudes(arrays.activations),
    deltas: magnitudes(arrays.deltas),
    moment: magnitudes(arrays.moment),
  };
  const body = bodies[kernel] as unknown as (params: Params<K>, buffers: Doubles) => void;
  for (let i = 0; i < times; i++) body(params, scale);
  await parity(kernel, params, arrays, n, {moment: scale.moment}, times, tiling);
}

/** Uniform numbers in (-0.5, 0.5) from a linear congruential generator: the same on every run. */
export function randomNumbers(seed: number): () => number {
  let state = (seed * 2654435761 + 12345) >>> 0;
  return () => {
    state = (state * 1664525 + 1013904223) >>> 0;
    return state / 2 ** 32 - 0.5;
  };
}

type Factors = Record<string, readonly unknown[]>;
type Row<F extends Factors> = {[N in keyof F]: F[N][number]};

/** Every combination. */
export function product<const F extends Factors>(factors: F): Row<F>[] {
  return Object.entries(factors).reduce<object[]>(
    (rows, [name, values]) => rows.flatMap((row) => values.map((value) => ({...row, [name]: value}))),
    [{}],
  ) as Row<F>[];
}

/** A small table in which every two values of different factors meet in some row (greedy). */
export function pairwise<const F extends Factors>(factors: F): Row<F>[] {
  const names = Object.keys(factors);
  const open = new Set<string>();
  const pair = (a: number, i: number, b: number, j: number): string => `${a}.${i}|${b}.${j}`;
  for (let a = 0; a < names.length; a++) {
    for (let b = a + 1; b < names.length; b++) {
      factors[names[a]].forEach((_, i) => {
        factors[names[b]].forEach((_, j) => void open.add(pair(a, i, b, j)));
      });
    }
  }
  const rows: Row<F>[] = [];
  while (open.size > 0) {
    // Start from a pair that is still open; give every other factor the value that closes most pairs with it.
    const [[a, i], [b, j]] = [...open][0].split('|').map((part) => part.split('.').map(Number));
    const chosen = new Map([
      [a, i],
      [b, j],
    ]);
    for (let f = 0; f < names.length; f++) {
      if (chosen.has(f)) continue;
      const closes = factors[names[f]].map(
        (_, k) => [...chosen].filter(([g, m]) => open.has(f < g ? pair(f, k, g, m) : pair(g, m, f, k))).length,
      );
      chosen.set(f, closes.indexOf(Math.max(...closes)));
    }
    for (const [f, k] of chosen) for (const [g, m] of chosen) open.delete(pair(f, k, g, m));
    rows.push(Object.fromEntries([...chosen].map(([f, k]) => [names[f], factors[names[f]][k]])) as Row<F>);
  }
  return rows;
}
