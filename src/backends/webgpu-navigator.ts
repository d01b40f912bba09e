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

/**
 * What tensor cores need (`precision`). Both are off by default to protect a browser's users from pages: the first hides
 * experiments such as matrices, of which a device has none that it does not ask for; the second, f16 on NVIDIA, which
 * fails some of WebGPU's conformance tests. In Node the code is the user's own, and only grad_moment's matrix shaders
 * use f16, when asked to.
 */
const switchedOn = ['allow_unsafe_apis', 'vulkan_enable_f16_on_nvidia'];

if (!globalThis.navigator?.gpu) {
  Object.assign(globalThis, globals);
  const gpu = create([`enable-dawn-features=${switchedOn.join()}`, `disable-dawn-features=${switchedOff.join()}`]);
  // Node has a `navigator` of its own from version 21 on.
  const navigator = globalThis.navigator ?? {userAgent: `Node.js/${process.versions.node}`, platform: process.platform};
  Object.defineProperty(navigator, 'gpu', {value: gpu, configurable: true});
  Object.defineProperty(globalThis, 'navigator', {value: navigator, configurable: true, writable: true});
}
