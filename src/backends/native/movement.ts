/** Kernels that give every element another place. Floats and 32-bit integers; other types stay with cpu. */
import * as tf from '@tensorflow/tfjs-core';
import {type Call, kernel, type NativeKernel, runCpuKernel, runKernel, sharing} from './tensors.js';
import {areWords, copyAlong, stepsOf, type WalkAxis, walked, wordsOf, wordsResult} from './walk.js';

const {slice_util: slices} = tf;

function transpose(call: Call<'x', {perm: number[]}>): tf.TensorInfo {
  const {inputs, backend, attrs} = call;
  const {x} = inputs;
  if (!areWords(x)) return runCpuKernel('Transpose', call);
  const shape = x.shape.map((_, axis) => x.shape[attrs.perm[axis]]);
  const [from, to] = [stepsOf(x.shape), stepsOf(shape)];
  const axes = shape.map((count, axis) => ({count, from: from[attrs.perm[axis]], to: to[axis]}));
  return walked(backend, x, shape, axes);
}

function slice(call: Call<'x', {begin: number | number[]; size: number | number[]}>): tf.TensorInfo {
  const {inputs, backend, attrs} = call;
  const {x} = inputs;
  if (!areWords(x)) return runCpuKernel('Slice', call);
  const [begin, size] = slices.parseSliceParams(x as tf.Tensor, attrs.begin, attrs.size);
  slices.assertParamsValid(x, begin, size);
  const [from, to] = [stepsOf(x.shape), stepsOf(size)];
  const axes = size.map((count, axis) => ({count, from: from[axis], to: to[axis]}));
  return walked(backend, x, size, axes, slices.computeFlatOffset(begin, from));
}

interface StridedSliceAttributes {
  begin: number[];
  end: number[];
  strides: number[];
  beginMask: number;
  endMask: number;
  ellipsisMask: number;
  newAxisMask: number;
  shrinkAxisMask: number;
}

function stridedSlice(call: Call<'x', StridedSliceAttributes>): tf.TensorInfo {
  const {inputs, backend, attrs} = call;
  const {x} = inputs;
  if (!areWords(x)) return runCpuKernel('StridedSlice', call);
  const {begin, end, strides} = attrs;
  const masks = [attrs.beginMask, attrs.endMask, attrs.ellipsisMask, attrs.newAxisMask, attrs.shrinkAxisMask] as const;
  const info = slices.sliceInfo(x.shape, begin, end, strides, ...masks);
  if (info.isIdentity) return runKernel(backend, 'Reshape', {x}, {shape: info.finalShape});
  if (info.sliceDim0 || info.isSimpleSlice) {
    tf.util.assert(x.shape.length >= 1, () => `Input must have rank at least 1, got: ${x.shape.length}`);
    const size = slices.computeOutShape(info.begin, info.end, info.strides);
    const sliced = runKernel(backend, 'Slice', {x}, {begin: info.begin, size});
    const reshaped = runKernel(backend, 'Reshape', {x: sliced}, {shape: info.finalShape});
    backend.disposeIntermediateTensorInfo(sliced);
    return reshaped;
  }
  // An axis that shrinks is walked too: cpu leaves it out, and takes the steps of the next one for it.
  const counts = slices.computeOutShape(info.begin, info.end, info.strides).map((count) => Math.max(0, count));
  // Masks that contradict each other lead out of the tensor: cpu says where.
  const inside = counts.every((count, i) => {
    const last = info.begin[i] + (count - 1) * info.strides[i];
    return Math.min(info.begin[i], last) >= 0 && Math.max(info.begin[i], last) < x.shape[i];
  });
  if (!inside && tf.util.sizeFromShape(counts) > 0) return runCpuKernel('StridedSlice', call);
  const [from, to] = [stepsOf(x.shape), stepsOf(counts)];
  const axes = counts.map((count, i) => ({count, from: info.strides[i] * from[i], to: to[i]}));
  return walked(backend, x, info.finalShape, axes, slices.computeFlatOffset(info.begin, from));
}

