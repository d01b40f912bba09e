/** The native engine: kernels of the table on typed arrays, run by the C++ addon on the calling thread and its helpers. */
import {EngramError, type ErrorCode} from '../errors.js';
import type {Addon} from './addon.js';
import {packParams} from './check.js';
import type {Buffers, Engine, HostInput} from './engine.js';
import {type KernelName, kernelNames, type Params, row} from './table.js';

const numbers = Object.fromEntries(kernelNames.map((name, i) => [name, i])) as Record<KernelName, number>;
const bufferNames = Object.fromEntries(kernelNames.map((name) => [name, Object.keys(row(name).buffers)])) as Record<
  KernelName,
  string[]
>;

/** The engine on a loaded addon. Arguments are checked in C++, by rows generated from the kernel table. */
export function nativeEngine(addon: Addon): Engine<HostInput> {
  return {
    name: 'native',
    run<K extends KernelName>(kernel: K, params: Params<K>, buffers: Buffers<K, HostInput>): void {
      const arrays = bufferNames[kernel].map((name) => (buffers as Record<string, HostInput>)[name]);
      callAddon(() => addon.run(numbers[kernel], packParams(kernel, params), arrays));
    },
  };
}

/** Runs a call of the addon; what its checks refuse is thrown as an EngramError. */
export function callAddon(call: () => void): void {
  try {
    call();
  } catch (error) {
    const {code, expected, received, remedy} = error as {code?: ErrorCode} & Record<string, string>;
    if (!code || expected === undefined) throw error;
    throw new EngramError(code, {expected, received, remedy, cause: error});
  }
}
