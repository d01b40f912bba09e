/** Tensors on their way into the state of a method, and out of it. */
import * as tf from '@tensorflow/tfjs-core';
import {EngramError} from '../errors.js';
import type {MethodState} from './method.js';

/** Reads tensors for the state of a method, as `prefix.NAME`. */
export async function storedTensors(
  prefix: string,
  tensors: ReadonlyMap<string, tf.Tensor>,
): Promise<Map<string, {shape: number[]; values: Float32Array}>> {
  const read = async ([name, tensor]: [string, tf.Tensor]) =>
    [`${prefix}.${name}`, {shape: tensor.shape, values: (await tensor.data()) as Float32Array}] as const;
  return new Map(await Promise.all([...tensors].map(read)));
}

/**
 * The tensors that {@link storedTensors} read, kept and owned by the caller.
 *
 * @throws EngramError DATA_FILE if one of them is not in the state
 */
export function restoredTensors(
  prefix: string,
  names: readonly string[],
  {tensors}: MethodState,
): Map<string, tf.Tensor> {
  const stored = names.map((name) => {
    const found = tensors.get(`${prefix}.${name}`);
    if (!found) throw missing(`${prefix}.${name}`); // before any tensor is made
    return [name, found] as const;
  });
  return new Map(
    stored.map(([name, {shape, values}]) => [name, tf.keep(tf.tensor(values, [...shape], 'float32'))] as const),
  );
}

/** A state that lacks what it should have. */
export function missing(name: string): EngramError {
  return new EngramError('DATA_FILE', {
    expected: `"${name}" in the state of the method`,
    received: 'a state without it',
    remedy: 'Restore the state of the same method with the same settings and network.',
  });
}
