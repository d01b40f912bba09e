/**
 * Times of work on a GPU: every call in a compute pass of its own with a timestamp at both ends, after a warm-up, in
 * rotation over buffers that together are larger than any cache. Without timestamps the clock of the host counts.
 */
import {mostTimed, TimedStream} from '../../dist/kernels/webgpu-timing.js';
import {median} from '../measure.mjs';

/** Bytes after which nothing of the first buffers is left in a cache: four times the 60 MB of an H200. */
const beyondCache = 256 * 2 ** 20;

/** How many sets of buffers a measurement needs so that none of its calls finds its operands in a cache. */
export const setsFor = (bytes) => Math.min(mostTimed, Math.max(2, Math.ceil(beyondCache / Math.max(bytes, 1))));

export class GpuTimer {
  /** @param device with `timestamp-query` if there is any */
  constructor(device, {warmUp = 100, budget = 300, fewest = 5} = {}) {
    this.device = device;
    this.options = {warmUp, budget, fewest};
    /** Where callers encode: one pass for a call, ended by `encoded()`. */
    this.stream = new TimedStream(device);
    this.clock = this.stream.stamped ? 'timestamps' : 'host clock, for the device has no timestamp-query';
  }

  /**
   * Median milliseconds of a call.
   *
   * @param call encodes call number i into `stream`, in one pass
   * @returns {ms, runs, spread: (slowest - fastest) / median, clock}
   */
  async measure(call) {
    const {warmUp, budget, fewest} = this.options;
    await this.batch(call, 0, 1); // compiles
    let estimate = median(await this.batch(call, 1, 1));
    const start = performance.now();
    let done = 2;
    while (performance.now() - start < warmUp) {
      const times = await this.batch(call, done, Math.max(1, Math.min(mostTimed, Math.ceil(warmUp / 4 / estimate))));
      done += times.length;
      estimate = Math.max(median(times), 1e-4);
    }
    const runs = Math.max(fewest, Math.min(mostTimed, Math.ceil(budget / estimate)));
    const times = await this.batch(call, done, runs);
    const ms = median(times);
    return {ms, runs, spread: (Math.max(...times) - Math.min(...times)) / ms, clock: this.clock};
  }

  /** Milliseconds of each of `count` calls. */
  async batch(call, first, count) {
    const times = await this.stream.times(() => {
      for (let i = 0; i < count; i++) {
        call(first + i);
        this.stream.encoded();
      }
    });
    if (times.length !== count)
      throw new Error(`${count} calls were to be timed, but they made ${times.length} passes`);
    return times;
  }

  dispose() {
    this.stream.dispose();
  }
}
