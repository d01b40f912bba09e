/** tfjs' own gradients of weights on WebGPU, taken before engram/webgpu puts others in their place: import this first. */
import '../../dist/backends/webgpu-navigator.js';
import '@tensorflow/tfjs-backend-webgpu';
import * as tf from '@tensorflow/tfjs-core';

const own = (name) => tf.getKernel(name, 'webgpu').kernelFunc;
export const theirFilterGradient = own('Conv2DBackpropFilter');
export const theirProduct = own('BatchMatMul');
