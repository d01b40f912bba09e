/**
 * Tilings by measurement instead of by the cost rule: the candidates of a call run on the device at hand, and the
 * fastest is kept. What was found is plain JSON, for other processes on the same adapter.
 */
import {EngramError} from '../errors.js';
import {bufferLength} from './check.js';
import {buffersOf, type Params} from './table.js';
import {type GpuRange, WebGpuEngine} from './webgpu.js';
import {callOf, candidateTilings, checkTiling} from './webgpu-plan.js';
import type {MomentKernel, Tiling} from './webgpu-tilings.js';
import {mostTimed, TimedStream} from './webgpu-timing.js';

/** Tilings that were measured, by the key of the call. */
export interface Tuning {
  /** The GPU they were measured on: `vendor architecture device`. */
  readonly adapter: string;
  readonly tilings: Readonly<Record<string, Tiling>>;
}

/** What measuring one call found. */
export interface TuneResult {
  readonly tiling: Tiling;
  /** Median milliseconds of the tiling, and of the one that the cost rule takes. */
  readonly milliseconds: number;
  readonly byRule: number;
  /** Candidates that were measured. */
  readonly candidates: number;
}

/** How many candidates are measured, the best by the cost rule; and how many runs of each. */
export interface TuneOptions {
  readonly candidates?: number;
  readonly runs?: number;
}

/** The GPU of a device, as a {@link Tuning} names it. */
function adapterName({adapterInfo: {vendor, architecture, device}}: GPUDevice): string {
  return [vendor, architecture, device].filter(Boolean).join(' ') || 'unknown';
}

/**
 * Measures the candidates of one call on buffers of its own, and makes the engine use the fastest from now on. A
 * candidate compiles first: tens of milliseconds on a GPU.
 *
 * @throws EngramError ARGUMENT for sizes that leave nothing to compute, or options out of range; DEVICE
 */
export async function tune<K extends MomentKernel>(
  engine: WebGpuEngine,
  kernel: K,
  params: Params<K>,
  {candidates = 12, runs = 7}: TuneOptions = {},
): Promise<TuneResult> {
  for (const [name, value] of Object.entries({candidates, runs})) {
    if (Number.isSafeInteger(value) && value >= 1 && value <= mostTimed) continue;
    throw new EngramError('ARGUMENT', {
      expected: `${name} to be a whole number from 1 to ${mostTimed}`,
      received: String(value),
      remedy: 'Leave it out for the default.',
    });
  }
  const specs = buffersOf(kernel);
  const empty = specs.find(([, spec]) => !(bufferLength(spec, params) > 0));
  if (empty) {
    throw new EngramError('ARGUMENT', {
      expected: `a call of ${kernel} with something to compute`,
      received: `no elements in ${empty[0]}`,
      remedy: 'Tune the sizes that training uses.',
    });
  }
  const {device} = engine;
  const stream = new TimedStream(device);
  const own = new WebGpuEngine(device, stream);
  const noise = own.allocate(noiseLength, noiseValues());
  const buffers: Record<string, GpuRange> = {};
  try {
    for (const [name, spec] of specs) {
      const length = bufferLength(spec, params);
      buffers[name] = {buffer: own.allocate(length), length};
      const encoder = stream.encoder();
      for (let at = 0; at < length; at += noiseLength) {
        encoder.copyBufferToBuffer(noise, 0, buffers[name].buffer, 4 * at, 4 * Math.min(noiseLength, length - at));
      }
    }
    const measured: {tiling: Tiling; milliseconds: number}[] = [];
    for (const tiling of candidateTilings(kernel, params, device.limits).slice(0, candidates)) {
      own.useTiling(kernel, params, tiling);
      const run = () => own.run(kernel, params, buffers as never);
      await stream.times(run); // compiles, and warms up
      const times = await stream.times(() => {
        for (let i = 0; i < runs; i++) run();
      });
      measured.push({tiling, milliseconds: times.sort((a, b) => a - b)[times.length >> 1]});
    }
    await own.read(buffers.moment.buffer, 1); // throws where the device refused any of it
    const best = measured.reduce((a, b) => (b.milliseconds < a.milliseconds ? b : a));
    engine.useTiling(kernel, params, best.tiling);
    return {...best, byRule: measured[0].milliseconds, candidates: measured.length};
  } finally {
    own.dispose();
    stream.dispose();
    for (const {buffer} of Object.values(buffers)) buffer.destroy();
    noise.destroy();
  }
}

/** What was tuned on this engine, or taken over, so far. */
export function tuningOf(engine: WebGpuEngine): Tuning {
  return {adapter: adapterName(engine.device), tilings: Object.fromEntries(engine.tilings)};
}

/**
 * Uses what was tuned before, perhaps in another process.
 *
 * @param tuning what {@link tuningOf} gave, perhaps by way of JSON
 * @throws EngramError ARGUMENT for a tuning of another adapter, or one that does not fit; nothing is changed then
 */
export function useTuning(engine: WebGpuEngine, tuning: Tuning): void {
  const adapter = adapterName(engine.device);
  if (tuning?.adapter !== adapter || !(tuning.tilings instanceof Object)) {
    throw new EngramError('ARGUMENT', {
      expected: `a tuning for the adapter "${adapter}"`,
      received: `one for ${JSON.stringify(tuning?.adapter)}`,
      remedy: 'Tilings are fast on the GPU they were measured on: tune again on this one.',
    });
  }
  const calls = Object.entries(tuning.tilings).map(([key, tiling]) => {
    const {kernel, params} = callOf(key);
    checkTiling(kernel, params, tiling, engine.device.limits);
    return {kernel, params, tiling};
  });
  for (const {kernel, params, tiling} of calls) engine.useTiling(kernel, params, tiling);
}

const noiseLength = 1 << 16;

/** Multiplying zeros draws less power, and a GPU may run faster on them. */
function noiseValues(): Float32Array {
  return Float32Array.from({length: noiseLength}, () => Math.random() - 0.5);
}
