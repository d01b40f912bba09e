/** `engram/webgpu` in a browser, where `navigator.gpu` is already there. */
import {registerWebGpu} from './webgpu-register.js';

export {requestAdapter, requestDevice} from './webgpu-register.js';

registerWebGpu();
