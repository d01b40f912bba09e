/** Kernels that pick rows by number, write them by number, or sum them by number. */
import * as tf from '@tensorflow/tfjs-core';
import {
  type Backend,
  type Call,
  kernel,
  moment,
  type NativeKernel,
  operate,
  runCpuKernel,
  valuesOf,
} from './tensors.js';
import {areWords, wordsOf, wordsResult} from './walk.js';

/** The numbers in a tensor of them. */
const idsOf = (backend: Backend, tensor: tf.TensorInfo): Int32Array => wordsOf(backend, tensor) as Int32Array;

function gatherV2(call: Call<'x' | 'indices', {axis: number; batchDims?: number}>): tf.TensorInfo {
  const {inputs, backend, attrs} = call;
  const {x, indices} = inputs;
  if (!areWords(x) || indices.dtype !== 'int32') return runCpuKernel('GatherV2', call);
  const [axis] = tf.util.parseAxisParam(attrs.axis, x.shape);
  const ids = idsOf(backend, indices);
  const most = x.shape[axis] - 1;
  const beyond = ids.findIndex((id) => id < 0 || id > most);
  tf.util.assert(beyond < 0, () => `GatherV2: the index value ${ids[beyond]} is not in [0, ${most}]`);
  const info = tf.backend_util.segment_util.collectGatherOpShapeInfo(
    x as tf.Tensor,
    indices as tf.Tensor,
    axis,
    attrs.batchDims ?? 0,
  );
  const params = {
    batches: info.batchSize,
    outer: info.outerSize,
    rows: info.dimSize,
    picks: info.batchSize === 0 ? 0 : ids.length / info.batchSize,
    length: info.sliceSize,
  };
  return wordsResult(backend, x.dtype, info.outputShape, (words) => {
    operate(backend, 'gather_rows', params, [wordsOf(backend, x), ids, words]);
  });
}

/** The number of the row that each index of `rank` axes means. */
function flatIds(ids: Int32Array, rank: number, steps: number[], count: number, rows: number, shape: number[]) {
  const flat = new Int32Array(count);
  for (let i = 0; i < count; i++) {
    let row = 0;
    for (let j = 0; j < rank; j++) row += ids[i * rank + j] * steps[j];
    if (row < 0 || row >= rows) {
      throw new Error(`Invalid indices: ${ids.subarray(i * rank, (i + 1) * rank)} does not index into ${shape}`);
    }
    flat[i] = row;
  }
  return flat;
}

function gatherNd(call: Call<'params' | 'indices', object>): tf.TensorInfo {
  const {inputs, backend} = call;
  const {params, indices} = inputs;
  if (!areWords(params) || indices.dtype !== 'int32') return runCpuKernel('GatherNd', call);
  const [shape, picks, length, steps] = tf.backend_util.prepareAndValidate(params as tf.Tensor, indices as tf.Tensor);
  const rows = length === 0 ? 0 : tf.util.sizeFromShape(params.shape) / length;
  return wordsResult(backend, params.dtype, shape, (words) => {
    if (words.length === 0) return;
    const ids = flatIds(idsOf(backend, indices), indices.shape.at(-1)!, steps, picks, rows, params.shape);
    const sizes = {batches: 1, outer: 1, rows, picks, length};
    operate(backend, 'gather_rows', sizes, [wordsOf(backend, params), ids, words]);
  });
}

function segmentSum(call: Call<'x' | 'segmentIds', {numSegments: number}>): tf.TensorInfo {
  const {inputs, backend, attrs} = call;
  const {x, segmentIds} = inputs;
  const [positions, ...rest] = x.shape;
  // cpu's result without segments has no shape, and it sums along the first axis whatever the ids have.
  const lists = segmentIds.dtype === 'int32' && segmentIds.shape.length === 1 && segmentIds.shape[0] === positions;
  if (x.dtype !== 'float32' || !lists || attrs.numSegments === 0) return runCpuKernel('UnsortedSegmentSum', call);
  const fanOut = tf.util.sizeFromShape(rest);
  const params = {phi: 'identity', samples: 1, positions, rows: attrs.numSegments, fanOut} as const;
  const buffers = [idsOf(backend, segmentIds), valuesOf(backend, x)];
  return moment(backend, [attrs.numSegments, ...rest], 'grad_moment_gather', [params], buffers);
}

/** Where updates go: rows of the whole; null where the addon does not do it. */
function scattering(backend: Backend, updates: tf.TensorInfo, indices: tf.TensorInfo, shape: number[]) {
  if (!areWords(updates) || indices.dtype !== 'int32') return null;
  const places = tf.backend_util.calculateShapes(updates as tf.Tensor, indices as tf.Tensor, shape);
  const {sliceRank, numUpdates: picks, sliceSize: length, strides, outputSize} = places;
  if (outputSize === 0 || tf.util.sizeFromShape(updates.shape) !== picks * length) return null;
  const rows = outputSize / length;
  return {rows, picks, length, ids: flatIds(idsOf(backend, indices), sliceRank, strides, picks, rows, shape)};
}

function scatterNd(call: Call<'indices' | 'updates', {shape: number[]}>): tf.TensorInfo {
  const {inputs, backend, attrs} = call;
  const {indices, updates} = inputs;
  const places = updates.dtype === 'float32' ? scattering(backend, updates, indices, attrs.shape) : null;
  if (!places) return runCpuKernel('ScatterNd', call);
  const {rows, picks, length, ids} = places;
  const params = {phi: 'identity', samples: 1, positions: picks, rows, fanOut: length} as const;
  return moment(backend, attrs.shape, 'grad_moment_gather', [params], [ids, valuesOf(backend, updates)]);
}

/** cpu writes into the tensor itself; here it stays as it is. */
function scatterUpdate(call: Call<'tensor' | 'indices' | 'updates', object>): tf.TensorInfo {
  const {inputs, backend} = call;
  const {tensor, indices, updates} = inputs;
  const places = areWords(tensor, updates) ? scattering(backend, updates, indices, tensor.shape) : null;
  if (!places) return runCpuKernel('TensorScatterUpdate', call);
  const {ids, ...sizes} = places;
  return wordsResult(backend, tensor.dtype, tensor.shape, (words) => {
    words.set(wordsOf(backend, tensor));
    operate(backend, 'scatter_rows', sizes, [ids, wordsOf(backend, updates), words]);
  });
}

interface OneHotAttributes {
  dtype: tf.DataType;
  depth: number;
  onValue: number;
  offValue: number;
}

function oneHot(call: Call<'indices', OneHotAttributes>): tf.TensorInfo {
  const {inputs, backend, attrs} = call;
  const {dtype, depth, onValue, offValue} = attrs;
  if (dtype !== 'float32' || inputs.indices.dtype !== 'int32') return runCpuKernel('OneHot', call);
  const shape = [...inputs.indices.shape, depth];
  const values = backend.allocate(shape).fill(offValue);
  idsOf(backend, inputs.indices).forEach((id, i) => {
    if (id >= 0 && id < depth) values[i * depth + id] = onValue;
  });
  return backend.wrap(values, shape);
}

export const gatheringKernels: NativeKernel[] = [
  kernel('GatherV2', gatherV2),
  kernel('GatherNd', gatherNd),
  kernel('UnsortedSegmentSum', segmentSum),
  kernel('ScatterNd', scatterNd),
  kernel('TensorScatterUpdate', scatterUpdate),
  kernel('OneHot', oneHot),
];
