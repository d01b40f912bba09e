/** Time on the GPU: a command stream whose calls are stamped by the device itself. */
import {OwnStream} from './webgpu-stream.js';

/** Calls that are stamped between two submissions. */
export const mostTimed = 64;

/**
 * A stream for a WebGpuEngine that gives every call a pass of its own, with a time stamp at both ends. Without the
 * feature `timestamp-query` the host's clock is used around the wait for the device.
 */
export class TimedStream extends OwnStream {
  private readonly stamps: {set: GPUQuerySet; resolved: GPUBuffer; host: GPUBuffer} | undefined;
  private calls = 0;
  private joined = false;

  constructor(device: GPUDevice) {
    super(device);
    if (!device.features.has('timestamp-query')) return;
    const buffer = (usage: number) => device.createBuffer({label: 'time stamps', size: 16 * mostTimed, usage});
    this.stamps = {
      set: device.createQuerySet({type: 'timestamp', count: 2 * mostTimed}),
      resolved: buffer(0x200 | 0x4 /* QUERY_RESOLVE | COPY_SRC */),
      host: buffer(0x1 | 0x8 /* MAP_READ | COPY_DST */),
    };
  }

  /** Whether the device takes the time, not the host. */
  get stamped(): boolean {
    return this.stamps !== undefined;
  }

  /**
   * Milliseconds of each call. By the host's clock they all get the mean: one call is shorter than the way to the GPU
   * and back.
   *
   * @param encode puts at most 64 calls of kernels into this stream, which is empty before
   */
  async times(encode: () => void): Promise<number[]> {
    const {device, stamps} = this;
    this.submit();
    await device.queue.onSubmittedWorkDone();
    this.calls = 0;
    const start = performance.now();
    encode();
    const {calls} = this;
    if (!stamps) {
      this.submit();
      await device.queue.onSubmittedWorkDone();
      return new Array(calls).fill((performance.now() - start) / calls);
    }
    const encoder = this.encoder();
    encoder.resolveQuerySet(stamps.set, 0, 2 * calls, stamps.resolved, 0);
    encoder.copyBufferToBuffer(stamps.resolved, 0, stamps.host, 0, 16 * calls);
    this.submit();
    await stamps.host.mapAsync(1 /* GPUMapMode.READ */);
    const nanoseconds = new BigUint64Array(stamps.host.getMappedRange().slice(0, 16 * calls));
    stamps.host.unmap();
    return intervals(nanoseconds);
  }

  protected override passDescriptor(): GPUComputePassDescriptor {
    if (!this.stamps || this.calls >= mostTimed) return {};
    const first = 2 * this.calls;
    return {
      timestampWrites: {
        querySet: this.stamps.set,
        beginningOfPassWriteIndex: first,
        endOfPassWriteIndex: first + 1,
      },
    };
  }
  /** The call is over, and with it its pass. */
  override encoded(): void {
    if (!this.open || this.joined) return;
    this.open.end();
    this.open = undefined;
    this.calls++;
  }
  /** Several calls as one: one pass, one time. */
  together(encode: () => void): void {
    this.joined = true;
    try {
      encode();
    } finally {
      this.joined = false;
    }
    this.encoded();
  }
  /** Submits what is left, and frees the queries. */
  dispose(): void {
    this.submit();
    this.stamps?.set.destroy();
    this.stamps?.resolved.destroy();
    this.stamps?.host.destroy();
  }
}

/**
 * Milliseconds of each pass from pairs of begin and end. A pass may begin before the one ahead of it has ended, for
 * nothing makes it wait: what they share counts once, for the first of them.
 */
export function intervals(nanoseconds: ArrayLike<bigint>): number[] {
  const times: number[] = [];
  let ended = nanoseconds[0];
  for (let i = 0; i < nanoseconds.length; i += 2) {
    const [begin, end] = [nanoseconds[i] > ended ? nanoseconds[i] : ended, nanoseconds[i + 1]];
    times.push(end > begin ? Number(end - begin) / 1e6 : 0);
    ended = end;
  }
  return times;
}
