/** `engram/webgpu` in a browser, where `navigator.gpu` is already there. */
import {registerWebGpu} from './webgpu-register.js';

export type {TuneOptions, Tuning} from '../kernels/webgpu-tune.js';
export {requestAdapter, requestDevice} from './webgpu-register.js';
export {autotune, useTuning} from './webgpu-tuning.js';

registerWebGpu();
