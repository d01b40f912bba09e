/** Interleaved timing: contenders take turns, so that a slow moment of the machine hits all of them alike. */
import {cpus, loadavg} from 'node:os';
import {loadAddon} from '../dist/kernels/addon.js';
import {hostEngine} from '../dist/kernels/host.js';

export const median = (values) => {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
};

/**
 * Median milliseconds of each contender.
 *
 * @param contenders {name: async () => milliseconds}, each measuring itself
 * @param rounds turns per contender, after one warm-up turn each
 */
export async function interleave(contenders, rounds) {
  const times = Object.fromEntries(Object.keys(contenders).map((name) => [name, []]));
  for (let round = -1; round < rounds; round++) {
    for (const [name, measure] of Object.entries(contenders)) {
      const milliseconds = await measure();
      if (round >= 0) times[name].push(milliseconds);
    }
  }
  return Object.fromEntries(Object.entries(times).map(([name, values]) => [name, median(values)]));
}

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
