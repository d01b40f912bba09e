/** Memory of results that nobody sees any more, kept for results of the same size: fresh pages cost more than kernels. */
import {totalmem} from 'node:os';

/**
 * Bytes kept at most: an eighth of the memory that the process may use. On 8 GiB that is a training step of a network of
 * some sixty million parameters, AlexNet's, whose step would wait for fresh pages a third of its time.
 */
const mostBytes = Math.min(totalmem(), process.constrainedMemory?.() || Number.POSITIVE_INFINITY) / 8;
/** Smaller arrays are not worth keeping: V8 allocates them as fast. */
const leastBytes = 4096;

/** Arrays by length. All were allocated here, and by the rule of {@link NativeBackend} none was ever shown to a user. */
export class BufferPool {
  private readonly free = new Map<number, Float32Array[]>();
  private bytes = 0;

  /** @param limit bytes kept at most */
  constructor(private readonly limit = mostBytes) {}

  /** An array of `length` elements with any contents. */
  take(length: number): Float32Array {
    const kept = this.free.get(length)?.pop();
    if (!kept) return new Float32Array(length);
    this.bytes -= kept.byteLength;
    return kept;
  }

  /** Takes back an array of {@link take}; beyond the limit the oldest sizes make room. */
  give(array: Float32Array): void {
    const {length, byteLength} = array;
    if (byteLength < leastBytes || byteLength > this.limit) return;
    const list = this.free.get(length);
    this.free.delete(length); // behind all others: the sizes that are used stay
    this.free.set(length, list ?? []);
    this.free.get(length)!.push(array);
    this.bytes += byteLength;
    for (const [size, arrays] of this.free) {
      if (this.bytes <= this.limit) break;
      for (const {byteLength: gone} of arrays) this.bytes -= gone;
      this.free.delete(size);
    }
  }

  /** Bytes that wait for their next use. */
  get waiting(): number {
    return this.bytes;
  }

  clear(): void {
    this.free.clear();
    this.bytes = 0;
  }
}