function reverse(call: Call<'x', {dims: number | number[]}>): tf.TensorInfo {
  const {inputs, backend, attrs} = call;
  const {x} = inputs;
  if (!areWords(x)) return runCpuKernel('Reverse', call);
  const dims = new Set(tf.util.parseAxisParam(attrs.dims, x.shape));
  let start = 0;
  const steps = stepsOf(x.shape);
  const axes = x.shape.map((count, axis) => {
    if (!dims.has(axis)) return {count, from: steps[axis], to: steps[axis]};
    start += (count - 1) * steps[axis];
    return {count, from: -steps[axis], to: steps[axis]};
  });
  return walked(backend, x, x.shape, axes, Math.max(0, start));
}

function tile(call: Call<'x', {reps: number[]}>): tf.TensorInfo {
  const {inputs, backend, attrs} = call;
  const {x} = inputs;
  if (!areWords(x)) return runCpuKernel('Tile', call);
  const shape = x.shape.map((count, axis) => count * attrs.reps[axis]);
  const [from, to] = [stepsOf(x.shape), stepsOf(shape)];
  const axes = x.shape.flatMap((count, axis) => [
    {count: attrs.reps[axis], from: 0, to: count * to[axis]},
    {count, from: from[axis], to: to[axis]},
  ]);
  return walked(backend, x, shape, axes);
}

type Paddings = [number, number][];
const padded = (shape: number[], paddings: Paddings) =>
  paddings.map(([before, after], axis) => before + shape[axis] + after);
const arePaddings = (paddings: Paddings) => paddings.flat().every((width) => width >= 0);

function pad(call: Call<'x', {paddings: Paddings; constantValue: number}>): tf.TensorInfo {
  const {inputs, backend, attrs} = call;
  const {x} = inputs;
  const {paddings, constantValue} = attrs;
  if (!areWords(x) || !arePaddings(paddings)) return runCpuKernel('PadV2', call);
  const shape = padded(x.shape, paddings);
  if (tf.util.arraysEqual(shape, x.shape)) return sharing(backend, x, shape);
  const [from, to] = [stepsOf(x.shape), stepsOf(shape)];
  const axes = x.shape.map((count, axis) => ({count, from: from[axis], to: to[axis]}));
  const start = paddings.reduce((sum, [before], axis) => sum + before * to[axis], 0);
  return wordsResult(backend, x.dtype, shape, (words) => {
    copyAlong(backend, axes, wordsOf(backend, x), 0, words.fill(constantValue), start);
  });
}

/** Along one axis: the part before the tensor, which runs backwards, the tensor, and the part behind it, backwards again. */
function mirrored(size: number, [before, after]: [number, number], edge: 0 | 1) {
  return [
    {count: before, step: -1, from: before - edge, to: 0},
    {count: size, step: 1, from: 0, to: before},
    {count: after, step: -1, from: size - 2 + edge, to: before + size},
  ].filter(({count}) => count > 0);
}

function mirrorPad(call: Call<'x', {paddings: Paddings; mode: 'reflect' | 'symmetric'}>): tf.TensorInfo {
  const {inputs, backend, attrs} = call;
  const {x} = inputs;
  const {paddings} = attrs;
  // Whether the element at the edge is there twice.
  const edge = attrs.mode === 'reflect' ? 0 : 1;
  const most = (axis: number) => Math.max(0, x.shape[axis] - 1 + edge);
  const fits = paddings.every((widths, axis) => Math.max(...widths) <= most(axis));
  if (!areWords(x) || !arePaddings(paddings) || !fits) return runCpuKernel('MirrorPad', call);
  const shape = padded(x.shape, paddings);
  if (tf.util.arraysEqual(shape, x.shape)) return sharing(backend, x, shape);
  const [from, to] = [stepsOf(x.shape), stepsOf(shape)];
  const parts = x.shape.map((size, axis) => mirrored(size, paddings[axis], edge));
  return wordsResult(backend, x.dtype, shape, (words) => {
    const source = wordsOf(backend, x);
    const copyParts = (axis: number, axes: WalkAxis[], fromStart: number, toStart: number) => {
      if (axis === parts.length) return copyAlong(backend, axes, source, fromStart, words, toStart);
      for (const part of parts[axis]) {
        const along = {count: part.count, from: part.step * from[axis], to: to[axis]};
        copyParts(axis + 1, [...axes, along], fromStart + part.from * from[axis], toStart + part.to * to[axis]);
      }
    };
    copyParts(0, [], 0, 0);
  });
}

