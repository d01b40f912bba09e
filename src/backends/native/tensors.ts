/** What the native backend's kernels share: the live arrays of tensors, calls of the addon, and the ends of fused kernels. */
import * as tf from '@tensorflow/tfjs-core';
import {type ParamParts, packerOf, packParams} from '../../kernels/check.js';
import type {HostInput} from '../../kernels/engine.js';
import {callAddon} from '../../kernels/native.js';
import {type KernelName, kernelNames} from '../../kernels/table.js';
import type {NativeBackend} from './backend.js';
import {backendTable, type Operation, operationNames} from './table.js';
import {noteJavaScript} from './trace.js';

/** The backend as its kernels see it. */
export type Backend = NativeBackend;

/** A kernel's arguments with the inputs and attributes it names. */
export interface Call<Inputs extends string, Attributes> {
  inputs: {[I in Inputs]: tf.TensorInfo};
  backend: Backend;
  attrs: Attributes;
}

export interface NativeKernel {
  kernelName: string;
  kernelFunc: tf.KernelFunc;
}

/** A kernel for tfjs' registry, whose types say less than its kernels do. */
export const kernel = <C>(kernelName: string, run: (call: C) => tf.TensorInfo | tf.TensorInfo[]): NativeKernel => ({
  kernelName,
  kernelFunc: (call) => run(call as unknown as C),
});

export const noValues = new Float32Array(0);

/** The live array of a float32 tensor: read it, never write it. */
export function valuesOf(backend: Backend, tensor: tf.TensorInfo): Float32Array {
  const values = backend.data.get(tensor.dataId).values as Float32Array | number[];
  return values instanceof Float32Array ? values : Float32Array.from(values);
}

/** The live array of a boolean tensor. */
export function booleansOf(backend: Backend, tensor: tf.TensorInfo): Uint8Array {
  const values = backend.data.get(tensor.dataId).values as Uint8Array | ArrayLike<number>;
  return values instanceof Uint8Array ? values : Uint8Array.from(values);
}

/** Whether all tensors hold float32. */
export const areFloat = (...tensors: tf.TensorInfo[]): boolean => tensors.every(({dtype}) => dtype === 'float32');

/** Another tensor on the same memory, which counts its tensors. */
export function sharing(backend: Backend, {dataId, dtype}: tf.TensorInfo, shape: number[]): tf.TensorInfo {
  backend.incRef(dataId);
  return {dataId, shape, dtype};
}

/** Runs another kernel of this backend. */
export function runKernel(
  backend: Backend,
  kernelName: string,
  inputs: Record<string, tf.TensorInfo>,
  attrs = {},
): tf.TensorInfo {
  const kernel = tf.getKernel(kernelName, 'native') as tf.KernelConfig;
  return kernel.kernelFunc({inputs, backend, attrs}) as tf.TensorInfo;
}

/** The cpu backend's own kernel, for what the addon does not do. */
export function runCpuKernel(kernelName: string, {inputs, backend, attrs}: Call<string, object>): tf.TensorInfo {
  const kernel = tf.getKernel(kernelName, 'cpu') as tf.KernelConfig;
  return borrowed(kernelName, kernel.kernelFunc)({inputs, backend, attrs: {...attrs}}) as tf.TensorInfo;
}

/** A kernel of the cpu backend, which may keep views of its inputs. */
export function borrowed(kernelName: string, kernel: tf.KernelFunc): tf.KernelFunc {
  return (call) => {
    noteJavaScript(kernelName, call.inputs);
    (call.backend as Backend).show(Object.values(call.inputs).flat() as tf.TensorInfo[]);
    return kernel(call);
  };
}

/** What operations of the addon work on: numbers, and booleans as bytes. */
export type OperationInput = HostInput | Uint8Array;

/** Parameters by name, in one object or in several, or packed in the row's order already. */
export type OperationParams = ParamParts | ParamParts[0] | Float64Array;

/** Runs an operation of the addon. The last buffer is its result. */
export function operate(
  backend: Backend,
  operation: Operation,
  params: OperationParams,
  buffers: OperationInput[],
): void {
  const packed =
    params instanceof Float64Array ? params : packers[operation](Array.isArray(params) ? params : [params]);
  callAddon(() => backend.addon.operate(operationNames.indexOf(operation), packed, buffers));
}

/** A float32 result of an operation that writes all of it. */
export function result(
  backend: Backend,
  shape: number[],
  operation: Operation,
  params: OperationParams,
  inputs: OperationInput[],
): tf.TensorInfo {
  const values = backend.allocate(shape);
  operate(backend, operation, params, [...inputs, values]);
  return backend.wrap(values, shape);
}

