/** BatchMatMul and _FusedMatMul on the addon. */
import * as tf from '@tensorflow/tfjs-core';
import {
  type Backend,
  type Call,
  type FusedAttributes,
  type FusedInputs,
  finishFused,
  fusedEnd,
  kernel,
  knowsActivation,
  type NativeKernel,
  result,
  runCpuKernel,
  valuesOf,
} from './tensors.js';

type Attributes = {transposeA: boolean; transposeB: boolean} & FusedAttributes;
type MatMulCall = Call<'a' | 'b', Attributes>;

/** Whether a batch, repeated from its start, is the broadcast one: it is, when only leading dimensions are missing. */
function repeats(batch: number[], broadcast: number[]): boolean {
  const own = batch.slice(batch.findIndex((size) => size !== 1));
  return batch.every((size) => size === 1) || own.every((size, i) => size === broadcast.at(i - own.length));
}

/** The matrices of a tensor; copied out to the whole batch where repeating them in order would be wrong. */
function matrices(backend: Backend, tensor: tf.TensorInfo, broadcast: number[]): {values: Float32Array; batch: number} {
  const shape = tensor.shape.slice(0, -2);
  const values = valuesOf(backend, tensor);
  if (repeats(shape, broadcast)) return {values, batch: tf.util.sizeFromShape(shape)};
  const batch = tf.util.sizeFromShape(broadcast);
  const size = values.length / tf.util.sizeFromShape(shape);
  const all = new Float32Array(batch * size);
  for (let i = 0; i < batch; i++) {
    let from = 0;
    let rest = i;
    let step = 1;
    for (let axis = 1; axis <= broadcast.length; axis++) {
      const own = shape.at(-axis) ?? 1;
      if (own !== 1) from += (rest % own) * step;
      rest = Math.floor(rest / broadcast[broadcast.length - axis]);
      step *= own;
    }
    all.set(values.subarray(from * size, (from + 1) * size), i * size);
  }
  return {values: all, batch};
}

function matMul(kernelName: string, call: MatMulCall): tf.TensorInfo {
  const {inputs, backend, attrs} = call;
  const {a, b} = inputs;
  const fused = inputs as FusedInputs;
  if (a.dtype !== 'float32' || b.dtype !== 'float32' || !knowsActivation(attrs.activation)) {
    return runCpuKernel(kernelName, call);
  }
  const [depth, rows] = attrs.transposeA ? a.shape.slice(-2) : a.shape.slice(-2).reverse();
  const [columns, depthB] = attrs.transposeB ? b.shape.slice(-2) : b.shape.slice(-2).reverse();
  tf.util.assert(
    depth === depthB,
    () =>
      `Error in matMul: inner shapes (${depth}) and (${depthB}) of Tensors with shapes ${a.shape} and ${b.shape} and ` +
      `transposeA=${attrs.transposeA} and transposeB=${attrs.transposeB} must match.`,
  );
  const broadcast = tf.broadcast_util.assertAndGetBroadcastShape(a.shape.slice(0, -2), b.shape.slice(0, -2));
  const left = matrices(backend, a, broadcast);
  const right = matrices(backend, b, broadcast);
  const batch = tf.util.sizeFromShape(broadcast);
  const end = fusedEnd(backend, columns, fused, attrs);
  const sizes = {
    batch,
    batchA: left.batch,
    batchB: right.batch,
    rows,
    depth,
    columns,
    transposeA: attrs.transposeA ? 1 : 0,
    transposeB: attrs.transposeB ? 1 : 0,
  };
  const buffers = [left.values, right.values, end.bias];
  const output = result(backend, [...broadcast, rows, columns], 'matmul', [sizes, end.params], buffers);
  return finishFused(backend, output, end, fused, attrs);
}

export const matrixKernels: NativeKernel[] = ['BatchMatMul', '_FusedMatMul'].map((kernelName) =>
  kernel(kernelName, (call: MatMulCall) => matMul(kernelName, call)),
);
