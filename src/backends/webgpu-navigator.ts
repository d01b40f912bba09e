/**
 * Gives Node the browser's `navigator.gpu` and WebGPU classes, from Dawn (npm `webgpu`). Imported before tfjs' WebGPU
 * backend, which looks for them while it is being loaded. The object must stay referenced: Dawn aborts the process when
 * it is garbage-collected before its devices.
 */
import {create, globals} from 'webgpu';

const switchedOff = [
  // SwiftShader writes this extension out element by element: 1-2 s a shader instead of 0.1 s.
  'use_vulkan_zero_initialize_workgroup_memory_extension',
  // Timers rounded to 65 us are a browser's defence; they make kernels unmeasurable.
  'timestamp_quantization',
];

if (!globalThis.navigator?.gpu) {
  Object.assign(globalThis, globals);
  const gpu = create([`disable-dawn-features=${switchedOff.join()}`]);
  // Node has a `navigator` of its own from version 21 on.
  const navigator = globalThis.navigator ?? {userAgent: `Node.js/${process.versions.node}`, platform: process.platform};
  Object.defineProperty(navigator, 'gpu', {value: gpu, configurable: true});
  Object.defineProperty(globalThis, 'navigator', {value: navigator, configurable: true, writable: true});
}
