/** The penalty as a differentiable loss term, for training loops of one's own. */
import * as tf from '@tensorflow/tfjs-core';
import {tensorEngine} from '../kernels/tensors.js';
import type {Memory} from '../memory/memory.js';

interface Held {
  importance: tf.Tensor;
  anchor: tf.Tensor;
}

/** 2 lambda Omega (theta - theta*), the gradient of the penalty. */
export function penaltyGradient(theta: tf.Tensor, held: Held, lambda: number): tf.Tensor {
  return tf.tidy(() => tf.mul(tf.mul(held.importance, 2 * lambda), tf.sub(theta, held.anchor)));
}

/**
 * lambda * sum Omega (theta - theta*)^2 over all variables that the memory holds (MAS paper, equation 4).
 *
 * @returns a scalar that `tf.variableGrads` differentiates; 0 before the first task is consolidated
 */
export function penalty(memory: Memory, variables: readonly tf.Variable[], lambda: number): tf.Scalar {
  return tf.tidy(() => {
    const terms: tf.Tensor[] = [];
    for (const variable of variables) {
      const held = memory.get(variable.name);
      if (held) terms.push(penaltyTerm(variable, held, lambda));
    }
    return terms.length === 0 ? tf.scalar(0) : (tf.addN(terms) as tf.Scalar);
  });
}

function penaltyTerm(variable: tf.Variable, {importance, anchor}: Held, lambda: number): tf.Tensor {
  const term = tf.customGrad((input, save) => {
    const theta = input as tf.Tensor;
    (save as tf.GradSaveFunc)([theta]);
    const {value} = tensorEngine().run(
      'penalty_value',
      {size: theta.size, lambda},
      {theta, importance, anchor},
      {value: []},
    );
    const gradFunc = (dy: tf.Tensor, [saved]: tf.Tensor[]) =>
      tf.mul(dy, penaltyGradient(saved, {importance, anchor}, lambda));
    return {value, gradFunc};
  });
  return term(variable);
}
