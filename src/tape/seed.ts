/** The seed of the backward pass: which function S of the outputs is differentiated. */
import * as tf from '@tensorflow/tfjs-core';
import {EngramError} from '../errors.js';
import {describe} from './network.js';

/** dS/dF for a batch: same shape as F [B, ...]. MAS passes 2F. */
export type Seed = (outputs: tf.Tensor) => tf.Tensor;

/** The seed for one output, checked. */
export function seedOf(seed: Seed, outputs: tf.Tensor): tf.Tensor {
  const values: unknown = seed(outputs);
  if (values instanceof tf.Tensor && tf.util.arraysEqual(values.shape, outputs.shape)) return values;
  throw new EngramError('SHAPE', {
    expected: `the seed to have the shape of the outputs, [${outputs.shape}]`,
    received: values instanceof tf.Tensor ? `[${values.shape}]` : describe(values),
    remedy: 'Return dS/dF, one number for every output of every sample.',
  });
}
