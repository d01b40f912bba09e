/** Reductions over any axes: of float32, of booleans for All and Any. */
import * as tf from '@tensorflow/tfjs-core';
import {
  areFloat,
  booleansOf,
  type Call,
  kernel,
  type NativeKernel,
  result,
  resultOf,
  runCpuKernel,
  valuesOf,
} from './tensors.js';

interface Attributes {
  axis?: number | number[];
  /** Max calls its axes so. */
  reductionIndices?: number | number[];
  keepDims?: boolean;
}
type ReductionCall = Call<'x', Attributes>;

interface Layout {
  /** The result's, with or without the reduced axes. */
  shape: number[];
  /** Elements along runs of axes that are kept and reduced in turn. */
  params: Record<string, number>;
}

/** From the innermost axes outwards. */
const runs = ['kept3', 'reduced2', 'kept2', 'reduced1', 'kept1', 'reduced0', 'kept0'];

/** The layout of a reduction; null where an axis is named twice, or where kept and reduced axes change too often. */
function layoutOf(shape: number[], attrs: Attributes): Layout | null {
  const axes = tf.util.parseAxisParam((attrs.reductionIndices ?? attrs.axis) as number | number[], shape);
  const reduced = shape.map(() => false);
  for (const axis of axes) {
    if (reduced[axis]) return null;
    reduced[axis] = true;
  }
  const params: Record<string, number> = {};
  for (const run of runs) params[run] = 1;
  let run = 0;
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    if (shape[axis] === 1) continue;
    if (reduced[axis] !== (run % 2 === 1)) run++;
    if (run === runs.length) return null;
    params[runs[run]] *= shape[axis];
  }
  const kept = shape.map((length, axis) => (reduced[axis] ? 1 : length));
  return {shape: attrs.keepDims ? kept : kept.filter((_, axis) => !reduced[axis]), params};
}

const operations = {Sum: 'sum', Mean: 'mean', Prod: 'product', Max: 'maximum', Min: 'minimum'} as const;

function reduce(kernelName: string, op: string, call: ReductionCall): tf.TensorInfo {
  const {x} = call.inputs;
  const layout = areFloat(x) ? layoutOf(x.shape, call.attrs) : null;
  if (!layout) return runCpuKernel(kernelName, call);
  return result(call.backend, layout.shape, 'reduce', {op, ...layout.params}, [valuesOf(call.backend, x)]);
}

function decide(kernelName: string, op: string, call: ReductionCall): tf.TensorInfo {
  const {x} = call.inputs;
  const layout = x.dtype === 'bool' ? layoutOf(x.shape, call.attrs) : null;
  if (!layout) return runCpuKernel(kernelName, call);
  const values = [booleansOf(call.backend, x)];
  return resultOf('bool', call.backend, layout.shape, 'reduce_booleans', {op, ...layout.params}, values);
}

function argReduce(kernelName: string, op: string, call: ReductionCall): tf.TensorInfo {
  const {inputs, backend, attrs} = call;
  const {shape} = inputs.x;
  const axes = tf.util.parseAxisParam(attrs.axis as number, shape);
  if (!areFloat(inputs.x) || axes.length !== 1) return runCpuKernel(kernelName, call);
  const [axis] = axes;
  const outer = tf.util.sizeFromShape(shape.slice(0, axis));
  const inner = tf.util.sizeFromShape(shape.slice(axis + 1));
  const params = {op, outer, reduced: shape[axis], inner};
  return resultOf('int32', backend, shape.toSpliced(axis, 1), 'arg_reduce', params, [valuesOf(backend, inputs.x)]);
}

export const reductionKernels: NativeKernel[] = [
  ...Object.entries(operations).map(([name, op]) => kernel(name, (call: ReductionCall) => reduce(name, op, call))),
  kernel('All', (call: ReductionCall) => decide('All', 'all', call)),
  kernel('Any', (call: ReductionCall) => decide('Any', 'any', call)),
  kernel('ArgMax', (call: ReductionCall) => argReduce('ArgMax', 'maximum', call)),
  kernel('ArgMin', (call: ReductionCall) => argReduce('ArgMin', 'minimum', call)),
];
