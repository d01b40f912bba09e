/**
 * `engram/webgpu` in Node: after this import `await tf.setBackend('webgpu')` works, on Dawn.
 *
 * A process that used it ends by itself; `tf.removeBackend('webgpu')` frees the device before that.
 */
import './webgpu-navigator.js'; // first: the next import looks for navigator.gpu while it is loaded
import {registerWebGpu} from './webgpu-register.js';

export type {TuneOptions, Tuning} from '../kernels/webgpu-tune.js';
export {requestAdapter, requestDevice} from './webgpu-register.js';
export {autotune, useTuning} from './webgpu-tuning.js';

registerWebGpu();
