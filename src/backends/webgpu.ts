/**
 * `engram/webgpu` in Node: after this import `await tf.setBackend('webgpu')` works, on Dawn.
 *
 * A process that used it ends by itself; `tf.removeBackend('webgpu')` frees the device before that.
 */
import './webgpu-navigator.js'; // first: the next import looks for navigator.gpu while it is loaded
import {registerWebGpu} from './webgpu-register.js';

export {requestAdapter, requestDevice} from './webgpu-register.js';

registerWebGpu();