/** Runs kernels one after another; the results in between are disposed of. */
function inTurn(call: Call<'x', object>, steps: [kernelName: string, attrs: object][]): tf.TensorInfo {
  const {inputs, backend} = call;
  let current = inputs.x;
  for (const [kernelName, attrs] of steps) {
    const next = runKernel(backend, kernelName, {x: current}, attrs);
    if (current !== inputs.x) backend.disposeIntermediateTensorInfo(current);
    current = next;
  }
  return current;
}

const {getReshaped, getPermuted, getReshapedPermuted, getSliceBeginCoords, getSliceSize} = tf.backend_util;

function spaceToBatch(call: Call<'x', {blockShape: number[]; paddings: Paddings}>): tf.TensorInfo {
  const {x} = call.inputs;
  if (!areWords(x)) return runCpuKernel('SpaceToBatchND', call);
  const {blockShape, paddings} = call.attrs;
  const blocks = tf.util.sizeFromShape(blockShape);
  const all = x.shape.map((_, axis) => paddings[axis - 1] ?? [0, 0]);
  const shape = padded(x.shape, all);
  const reshaped = getReshaped(shape, blockShape, blocks, false);
  return inTurn(call, [
    ['PadV2', {paddings: all, constantValue: 0}],
    ['Reshape', {shape: reshaped}],
    ['Transpose', {perm: getPermuted(reshaped.length, blockShape.length, false)}],
    ['Reshape', {shape: getReshapedPermuted(shape, blockShape, blocks, false)}],
  ]);
}

function batchToSpace(call: Call<'x', {blockShape: number[]; crops: number[][]}>): tf.TensorInfo {
  const {x} = call.inputs;
  if (!areWords(x)) return runCpuKernel('BatchToSpaceND', call);
  const {blockShape, crops} = call.attrs;
  const blocks = tf.util.sizeFromShape(blockShape);
  const reshaped = getReshaped(x.shape, blockShape, blocks);
  const shape = getReshapedPermuted(x.shape, blockShape, blocks);
  return inTurn(call, [
    ['Reshape', {shape: reshaped}],
    ['Transpose', {perm: getPermuted(reshaped.length, blockShape.length)}],
    ['Reshape', {shape}],
    [
      'Slice',
      {begin: getSliceBeginCoords(crops, blockShape.length), size: getSliceSize(shape, crops, blockShape.length)},
    ],
  ]);
}

function depthToSpace(call: Call<'x', {blockSize: number; dataFormat: string}>): tf.TensorInfo {
  const {x} = call.inputs;
  const {blockSize: block, dataFormat} = call.attrs;
  if (!areWords(x) || dataFormat !== 'NHWC') return runCpuKernel('DepthToSpace', call);
  const [samples, height, width, channels] = x.shape;
  const depth = channels / (block * block);
  return inTurn(call, [
    ['Reshape', {shape: [samples, height, width, block, block, depth]}],
    ['Transpose', {perm: [0, 1, 3, 2, 4, 5]}],
    ['Reshape', {shape: [samples, height * block, width * block, depth]}],
  ]);
}

export const movementKernels: NativeKernel[] = [
  kernel('Transpose', transpose),
  kernel('Slice', slice),
  kernel('StridedSlice', stridedSlice),
  kernel('Reverse', reverse),
  kernel('Tile', tile),
  kernel('PadV2', pad),
  kernel('MirrorPad', mirrorPad),
  kernel('SpaceToBatchND', spaceToBatch),
  kernel('BatchToSpaceND', batchToSpace),
  kernel('DepthToSpace', depthToSpace),
];
