/** tfjs' own gradient of filters on WebGPU, taken before engram/webgpu puts another in its place: import this first. */
import '../../dist/backends/webgpu-navigator.js';
import '@tensorflow/tfjs-backend-webgpu';
import * as tf from '@tensorflow/tfjs-core';

export const theirFilterGradient = tf.getKernel('Conv2DBackpropFilter', 'webgpu').kernelFunc;
