/** What the tape can measure: a tf.LayersModel, or a forward function and its variables in plain tfjs-core code. */
import type * as tf from '@tensorflow/tfjs-core';
import {EngramError} from '../errors.js';

/** One tensor, or several for networks with several inputs or outputs. Axis 0 is the sample. */
export type Tensors = tf.Tensor | tf.Tensor[];

/** A network as the tape sees it. */
export interface Network {
  /** Runs the network in inference mode, synchronously. */
  forward(x: Tensors): Tensors;
  /** The trainable variables. */
  readonly variables: tf.Variable[];
}

/** The part of tf.LayersModel (and tf.Sequential) that the tape uses. */
export interface LayersModelLike {
  apply(inputs: Tensors, kwargs?: {training?: boolean}): unknown;
  readonly trainableWeights: readonly {read(): tf.Tensor}[];
}

/** A tf.LayersModel, or `{forward, variables}` for plain tfjs-core code. */
export type NetworkLike = Network | LayersModelLike;

/**
 * Gives both kinds of network one face.
 *
 * @throws EngramError ARGUMENT when it is neither, or has no trainable variable; DISPOSED when a variable is gone
 */
export function asNetwork(network: NetworkLike): Network {
  const adapted = isLayersModel(network) ? adapt(network) : network;
  if (typeof adapted?.forward !== 'function' || !Array.isArray(adapted.variables)) {
    throw new EngramError('ARGUMENT', {
      expected: 'a tf.LayersModel or {forward, variables}',
      received: describe(network),
      remedy: 'Pass the model itself, or an object with a synchronous forward(x) and an array of tf.Variable.',
    });
  }
  checkVariables(adapted.variables);
  return adapted;
}

/** Refuses anything but one or more live tf.Variables of dtype float32. */
export function checkVariables(variables: readonly tf.Variable[]): void {
  if (variables.length === 0) {
    throw new EngramError('ARGUMENT', {
      expected: 'a network with at least one trainable variable',
      received: 'none',
      remedy: 'Build the model first (give its first layer an inputShape) and leave some layer trainable.',
    });
  }
  for (const variable of variables) {
    if (typeof variable?.assign !== 'function') {
      throw new EngramError('ARGUMENT', {
        expected: 'every variable to be a tf.Variable',
        received: describe(variable),
        remedy: 'Create parameters with tf.variable().',
      });
    }
    if (variable.isDisposed) {
      throw new EngramError('DISPOSED', {
        expected: `variable ${variable.name} in use`,
        received: 'a disposed variable',
        remedy: 'Do not dispose the network while it is being measured.',
      });
    }
    if (variable.dtype !== 'float32') {
      throw new EngramError('DTYPE', {
        expected: `variable ${variable.name} to be float32`,
        received: variable.dtype,
        remedy: 'Leave variables that are not trained out of the list.',
      });
    }
  }
}

function isLayersModel(network: NetworkLike): network is LayersModelLike {
  const model = network as Partial<LayersModelLike> | null | undefined;
  return typeof model?.apply === 'function' && Array.isArray(model.trainableWeights);
}

function adapt(model: LayersModelLike): Network {
  return {
    forward: (x) => model.apply(x, {training: false}) as Tensors,
    // read() of a layer's weight returns the tf.Variable itself, not a copy.
    get variables() {
      return model.trainableWeights.map((weight) => weight.read() as tf.Variable);
    },
  };
}

/** A value in words for error messages. */
export function describe(value: unknown): string {
  if (value === null || value === undefined) return String(value);
  const name = (value as object).constructor?.name;
  return typeof value === 'object' ? `an object of class ${name ?? 'unknown'}` : `a ${typeof value}`;
}
