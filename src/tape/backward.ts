/** Going back through a node of the tape: TensorFlow.js' own gradient functions, and gradients on their way. */
import * as tf from '@tensorflow/tfjs-core';
import {disposeAll, type TapeNode} from './tfjs.js';

/** Gradients on their way, by tensor id; several consumers of a tensor add up. */
export class Gradients {
  private readonly pending = new Map<number, tf.Tensor>();

  /** Takes ownership of `dx`. */
  add(id: number, dx: tf.Tensor): void {
    const before = this.pending.get(id);
    this.pending.set(id, before ? tf.add(before, dx) : dx);
    if (before) disposeAll([before, dx]);
  }

  take(id: number): tf.Tensor | null {
    const dy = this.pending.get(id) ?? null;
    this.pending.delete(id);
    return dy;
  }
}

/** The gradient functions of a node's inputs, given the gradients of its outputs (null where there is none). */
export function gradientFunctions(node: TapeNode, dys: (tf.Tensor | null)[]): Record<string, () => tf.Tensor> {
  if (node.gradient) return node.gradient(dys);
  throw new Error(`Cannot compute gradient: gradient function not found for ${node.kernelName}.`);
}

/** One of them. */
export function gradientFunction(
  functions: Record<string, () => tf.Tensor>,
  name: string,
  node: TapeNode,
): () => tf.Tensor {
  if (functions[name]) return functions[name];
  throw new Error(`Cannot backprop through input ${name} of ${node.kernelName}.`);
}

/** The gradient as a tensor that nobody else holds: a gradient function may return its own dy, or some constant. */
export function ownGradient(dx: tf.Tensor, name: string, node: TapeNode): tf.Tensor {
  if (dx.dtype === 'float32') return tf.clone(dx);
  throw new Error(`The gradient of input ${name} of ${node.kernelName} is ${dx.dtype}, not float32.`);
}

/** The inputs that `wanted` says, by the names under which the gradient functions know them. */
export function namedInputs(node: TapeNode, wanted: (id: number) => boolean): [name: string, input: tf.Tensor][] {
  return Object.entries(node.inputs).filter(
    (entry): entry is [string, tf.Tensor] => entry[1] != null && wanted(entry[1].id),
  );
}

/**
 * dy of a Tile, reshaped so that its sum over `axis` is the gradient of the input. TensorFlow.js itself adds up one
 * slice a repetition, and knows no more than four axes.
 */
export function splitRepetitions(dy: tf.Tensor, inputShape: readonly number[]): {x: tf.Tensor; axis: number[]} {
  const shape: number[] = [];
  const axis: number[] = [];
  // Neighbours of one kind become one axis: GPU backends transpose no more than six.
  const add = (length: number, summed: boolean) => {
    if (length === 1) return;
    const last = shape.length - 1;
    if (last >= 0 && axis.includes(last) === summed) shape[last] *= length;
    else if (shape.push(length) && summed) axis.push(last + 1);
  };
  inputShape.forEach((length, i) => {
    add(dy.shape[i] / length, true);
    add(length, false);
  });
  return {x: tf.reshape(dy, shape), axis};
}
