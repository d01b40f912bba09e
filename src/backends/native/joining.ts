/** Kernels that join tensors or part them along an axis. */
import * as tf from '@tensorflow/tfjs-core';
import {type Backend, type Call, kernel, type NativeKernel, runCpuKernel, runKernel, sharing} from './tensors.js';
import {areWords, copyAlong, wordsOf, wordsResult} from './walk.js';

/** The call of a kernel whose inputs are a list. */
type ListCall = Omit<Call<never, {axis: number}>, 'inputs'> & {inputs: tf.TensorInfo[]};

function concat(call: ListCall): tf.TensorInfo {
  const {inputs, backend, attrs} = call;
  if (!areWords(...inputs)) return runCpuKernel('Concat', call as unknown as Call<string, object>);
  const [axis] = tf.util.parseAxisParam(attrs.axis, inputs[0].shape);
  const shapes = inputs.map(({shape}) => shape);
  tf.backend_util.assertParamsConsistent(shapes, axis);
  const filled = inputs.filter(({shape}) => tf.util.sizeFromShape(shape) > 0);
  if (filled.length === 1) return sharing(backend, filled[0], filled[0].shape);
  const shape = tf.backend_util.computeOutShape(
    (filled.length > 0 ? filled : inputs).map((x) => x.shape),
    axis,
  );
  return wordsResult(backend, inputs[0].dtype, shape, (words) => {
    const rows = tf.util.sizeFromShape(shape.slice(0, axis));
    const row = words.length / rows;
    let at = 0;
    for (const x of filled) {
      const values = wordsOf(backend, x);
      const length = values.length / rows;
      if (rows === 1) {
        words.set(values, at);
      } else {
        const axes = [
          {count: rows, from: length, to: row},
          {count: length, from: 1, to: 1},
        ];
        copyAlong(backend, axes, values, 0, words, at);
      }
      at += length;
    }
  });
}

function pack(call: ListCall): tf.TensorInfo {
  const {inputs, backend, attrs} = call;
  const {shape, dtype} = inputs[0];
  for (const x of inputs) {
    tf.util.assertShapesMatch(shape, x.shape, 'All tensors passed to stack must have matching shapes');
    tf.util.assert(dtype === x.dtype, () => 'All tensors passed to stack must have matching dtypes');
  }
  const expanded = inputs.map((input) => runKernel(backend, 'ExpandDims', {input}, {dim: attrs.axis}));
  const joined = runKernel(backend, 'Concat', expanded as unknown as Record<string, tf.TensorInfo>, attrs);
  for (const x of expanded) backend.disposeIntermediateTensorInfo(x);
  return joined;
}

/** Slices of these sizes along the axis, one after another. */
function split(backend: Backend, x: tf.TensorInfo, axis: number, sizes: number[]): tf.TensorInfo[] {
  const begin = x.shape.map(() => 0);
  return sizes.map((length) => {
    const slice = runKernel(backend, 'Slice', {x}, {begin: [...begin], size: x.shape.with(axis, length)});
    begin[axis] += length;
    return slice;
  });
}

function splitV({inputs, backend, attrs}: Call<'x', {numOrSizeSplits: number | number[]; axis: number}>) {
  const {x} = inputs;
  const [axis] = tf.util.parseAxisParam(attrs.axis, x.shape);
  return split(backend, x, axis, tf.backend_util.prepareSplitSize(x as tf.Tensor, attrs.numOrSizeSplits, axis));
}

function unpack({inputs, backend, attrs}: Call<'value', {axis: number}>): tf.TensorInfo[] {
  const {value} = inputs;
  const axis = attrs.axis < 0 ? attrs.axis + value.shape.length : attrs.axis;
  const shape = value.shape.toSpliced(axis, 1);
  return split(backend, value, axis, new Array<number>(value.shape[axis]).fill(1)).map((slice) => {
    const reshaped = runKernel(backend, 'Reshape', {x: slice}, {shape});
    backend.disposeIntermediateTensorInfo(slice);
    return reshaped;
  });
}

export const joiningKernels: NativeKernel[] = [
  kernel('Concat', concat),
  kernel('Pack', pack),
  kernel('SplitV', splitV),
  kernel('Unpack', unpack),
];
