/** Kernels of two inputs with broadcasting, Select and AddN: float32, and booleans for the logical ones. */
import * as tf from '@tensorflow/tfjs-core';
import {broadcastOf} from './broadcast.js';
import {
  areFloat,
  type Backend,
  booleansOf,
  type Call,
  kernel,
  type NativeKernel,
  operate,
  result,
  resultOf,
  runCpuKernel,
  valuesOf,
} from './tensors.js';

type BinaryCall = Call<'a' | 'b', object>;

const operations = {
  Add: 'add',
  Sub: 'sub',
  Multiply: 'multiply',
  RealDiv: 'divide',
  Maximum: 'maximum',
  Minimum: 'minimum',
  Pow: 'pow',
  SquaredDifference: 'squaredDifference',
  Mod: 'mod',
  Atan2: 'atan2',
} as const;

/** op(a, b), or null where the addon has no place for so many axes. */
function combine(op: string, backend: Backend, a: tf.TensorInfo, b: tf.TensorInfo): tf.TensorInfo | null {
  const broadcast = broadcastOf(a.shape, b.shape);
  if (!broadcast) return null;
  const values = [valuesOf(backend, a), valuesOf(backend, b)];
  return result(backend, broadcast.shape, 'binary', {op, ...broadcast.params}, values);
}

function binary(kernelName: string, op: string, call: BinaryCall): tf.TensorInfo {
  const {a, b} = call.inputs;
  return (areFloat(a, b) ? combine(op, call.backend, a, b) : null) ?? runCpuKernel(kernelName, call);
}

function prelu(call: Call<'x' | 'alpha', object>): tf.TensorInfo {
  const {x, alpha} = call.inputs;
  return (areFloat(x, alpha) ? combine('prelu', call.backend, x, alpha) : null) ?? runCpuKernel('Prelu', call);
}

function eluGradient(call: Call<'dy' | 'y', object>): tf.TensorInfo {
  const {dy, y} = call.inputs;
  const sameShape = tf.util.arraysEqual(dy.shape, y.shape);
  return (
    (areFloat(dy, y) && sameShape ? combine('eluGradient', call.backend, dy, y) : null) ?? runCpuKernel('EluGrad', call)
  );
}

function floorDivide(call: BinaryCall): tf.TensorInfo {
  const {inputs, backend} = call;
  const {a, b} = inputs;
  const broadcast = areFloat(a, b) ? broadcastOf(a.shape, b.shape) : null;
  if (!broadcast) return runCpuKernel('FloorDiv', call);
  const values = [valuesOf(backend, a), valuesOf(backend, b)];
  return resultOf('int32', backend, broadcast.shape, 'floor_divide', broadcast.params, values);
}

const comparisons = {
  Equal: 'equal',
  NotEqual: 'notEqual',
  Less: 'less',
  LessEqual: 'lessEqual',
  Greater: 'greater',
  GreaterEqual: 'greaterEqual',
} as const;

function compare(kernelName: string, op: string, call: BinaryCall): tf.TensorInfo {
  const {inputs, backend} = call;
  const {a, b} = inputs;
  const broadcast = areFloat(a, b) ? broadcastOf(a.shape, b.shape) : null;
  if (!broadcast) return runCpuKernel(kernelName, call);
  const values = [valuesOf(backend, a), valuesOf(backend, b)];
  return resultOf('bool', backend, broadcast.shape, 'compare', {op, ...broadcast.params}, values);
}

function logical(kernelName: string, op: string, call: BinaryCall): tf.TensorInfo {
  const {inputs, backend} = call;
  const {a, b} = inputs;
  const broadcast = a.dtype === 'bool' && b.dtype === 'bool' ? broadcastOf(a.shape, b.shape) : null;
  if (!broadcast) return runCpuKernel(kernelName, call);
  const values = [booleansOf(backend, a), booleansOf(backend, b)];
  return resultOf('bool', backend, broadcast.shape, 'logical', {op, ...broadcast.params}, values);
}

/**
 * A condition for every element, or one for all or for each row, as TensorFlow's Select has it. (For those two tfjs' cpu
 * kernel repeats single elements; tf.where makes all shapes the same first.)
 */
function select(call: Call<'condition' | 't' | 'e', object>): tf.TensorInfo {
  const {inputs, backend} = call;
  const {condition, t, e} = inputs;
  const {shape} = condition;
  const leads = shape.length <= 1 || shape.length === t.shape.length;
  const fits = leads && shape.every((count, axis) => count === t.shape[axis]) && tf.util.arraysEqual(t.shape, e.shape);
  if (condition.dtype !== 'bool' || !areFloat(t, e) || !fits) return runCpuKernel('Select', call);
  const columns = tf.util.sizeFromShape(t.shape.slice(shape.length));
  const values = [booleansOf(backend, condition), valuesOf(backend, t), valuesOf(backend, e)];
  return result(backend, t.shape, 'select', {rows: tf.util.sizeFromShape(shape), columns}, values);
}

function addN(call: {inputs: tf.TensorInfo[]; backend: Backend; attrs: object}): tf.TensorInfo {
  const {inputs, backend} = call;
  const {shape} = inputs[0];
  const fits = areFloat(...inputs) && inputs.every((input) => tf.util.arraysEqual(input.shape, shape));
  if (!fits) return runCpuKernel('AddN', call as unknown as Call<string, object>);
  const sum = backend.allocate(shape);
  for (const [i, input] of inputs.entries()) {
    operate(backend, 'accumulate', {size: sum.length, first: i === 0 ? 1 : 0}, [valuesOf(backend, input), sum]);
  }
  return backend.wrap(sum, shape);
}

export const binaryKernels: NativeKernel[] = [
  ...Object.entries(operations).map(([name, op]) => kernel(name, (call: BinaryCall) => binary(name, op, call))),
  ...Object.entries(comparisons).map(([name, op]) => kernel(name, (call: BinaryCall) => compare(name, op, call))),
  kernel('LogicalAnd', (call: BinaryCall) => logical('LogicalAnd', 'conjunction', call)),
  kernel('LogicalOr', (call: BinaryCall) => logical('LogicalOr', 'disjunction', call)),
  kernel('FloorDiv', floorDivide),
  kernel('Prelu', prelu),
  kernel('EluGrad', eluGradient),
  kernel('Select', select),
  kernel('AddN', addN),
];
