/** tfjs' own gradients of weights on WebGPU, taken before engram/webgpu puts others in their place: import this first. */
import '../../dist/backends/webgpu-navigator.js';
import '@tensorflow/tfjs-backend-webgpu';
import * as tf from '@tensorflow/tfjs-core';

const own = (name) => tf.getKernel(name, 'webgpu').kernelFunc;

/** Kernel functions by the name of the kernel. */
export const theirGradients = {
  Conv2DBackpropFilter: own('Conv2DBackpropFilter'),
  DepthwiseConv2dNativeBackpropFilter: own('DepthwiseConv2dNativeBackpropFilter'),
  BatchMatMul: own('BatchMatMul'),
};
