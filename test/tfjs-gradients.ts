/** tfjs' own gradients of weights on WebGPU, taken before engram/webgpu puts its own in their place: import it first. */
import '../dist/backends/webgpu-navigator.js';
import '@tensorflow/tfjs-backend-webgpu';
import * as tf from '@tensorflow/tfjs-core';

const names = ['Conv2DBackpropFilter', 'DepthwiseConv2dNativeBackpropFilter', 'BatchMatMul'] as const;
export type GradientName = (typeof names)[number];

export const theirGradients = Object.fromEntries(
  names.map((name) => [name, tf.getKernel(name, 'webgpu').kernelFunc]),
) as Record<GradientName, tf.KernelFunc>;
