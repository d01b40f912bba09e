/**
 * Watches a GPU device. Work on a lost device, or work that the device refused, does nothing and says nothing: results
 * would be zeros. The first fault is kept for good, and everything that runs or reads on the device asks for it.
 */
import {EngramError} from '../errors.js';

const anew =
  'Go on with a new device: await tf.setBackend("webgpu"), or a WebGpuEngine on a device of your own. Importance and ' +
  'anchors are still there; mas.restore() gives the network the parameters of its last consolidation.';

const watched = new WeakMap<GPUDevice, DeviceHealth>();

export class DeviceHealth {
  private fault: EngramError | undefined;
  private readonly pending = new Set<Promise<void>>();
  private readonly listeners: (() => void)[] = [];

  /** The one watcher of a device. */
  static of(device: GPUDevice): DeviceHealth {
    let health = watched.get(device);
    if (!health) {
      health = new DeviceHealth(device);
      watched.set(device, health);
    }
    return health;
  }

  private constructor(private readonly device: GPUDevice) {
    device.addEventListener('uncapturederror', (event) => {
      this.fail(event.error, 'GPU work');
      // A browser prints what nobody handled; Node's binding does the same. The fault is thrown at the next use.
      event.preventDefault?.();
    });
    device.lost.then((info) => {
      const known = this.fault !== undefined;
      this.fault = new EngramError('DEVICE', {
        expected: 'a GPU device in use',
        received: `a lost device (${info.reason || 'unknown reason'}${info.message ? `: ${info.message}` : ''})`,
        remedy: anew,
      });
      if (!known) this.tell();
    });
  }

  /** Whether the device can no longer be trusted: {@link check} throws. */
  get faulty(): boolean {
    return this.fault !== undefined;
  }

  /** Calls `listener` once, at the first fault. */
  onFault(listener: () => void): void {
    this.listeners.push(listener);
  }

  /** @throws EngramError DEVICE if the device was lost or refused any work so far */
  check(): void {
    if (this.fault) throw this.fault;
  }

  /** Runs `make` and keeps a refusal by the device as a fault that names `what`. */
  guard<T>(what: string, make: () => T): T {
    const filters: GPUErrorFilter[] = ['validation', 'out-of-memory', 'internal'];
    for (const filter of filters) this.device.pushErrorScope(filter);
    try {
      return make();
    } finally {
      for (const _ of filters) this.note(this.device.popErrorScope(), what);
    }
  }

  /** Waits until the device has answered for everything guarded so far, then checks. */
  async settled(): Promise<void> {
    await Promise.all(this.pending);
    this.check();
  }

  private note(answer: Promise<GPUError | null>, what: string): void {
    const noted = answer
      .then((error) => {
        if (error) this.fail(error, what);
      })
      .catch(() => undefined) // a lost device cannot answer; `lost` has said so
      .finally(() => this.pending.delete(noted));
    this.pending.add(noted);
  }

  private fail(error: GPUError, what: string): void {
    if (this.fault) return;
    const outOfMemory = error.constructor.name === 'GPUOutOfMemoryError';
    this.fault = new EngramError('DEVICE', {
      expected: `the GPU to accept ${what}`,
      received: `${error.constructor.name}: ${error.message}`,
      remedy: outOfMemory
        ? `Use a smaller batch, or free tensors. ${anew}`
        : `Results since then are void. ${anew} If the error comes back, please report it.`,
      cause: error,
    });
    this.tell();
  }

  private tell(): void {
    for (const listener of this.listeners.splice(0)) listener();
  }
}
