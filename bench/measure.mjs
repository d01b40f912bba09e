/** Interleaved timing: contenders take turns, so that a slow moment of the machine hits all of them alike. */
import {cpus, loadavg} from 'node:os';
import {loadAddon} from '../dist/kernels/addon.js';
import {hostEngine} from '../dist/kernels/host.js';

export const median = (values) => {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
};

export const fastest = (values) => Math.min(...values);

/**
 * Median milliseconds of each contender, or what else `of` makes of its turns.
 *
 * @param contenders {name: async () => milliseconds}, each measuring itself
 * @param rounds turns per contender, after warm-up turns: one each at least
 * @param warmUp milliseconds for which each contender warms up: V8 goes on compiling for hundreds of training steps
 */
export async function interleave(contenders, rounds, {warmUp = 0, of = median} = {}) {
  const times = Object.fromEntries(Object.keys(contenders).map((name) => [name, []]));
  for (const measure of Object.values(contenders)) {
    const start = performance.now();
    do await measure();
    while (performance.now() - start < warmUp);
  }
  for (let round = 0; round < rounds; round++) {
    for (const [name, measure] of Object.entries(contenders)) times[name].push(await measure());
  }
  return Object.fromEntries(Object.entries(times).map(([name, values]) => [name, of(values)]));
}

/** The warm-up of a loop that runs for long, as training does. */
export const longRun = {warmUp: 2000};

/** Milliseconds that `work` takes. */
export async function clock(work) {
  const start = performance.now();
  await work();
  return performance.now() - start;
}

/** Milliseconds of one run of `work`: the mean of as many as 50 ms hold, and of one at least. */
export async function repeated(work) {
  let runs = 0;
  const start = performance.now();
  let spent = 0;
  for (; spent < 50; spent = performance.now() - start) {
    await work();
    runs++;
  }
  return spent / runs;
}

/** Processes that wanted a core in the last minute, this one included: what else disturbed a figure. */
export const load = () => Math.round(loadavg()[0] * 10) / 10;

/** What a result must say about where it was measured. */
export function machine() {
  const loaded = loadAddon();
  return {
    date: new Date().toISOString().slice(0, 10),
    node: process.version,
    cpu: cpus()[0]?.model ?? 'unknown',
    cores: cpus().length,
    engine: hostEngine().name,
    instructionSet: 'addon' in loaded ? loaded.addon.instructionSet() : null,
    threads: 'addon' in loaded ? loaded.addon.threads() : 1,
  };
}
