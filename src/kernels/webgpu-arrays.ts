/** The WebGPU engine on typed arrays. */
import {checkArrays} from './check.js';
import type {Buffers, HostInput, RunOptions} from './engine.js';
import {type Copy, copyBack, orAbort, signalOf} from './staging.js';
import {type KernelName, type Params, row} from './table.js';
import type {GpuMemory, WebGpuEngine} from './webgpu.js';

/** `runAsync` of the engine: uploads, runs, and copies what the kernel wrote back into the arrays. */
export async function runOnArrays<K extends KernelName>(
  engine: WebGpuEngine,
  kernel: K,
  params: Params<K>,
  arrays: Buffers<K, HostInput>,
  options?: RunOptions,
): Promise<void> {
  const signal = signalOf(options);
  checkArrays(kernel, params, arrays);
  await copyBack(kernel, await orAbort(runOnCopies(engine, kernel, params, arrays, signal), signal));
}

/** The results. The GPU buffers are freed when nothing encoded needs them, even if the caller no longer waits. */
async function runOnCopies<K extends KernelName>(
  engine: WebGpuEngine,
  kernel: K,
  params: Params<K>,
  arrays: Buffers<K, HostInput>,
  signal: AbortSignal | undefined,
): Promise<Copy[]> {
  const held: [string, GPUBuffer, HostInput, number][] = [];
  try {
    const buffers: Record<string, GpuMemory> = {};
    for (const name of Object.keys(row(kernel).buffers)) {
      const array = (arrays as Record<string, HostInput>)[name];
      const buffer = array.length === 0 ? null : engine.allocate(array.length, array);
      if (buffer) held.push([name, buffer, array, array.length]);
      buffers[name] = buffer;
    }
    engine.run(kernel, params, buffers as Buffers<K, GpuMemory>);
    const results: Copy[] = [];
    for (const [name, buffer, array, length] of held) {
      const {access, dtype} = row(kernel).buffers[name];
      if (access === 'read') continue;
      signal?.throwIfAborted();
      results.push({name, array, length, copy: await engine.read(buffer, length, dtype === 'f32' ? 'f32' : 'u32')});
    }
    return results;
  } finally {
    for (const [, buffer] of held) buffer.destroy();
  }
}
