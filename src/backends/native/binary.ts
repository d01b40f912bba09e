/** Kernels of two inputs with broadcasting, Select and AddN: float32, and booleans for the logical ones. */
import * as tf from '@tensorflow/tfjs-core';
import {broadcastOf} from './broadcast.js';
import {backendTable} from './table.js';
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
const comparisons = {
  Equal: 'equal',
  NotEqual: 'notEqual',
  Less: 'less',
  LessEqual: 'lessEqual',
  Greater: 'greater',
  GreaterEqual: 'greaterEqual',
} as const;

const {op: binaryOp} = backendTable.binary.params;
const preluOp = binaryOp.values.indexOf('prelu');
const eluGradientOp = binaryOp.values.indexOf('eluGradient');

/** op(a, b) of float32, or null where the addon has no place for so many axes. */
function combine(op: number, backend: Backend, a: tf.TensorInfo, b: tf.TensorInfo): tf.TensorInfo | null {
  const broadcast = areFloat(a, b) ? broadcastOf(a.shape, b.shape, op) : null;
  if (!broadcast) return null;
  return result(backend, broadcast.shape, 'binary', broadcast.params, [valuesOf(backend, a), valuesOf(backend, b)]);
}

function binary(kernelName: string, op: number, call: BinaryCall): tf.TensorInfo {
  const {a, b} = call.inputs;
  return combine(op, call.backend, a, b) ?? runCpuKernel(kernelName, call);
}

function prelu(call: Call<'x' | 'alpha', object>): tf.TensorInfo {
  const {x, alpha} = call.inputs;
  return combine(preluOp, call.backend, x, alpha) ?? runCpuKernel('Prelu', call);
}

function eluGradient(call: Call<'dy' | 'y', object>): tf.TensorInfo {
  const {dy, y} = call.inputs;
  const sameShape = tf.util.arraysEqual(dy.shape, y.shape);
  return (sameShape ? combine(eluGradientOp, call.backend, dy, y) : null) ?? runCpuKernel('EluGrad', call);
}

function floorDivide(call: BinaryCall): tf.TensorInfo {
  const {inputs, backend} = call;
  const {a, b} = inputs;
  const broadcast = areFloat(a, b) ? broadcastOf(a.shape, b.shape) : null;
  if (!broadcast) return runCpuKernel('FloorDiv', call);
  const values = [valuesOf(backend, a), valuesOf(backend, b)];
  return resultOf('int32', backend, broadcast.shape, 'floor_divide', broadcast.params, values);
}

function compare(kernelName: string, op: number, call: BinaryCall): tf.TensorInfo {
  const {inputs, backend} = call;
  const {a, b} = inputs;
  const broadcast = areFloat(a, b) ? broadcastOf(a.shape, b.shape, op) : null;
  if (!broadcast) return runCpuKernel(kernelName, call);
  const values = [valuesOf(backend, a), valuesOf(backend, b)];
  return resultOf('bool', backend, broadcast.shape, 'compare', broadcast.params, values);
}

function logical(kernelName: string, op: number, call: BinaryCall): tf.TensorInfo {
  const {inputs, backend} = call;
  const {a, b} = inputs;
  const broadcast = a.dtype === 'bool' && b.dtype === 'bool' ? broadcastOf(a.shape, b.shape, op) : null;
  if (!broadcast) return runCpuKernel(kernelName, call);
  const values = [booleansOf(backend, a), booleansOf(backend, b)];
  return resultOf('bool', backend, broadcast.shape, 'logical', broadcast.params, values);
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

/** Kernels by name, each with the number of its choice in a row. */
function numbered<C>(
  names: Record<string, string>,
  {values}: {values: readonly string[]},
  run: (kernelName: string, op: number, call: C) => tf.TensorInfo,
): NativeKernel[] {
  return Object.entries(names).map(([name, op]) => {
    const number = values.indexOf(op);
    return kernel(name, (call: C) => run(name, number, call));
  });
}

export const binaryKernels: NativeKernel[] = [
  ...numbered(operations, binaryOp, binary),
  ...numbered(comparisons, backendTable.compare.params.op, compare),
  ...numbered({LogicalAnd: 'conjunction', LogicalOr: 'disjunction'}, backendTable.logical.params.op, logical),
  kernel('FloorDiv', floorDivide),
  kernel('Prelu', prelu),
  kernel('EluGrad', eluGradient),
  kernel('Select', select),
  kernel('AddN', addN),
];
