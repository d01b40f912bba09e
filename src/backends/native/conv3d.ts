/** Convolution of NDHWC volumes and its gradients. */
import * as tf from '@tensorflow/tfjs-core';
import {depthOf, planeOf} from '../windows.js';
import {type Call, kernel, moment, type NativeKernel, result, runCpuKernel, runKernel, valuesOf} from './tensors.js';

type Shape5 = [number, number, number, number, number];

interface Attributes {
  strides: [number, number, number] | number;
  pad: 'valid' | 'same' | number;
  dilations?: [number, number, number] | number;
}

/** The geometry, or null for what the addon does not do. */
function geometryOf(x: number[], filter: number[], attrs: Attributes, tensors: tf.TensorInfo[]) {
  if (tensors.some(({dtype}) => dtype !== 'float32')) return null;
  const {strides, pad, dilations = 1} = attrs;
  // The types of tfjs allow no padding in numbers here; its code and its operations do.
  const info = tf.backend_util.computeConv3DInfo(x as Shape5, filter as Shape5, strides, dilations, pad as 'same');
  if (Math.min(info.outDepth, info.outHeight, info.outWidth) < 0 || info.inChannels !== filter[3]) return null;
  const plane = {...planeOf(info), inChannels: info.inChannels, outChannels: info.outChannels};
  return {outShape: info.outShape, plane, depth: depthOf(info)};
}

function convolve(call: Call<'x' | 'filter', Attributes>): tf.TensorInfo {
  const {inputs, backend, attrs} = call;
  const {x, filter} = inputs;
  const geometry = geometryOf(x.shape, filter.shape, attrs, [x, filter]);
  if (!geometry) return runCpuKernel('Conv3D', call);
  const {outShape, plane, depth} = geometry;
  return result(backend, outShape, 'conv3d', [plane, depth], [valuesOf(backend, x), valuesOf(backend, filter)]);
}

function inputGradient(call: Call<'dy' | 'filter', Attributes & {inputShape: number[]}>): tf.TensorInfo {
  const {inputs, backend, attrs} = call;
  const {dy, filter} = inputs;
  const geometry = geometryOf(attrs.inputShape, filter.shape, {...attrs, dilations: 1}, [dy, filter]);
  // cpu lets deltas of another size than the geometry's pass, and reads beyond or short of them.
  if (!geometry || !tf.util.arraysEqual(geometry.outShape, dy.shape))
    return runCpuKernel('Conv3DBackpropInputV2', call);
  const buffers = [valuesOf(backend, dy), valuesOf(backend, filter)];
  return result(backend, attrs.inputShape, 'conv3d_input', [geometry.plane, geometry.depth], buffers);
}

function filterGradient(call: Call<'x' | 'dy', Attributes & {filterShape: number[]}>): tf.TensorInfo {
  const {inputs, backend, attrs} = call;
  const {x, dy} = inputs;
  const geometry = geometryOf(x.shape, attrs.filterShape, {...attrs, dilations: 1}, [x, dy]);
  if (!geometry || !tf.util.arraysEqual(geometry.outShape, dy.shape))
    return runCpuKernel('Conv3DBackpropFilterV2', call);
  const {plane, depth} = geometry;
  // Pixels that padding of less than none passes over are cut off: the kernel of the table pads with none at least.
  const cut = [depth.padFront, plane.padTop, plane.padLeft].map((pad) => Math.max(-pad, 0));
  const begin = [0, ...cut, 0];
  const size = x.shape.map((length, axis) => length - begin[axis]);
  const met = runKernel(backend, 'Slice', {x}, {begin, size});
  const own = {
    phi: 'identity',
    uses: 1,
    fanOut: plane.outChannels,
    inDepth: size[1],
    inHeight: size[2],
    inWidth: size[3],
    padFront: depth.padFront + cut[0],
    padTop: plane.padTop + cut[1],
    padLeft: plane.padLeft + cut[2],
  };
  const buffers = [valuesOf(backend, met), valuesOf(backend, dy)];
  const gradient = moment(backend, attrs.filterShape, 'grad_moment', [own, plane, depth], buffers);
  backend.disposeIntermediateTensorInfo(met);
  return gradient;
}

export const volumeKernels: NativeKernel[] = [
  kernel('Conv3D', convolve),
  kernel('Conv3DBackpropInputV2', inputGradient),
  kernel('Conv3DBackpropFilterV2', filterGradient),
];
