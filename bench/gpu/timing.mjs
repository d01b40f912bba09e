/**
 * Times of work on a GPU: every call in a compute pass of its own with a timestamp at both ends, after a warm-up, in
 * rotation over buffers that together are larger than any cache. Without timestamps the clock of the host counts.
 */
import {median} from '../measure.mjs';

/** Bytes after which nothing of the first buffers is left in a cache: four times the 60 MB of an H200. */
const beyondCache = 256 * 2 ** 20;
const mostTimed = 64;
const usage = {mapRead: 0x1, copySrc: 0x4, copyDst: 0x8, queryResolve: 0x200};

/** How many sets of buffers a measurement needs so that none of its calls finds its operands in a cache. */
export const setsFor = (bytes) => Math.min(mostTimed, Math.max(2, Math.ceil(beyondCache / Math.max(bytes, 1))));

/** A stream of commands for a WebGpuEngine: every kernel gets a pass, which is timed where there is a query for it. */
class TimedStream {
  commands = null;
  open = null;
  next = 0;

  constructor(device, queries) {
    this.device = device;
    this.queries = queries;
  }

  pass() {
    this.commands ??= this.device.createCommandEncoder();
    this.open ??= this.commands.beginComputePass(this.timestamps());
    return this.open;
  }
  timestamps() {
    if (!this.queries || this.next >= mostTimed) return undefined;
    const first = 2 * this.next++;
    return {
      timestampWrites: {
        querySet: this.queries,
        beginningOfPassWriteIndex: first,
        endOfPassWriteIndex: first + 1,
      },
    };
  }
  encoder() {
    this.encoded();
    this.commands ??= this.device.createCommandEncoder();
    return this.commands;
  }
  encoded() {
    this.open?.end();
    this.open = null;
  }
  submit() {
    if (!this.commands) return;
    const commands = this.encoder().finish();
    this.commands = null;
    this.device.queue.submit([commands]);
  }
}

export class GpuTimer {
  /** @param device with `timestamp-query` if there is any */
  constructor(device, {warmUp = 100, budget = 300, fewest = 5} = {}) {
    this.device = device;
    this.options = {warmUp, budget, fewest};
    const stamps = device.features.has('timestamp-query');
    this.queries = stamps ? device.createQuerySet({type: 'timestamp', count: 2 * mostTimed}) : null;
    const size = 16 * mostTimed;
    this.resolved = device.createBuffer({size, usage: usage.queryResolve | usage.copySrc});
    this.staging = device.createBuffer({size, usage: usage.mapRead | usage.copyDst});
    /** Where callers encode: one pass for a call, ended by `encoded()`. */
    this.stream = new TimedStream(device, this.queries);
    this.clock = stamps ? 'timestamps' : 'host clock, for the device has no timestamp-query';
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
    await this.device.queue.onSubmittedWorkDone();
    return this.queries ? this.stamped(call, first, count) : this.onHost(call, first, count);
  }

  async stamped(call, first, count) {
    const {stream, resolved, staging} = this;
    stream.next = 0;
    for (let i = 0; i < count; i++) {
      call(first + i);
      stream.encoded();
    }
    if (stream.next !== count) throw new Error(`${count} calls were to be timed, but they made ${stream.next} passes`);
    const encoder = stream.encoder();
    encoder.resolveQuerySet(this.queries, 0, 2 * count, resolved, 0);
    encoder.copyBufferToBuffer(resolved, 0, staging, 0, 16 * count);
    stream.submit();
    await staging.mapAsync(1 /* GPUMapMode.READ */);
    const stamps = [...new BigUint64Array(staging.getMappedRange().slice(0, 16 * count))];
    staging.unmap();
    return intervals(stamps);
  }

  /** The mean of all calls for each of them: one alone is shorter than the way to the GPU and back. */
  async onHost(call, first, count) {
    const start = performance.now();
    for (let i = 0; i < count; i++) {
      call(first + i);
      this.stream.encoded();
    }
    this.stream.submit();
    await this.device.queue.onSubmittedWorkDone();
    return new Array(count).fill((performance.now() - start) / count);
  }

  dispose() {
    this.queries?.destroy();
    this.resolved.destroy();
    this.staging.destroy();
  }
}

/**
 * Milliseconds of each pass from pairs of begin and end in nanoseconds. A pass may begin before the one ahead of it has
 * ended, for nothing makes it wait: what they share counts once, for the first of them.
 */
export function intervals(stamps) {
  const times = [];
  let ended = stamps[0];
  for (let i = 0; i < stamps.length; i += 2) {
    const begin = stamps[i] > ended ? stamps[i] : ended;
    ended = stamps[i + 1];
    times.push(Math.max(0, Number(ended - begin) / 1e6));
  }
  return times;
}
