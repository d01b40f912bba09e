/** The seed of the backward pass: which functions of the outputs are differentiated. */
import * as tf from '@tensorflow/tfjs-core';
import {EngramError} from '../errors.js';
import {describe} from './network.js';
import {contained, keepClone} from './tfjs.js';

/**
 * dS/dF for a batch: same shape as F [B, ...]. MAS passes 2F.
 *
 * A generator stands for several functions, each measured by itself: phi is taken of the gradient of every one. With one
 * tensor for each of several outputs, S is the sum over the outputs; a function of a generator is of its output alone.
 * Between two of its steps a generator owns nothing but what it keeps by tf.keep().
 */
export type Seed = (outputs: tf.Tensor) => tf.Tensor | Iterable<tf.Tensor>;

/**
 * The seeds of all outputs for one function after the other, at least one. Every tensor is out of every scope, and the
 * caller's to dispose; the outputs must live until the end.
 *
 * @throws EngramError SHAPE for seeds of another shape than their output's, ARGUMENT where there is none
 */
export function* seedsOf(seed: Seed, outputs: readonly tf.Tensor[]): Generator<tf.Tensor[], undefined> {
  let functions = 0;
  const {joint, apart} = contained(() => begin(seed, outputs));
  if (joint) {
    functions++;
    yield joint;
  }
  for (const [output, steps] of apart) {
    try {
      for (;;) {
        const seeds = contained(() => {
          const {value, done} = steps.next();
          if (done) return undefined;
          const own = checked(value, outputs[output]);
          return outputs.map((F, i) => keepClone(i === output ? own : tf.zerosLike(F)));
        });
        if (!seeds) break;
        functions++;
        yield seeds;
      }
    } finally {
      steps.return?.();
    }
  }
  if (functions > 0) return;
  throw new EngramError('ARGUMENT', {
    expected: 'at least one function of the outputs',
    received: 'a seed that yields none',
    remedy: 'Yield dS/dF once for every function S.',
  });
}

/** The function that all plain seeds are of together, and the generators by the index of their output. */
function begin(seed: Seed, outputs: readonly tf.Tensor[]) {
  const apart: [output: number, steps: Iterator<tf.Tensor>][] = [];
  const values = outputs.map((F, i) => {
    const given: unknown = seed(F);
    if (!isIterable(given)) return checked(given, F);
    apart.push([i, given[Symbol.iterator]()]);
    return undefined;
  });
  if (apart.length === outputs.length) return {apart};
  return {joint: values.map((value, i) => keepClone(value ?? tf.zerosLike(outputs[i]))), apart};
}

function isIterable(given: unknown): given is Iterable<tf.Tensor> {
  return typeof (given as Iterable<tf.Tensor> | undefined)?.[Symbol.iterator] === 'function';
}

function checked(values: unknown, outputs: tf.Tensor): tf.Tensor {
  if (values instanceof tf.Tensor && tf.util.arraysEqual(values.shape, outputs.shape)) return values;
  throw new EngramError('SHAPE', {
    expected: `the seed to have the shape of the outputs, [${outputs.shape}]`,
    received: values instanceof tf.Tensor ? `[${values.shape}]` : describe(values),
    remedy: 'Return dS/dF, one number for every output of every sample.',
  });
}
