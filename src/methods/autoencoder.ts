/** An undercomplete autoencoder that finds which part of the features a task needs. */
import * as tf from '@tensorflow/tfjs-core';
import {EngramError} from '../errors.js';
import {nonfiniteIn} from '../memory/nonfinite.js';
import {crossEntropy} from './cross-entropy.js';
import {drawRows} from './draw.js';

/** One half of an autoencoder: a layer with bias. */
export interface Layer {
  /** `[inputs, units]`. */
  readonly kernel: tf.Tensor;
  /** `[units]`. */
  readonly bias: tf.Tensor;
}

/** r(f) = W_dec sigma(W_enc f). The paper writes weights alone; its authors' code has biases, and so has this. */
export interface Autoencoder {
  /** Features to code. */
  readonly encoder: Layer;
  /** Code to features. */
  readonly decoder: Layer;
}

/** What an autoencoder learns from. */
export interface AutoencoderData {
  /** F*(x), `[count, features]`. */
  readonly features: tf.Tensor;
  /** One-hot, `[count, outputs]`. */
  readonly targets: tf.Tensor;
  /** From features to logits, with fixed weights. */
  readonly head: (features: tf.Tensor) => tf.Tensor;
}

/** How an autoencoder is trained. */
export interface AutoencoderTraining {
  /** Units of the code; fewer than there are features. */
  readonly codeSize: number;
  /** Weight of the reconstruction error beside the task loss. */
  readonly reconstruction: number;
  /** Of Adam. */
  readonly learningRate: number;
  /** Passes over the samples. */
  readonly epochs: number;
  /** Samples per step. */
  readonly batchSize: number;
  /** Decides initial weights and order. */
  readonly seed: number;
  readonly signal?: AbortSignal | undefined;
}

/** sigma(W f + b), `[B, code]`, of features `[B, features]`. */
export function codeOf({kernel, bias}: Layer, features: tf.Tensor): tf.Tensor {
  return tf.sigmoid(tf.add(tf.matMul(features, kernel), bias));
}

/**
 * lambda ||r(f) - f||^2 + cross entropy of head(r(f)), mean over the batch (Triki et al., ICCV 2017, section 3): a code
 * that tells of the features what the task needs.
 *
 * @param reconstruction lambda
 */
export function autoencoderObjective(
  {encoder, decoder}: Autoencoder,
  {features, targets, head}: AutoencoderData,
  reconstruction: number,
): tf.Scalar {
  const rebuilt = tf.add(tf.matMul(codeOf(encoder, features), decoder.kernel), decoder.bias);
  const error = tf.mean(tf.sum(tf.square(tf.sub(rebuilt, features)), 1));
  return tf.add(tf.mul(error, reconstruction), crossEntropy(targets, head(rebuilt)));
}

/**
 * Trains an autoencoder on features that do not change, by Adam on shuffled batches. The kernels begin as Glorot and
 * Bengio (2010) draw them, the biases at 0. The event loop is yielded to after every epoch.
 *
 * @returns its encoder, owned by the caller
 * @throws EngramError ARGUMENT for a code that is not smaller than the features, NON_FINITE if training diverges; the
 * signal's reason. No tensor is leaked.
 */
export async function trainAutoencoder(data: AutoencoderData, options: AutoencoderTraining): Promise<Layer> {
  const {codeSize, reconstruction, learningRate, epochs, batchSize, seed, signal} = options;
  const [count, width] = data.features.shape;
  if (codeSize >= width) throw tooLarge(codeSize, width);
  const [encoder, decoder] = [layer(width, codeSize, seed), layer(codeSize, width, seed + 1)];
  const variables = [encoder.kernel, encoder.bias, decoder.kernel, decoder.bias];
  const optimizer = tf.train.adam(learningRate);
  try {
    for (let epoch = 0; epoch < epochs; epoch++) {
      const order = drawRows(count, count, `${seed}/autoencoder/epoch ${epoch}`);
      for (let start = 0; start < count; start += batchSize) {
        signal?.throwIfAborted();
        tf.tidy(() => {
          const rows = tf.tensor1d(Int32Array.from(order.subarray(start, start + batchSize)), 'int32');
          const [features, targets] = [tf.gather(data.features, rows), tf.gather(data.targets, rows)];
          const loss = () => autoencoderObjective({encoder, decoder}, {...data, features, targets}, reconstruction);
          optimizer.minimize(loss, false, variables);
        });
      }
      await tf.nextFrame();
    }
    await refuseNonfinite(encoder, learningRate);
    return tf.tidy(() => ({kernel: tf.clone(encoder.kernel), bias: tf.clone(encoder.bias)}));
  } finally {
    optimizer.dispose();
    tf.dispose(variables);
  }
}

function layer(inputs: number, units: number, seed: number): {kernel: tf.Variable; bias: tf.Variable} {
  const limit = Math.sqrt(6 / (inputs + units));
  return tf.tidy(() => ({
    kernel: tf.variable(tf.randomUniform([inputs, units], -limit, limit, 'float32', seed)),
    bias: tf.variable(tf.zeros([units])),
  }));
}

async function refuseNonfinite({kernel, bias}: Layer, learningRate: number): Promise<void> {
  const lost = await nonfiniteIn([
    ['kernel', kernel],
    ['bias', bias],
  ]);
  if (lost.length === 0) return;
  throw new EngramError('NON_FINITE', {
    expected: 'the weights of the autoencoder to stay numbers',
    received: `NaN or Infinity in its ${lost.join(' and ')} at a learning rate of ${learningRate}`,
    remedy: 'Use a smaller learning rate for the autoencoder.',
  });
}

function tooLarge(codeSize: number, width: number): EngramError {
  return new EngramError('ARGUMENT', {
    expected: `a codeSize below the ${width} features of the network`,
    received: String(codeSize),
    remedy: 'The autoencoder must be undercomplete: a code as wide as the features leaves them no freedom.',
  });
}
