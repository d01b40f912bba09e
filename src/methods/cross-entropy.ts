/** The likelihood of classes under logits, and the cross entropy that is its mean. */
import * as tf from '@tensorflow/tfjs-core';

/**
 * sum_k y_k log softmax(z)_k of every sample, `[B, 1]`: log p(y|x) where `targets` are one-hot.
 *
 * @param logits z, `[B, outputs]`
 * @param targets y, `[B, outputs]`, one-hot or probabilities
 */
export function logLikelihood(logits: tf.Tensor, targets: tf.Tensor): tf.Tensor {
  return tf.sum(tf.mul(tf.cast(targets, 'float32'), tf.logSoftmax(logits)), -1, true);
}

/** Cross entropy of targets and softmax(logits), both `[B, outputs]`, mean over the batch, in nats. */
export function crossEntropy(targets: tf.Tensor, logits: tf.Tensor): tf.Scalar {
  return tf.neg(tf.mean(logLikelihood(logits, targets))) as tf.Scalar;
}