/** A boolean or integer result of an operation that writes all of it. */
export function resultOf(
  dtype: 'bool' | 'int32',
  backend: Backend,
  shape: number[],
  operation: Operation,
  params: OperationParams,
  inputs: OperationInput[],
): tf.TensorInfo {
  const length = tf.util.sizeFromShape(shape);
  const values = dtype === 'bool' ? new Uint8Array(length) : new Int32Array(length);
  operate(backend, operation, params, [...inputs, values]);
  return backend.makeTensorInfo(shape, dtype, values);
}

/** A float32 result of a kernel of the table that adds to what is there: here to zeros. */
export function moment(
  backend: Backend,
  shape: number[],
  kernel: KernelName,
  params: ParamParts,
  inputs: HostInput[],
): tf.TensorInfo {
  const values = backend.allocate(shape).fill(0);
  const packed = packParams(kernel, ...params);
  callAddon(() => backend.addon.run(kernelNames.indexOf(kernel), packed, [...inputs, values]));
  return backend.wrap(values, shape);
}

const packers = Object.fromEntries(
  operationNames.map((operation) => [operation, packerOf(backendTable[operation])]),
) as Record<Operation, ReturnType<typeof packerOf>>;

/** What follows the product in tfjs' fused kernels. */
export interface FusedAttributes {
  activation?: string | null;
  leakyreluAlpha?: number;
}
export interface FusedInputs {
  bias?: tf.TensorInfo | undefined;
  preluActivationWeights?: tf.TensorInfo | undefined;
}

/** The part of a fused end that the addon applies itself: its parameters, and the bias. */
export interface FusedEnd {
  params: {activation: string; alpha: number; biased: 0 | 1};
  bias: Float32Array;
}

const inAddon = new Set<string>(backendTable.matmul.params.activation.values);
const activationKernels: Record<string, string> = {
  relu: 'Relu',
  relu6: 'Relu6',
  leakyrelu: 'LeakyRelu',
  elu: 'Elu',
  prelu: 'Prelu',
  sigmoid: 'Sigmoid',
};

/** Whether {@link finishFused} knows how to end this call. */
export function knowsActivation(activation: string | null | undefined): boolean {
  return !activation || activation === 'linear' || activation in activationKernels;
}

/** Splits a fused end: a bias of one value per channel and simple activations go to the addon. */
export function fusedEnd(
  backend: Backend,
  channels: number,
  {bias}: FusedInputs,
  {activation, leakyreluAlpha}: FusedAttributes,
): FusedEnd {
  const perChannel =
    bias?.dtype === 'float32' && bias.shape.at(-1) === channels && tf.util.sizeFromShape(bias.shape) === channels;
  const own = (!bias || perChannel) && (!activation || inAddon.has(activation));
  return {
    params: {
      activation: own && activation ? activation : 'linear',
      alpha: leakyreluAlpha ?? 0,
      biased: perChannel ? 1 : 0,
    },
    bias: bias && perChannel ? valuesOf(backend, bias) : noValues,
  };
}

/** Does with kernels of their own what the addon left of a fused end. */
export function finishFused(
  backend: Backend,
  result: tf.TensorInfo,
  done: FusedEnd,
  {bias, preluActivationWeights}: FusedInputs,
  {activation, leakyreluAlpha}: FusedAttributes,
): tf.TensorInfo {
  let current = result;
  const then = (kernel: string, inputs: Record<string, tf.TensorInfo>, attrs = {}) => {
    const next = runKernel(backend, kernel, inputs, attrs);
    backend.disposeIntermediateTensorInfo(current);
    current = next;
  };
  if (bias && !done.params.biased) then('Add', {a: current, b: bias});
  if (activation === 'prelu' && preluActivationWeights && preluInPlace(backend, current, preluActivationWeights)) {
    return current;
  }
  if (activation && activation !== 'linear' && activation !== done.params.activation) {
    const weights = activation === 'prelu' && preluActivationWeights ? {alpha: preluActivationWeights} : {};
    then(activationKernels[activation], {x: current, ...weights}, {alpha: leakyreluAlpha});
  }
  return current;
}

/** PReLU on a result that nobody has seen yet; false where the slopes are neither one row of channels nor as many. */
function preluInPlace(backend: Backend, result: tf.TensorInfo, slopes: tf.TensorInfo): boolean {
  const columns = result.shape.at(-1) ?? 1;
  const size = tf.util.sizeFromShape(result.shape);
  const slopeSize = tf.util.sizeFromShape(slopes.shape);
  const perChannel = slopeSize === columns && slopes.shape.at(-1) === columns;
  const fits = perChannel || tf.util.arraysEqual(slopes.shape, result.shape);
  if (size === 0 || !fits || slopes.dtype !== 'float32' || slopes.shape.length > result.shape.length) return false;
  const params = {rows: size / columns, columns, slopeRows: slopeSize / columns};
  operate(backend, 'prelu_rows', params, [valuesOf(backend, slopes), valuesOf(backend, result)]);
  return true;
}
