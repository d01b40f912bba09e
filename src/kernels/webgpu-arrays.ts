/** The WebGPU engine on typed arrays. */
import type {Buffers, HostArray, HostInput} from './engine.js';
import {type KernelName, type Params, row} from './table.js';
import type {GpuMemory, WebGpuEngine} from './webgpu.js';

/**
 * Runs one kernel on typed arrays through the GPU: uploads, runs, and copies what the kernel wrote back into the arrays.
 * For tests and small work; keep data in GPU buffers for anything else.
 */
export async function runOnArrays<K extends KernelName>(
  engine: WebGpuEngine,
  kernel: K,
  params: Params<K>,
  arrays: Buffers<K, HostInput>,
): Promise<void> {
  const held: [string, GPUBuffer][] = [];
  try {
    const buffers: Record<string, GpuMemory> = {};
    for (const name of Object.keys(row(kernel).buffers)) {
      const array = (arrays as Record<string, HostInput>)[name];
      buffers[name] = array.length === 0 ? null : engine.allocate(array.length, array);
      if (buffers[name]) held.push([name, buffers[name] as GPUBuffer]);
    }
    engine.run(kernel, params, buffers as Buffers<K, GpuMemory>);
    for (const [name, buffer] of held) {
      const {access, dtype} = row(kernel).buffers[name];
      if (access === 'read') continue;
      const array = (arrays as Record<string, HostArray>)[name];
      array.set(await engine.read(buffer, array.length, dtype === 'f32' ? 'f32' : 'u32'));
    }
  } finally {
    for (const [, buffer] of held) buffer.destroy();
  }
}
