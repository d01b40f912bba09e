/** The native engine: kernels of the table on typed arrays, run by the C++ addon, on the calling thread or in the background. */
import {EngramError, type ErrorCode} from '../errors.js';
import type {Addon, Outcome} from './addon.js';
import {checkNames, packParams} from './check.js';
import type {Buffers, Engine, HostInput, RunOptions} from './engine.js';
import {runOnShared, signalOf} from './staging.js';
import {type KernelName, kernelNames, type Params, row} from './table.js';

const numbers = Object.fromEntries(kernelNames.map((name, i) => [name, i])) as Record<KernelName, number>;
const bufferNames = Object.fromEntries(kernelNames.map((name) => [name, Object.keys(row(name).buffers)])) as Record<
  KernelName,
  string[]
>;

/** Parameters and buffers in the row's order. */
function argumentsOf<K extends KernelName>(kernel: K, params: Params<K>, buffers: Buffers<K, HostInput>) {
  checkNames(kernel, params, buffers);
  const arrays = bufferNames[kernel].map((name) => (buffers as Record<string, HostInput>)[name]);
  return [packParams(kernel, params as Record<string, string | number>), arrays] as const;
}

/** The engine on a loaded addon. Arguments are checked in C++, by rows generated from the kernel table. */
export function nativeEngine(addon: Addon): Engine<HostInput> {
  return {
    name: 'native',
    run<K extends KernelName>(kernel: K, params: Params<K>, buffers: Buffers<K, HostInput>): void {
      const [packed, arrays] = argumentsOf(kernel, params, buffers);
      callAddon(() => addon.run(numbers[kernel], packed, arrays));
    },
    async runAsync<K extends KernelName>(
      kernel: K,
      params: Params<K>,
      buffers: Buffers<K, HostInput>,
      options?: RunOptions,
    ): Promise<void> {
      const signal = signalOf(options);
      const [packed, arrays] = argumentsOf(kernel, params, buffers);
      callAddon(() => addon.check(numbers[kernel], packed, arrays));
      await runOnShared(kernel, arrays, signal, (shared) => start(addon, kernel, packed, shared, signal));
    },
  };
}

/** Starts a kernel on the addon's background thread; settles when the thread is done with the arrays. */
function start(
  addon: Addon,
  kernel: KernelName,
  params: Float64Array,
  shared: HostInput[],
  signal: AbortSignal | undefined,
): Promise<void> {
  return new Promise((resolve, reject) => {
    const finish = (outcome: Outcome): void => {
      signal?.removeEventListener('abort', cancel);
      if (outcome === 'done') resolve();
      else reject(outcome === 'cancelled' ? signal?.reason : new Error(`engram: ${outcome} in ${kernel}`));
    };
    const cancel = callAddon(() => addon.start(numbers[kernel], params, shared, finish));
    signal?.addEventListener('abort', cancel, {once: true});
  });
}

/** Runs a call of the addon; what its checks refuse is thrown as an EngramError. */
export function callAddon<T>(call: () => T): T {
  try {
    return call();
  } catch (error) {
    const {code, expected, received, remedy} = error as {code?: ErrorCode} & Record<string, string>;
    if (!code || expected === undefined) throw error;
    throw new EngramError(code, {expected, received, remedy, cause: error});
  }
}
