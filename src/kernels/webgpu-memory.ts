/** The small device memory of the WebGPU engine: scalars of calls, partial sums, stand-ins for empty buffers. */
import {DeviceHealth} from './webgpu-health.js';
import type {CommandStream} from './webgpu-stream.js';

/** `GPUBufferUsage` as numbers: the global does not exist before a WebGPU implementation is loaded. */
export const usage = {mapRead: 0x1, copySrc: 0x4, copyDst: 0x8, uniform: 0x40, storage: 0x80} as const;

const slotBytes = 256; // the alignment that every device accepts for dynamic offsets
const slotCount = 256;

/**
 * Scalars live in slots of one uniform buffer. `writeBuffer` runs ahead of all work that is submitted later, so a slot
 * may be written again only once the work that reads it was submitted: when the ring is full, the stream is submitted.
 */
export class ScalarRing {
  readonly buffer: GPUBuffer;
  private used = 0;
  private latest = '';

  constructor(
    private readonly device: GPUDevice,
    private readonly stream: CommandStream,
  ) {
    const size = slotBytes * slotCount;
    this.buffer = device.createBuffer({label: 'engram scalars', size, usage: usage.uniform | usage.copyDst});
  }

  /** Offset in bytes of a slot that holds these values. A step writes once: its variables share their scalars. */
  slot(values: readonly number[]): number {
    const content = values.join();
    if (content === this.latest) return (this.used - 1) * slotBytes;
    if (this.used === slotCount) {
      this.stream.submit();
      this.used = 0;
    }
    this.device.queue.writeBuffer(this.buffer, this.used * slotBytes, new Float32Array(values));
    this.latest = content;
    return this.used++ * slotBytes;
  }

  static readonly bindingSize = slotBytes;
}

/** Scratch memory that grows with the largest plan; calls run one after the other and share it. */
export class Scratch {
  private current: GPUBuffer | undefined;

  constructor(
    private readonly device: GPUDevice,
    private readonly stream: CommandStream,
  ) {}

  /** A buffer of at least `length` elements. */
  atLeast(length: number): GPUBuffer {
    const size = 4 * length;
    if (this.current && this.current.size >= size) return this.current;
    this.dispose();
    this.current = DeviceHealth.of(this.device).guard(`${size} bytes of scratch memory`, () =>
      this.device.createBuffer({label: 'engram scratch', size, usage: usage.storage}),
    );
    return this.current;
  }

  dispose(): void {
    if (!this.current) return;
    this.stream.submit(); // queued work may still use it; destroying is safe once that is submitted
    this.current.destroy();
    this.current = undefined;
  }
}
