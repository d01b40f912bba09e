/** The diagonal of the Fisher information, exact per sample: how sharply the log likelihood bends in each parameter. */
import * as tf from '@tensorflow/tfjs-core';
import seedrandom from 'seedrandom';
import {EngramError} from '../errors.js';
import {estimateImportance} from '../memory/estimate.js';
import {checkChoice} from '../memory/options.js';
import {asNetwork, type Network, type NetworkLike} from '../tape/index.js';
import {logLikelihood} from './cross-entropy.js';
import {eachOutput} from './vector-importance.js';

/** Which labels the log likelihood is taken of. */
export type FisherKind = 'empirical' | 'sampled' | 'expectation';

/** What the outputs stand for: classes that exclude each other, classes that do not, or means of unit Gaussians. */
export type Likelihood = 'categorical' | 'bernoulli' | 'gaussian';

/** Samples with their targets `[B, outputs]`; `sampled` and `expectation` read none. Only read, never disposed. */
export interface LabelledBatch {
  readonly x: tf.Tensor;
  readonly y?: tf.Tensor;
}

/** How {@link estimateFisher} reads network and data. */
export interface FisherOptions {
  /**
   * `empirical` (default): the labels of the data. `sampled`: one label a sample, drawn from what the network predicts.
   * `expectation`: the mean over all labels, each weighted by its probability; one backward pass for every output.
   */
  kind?: FisherKind;
  /** Default `categorical`. */
  likelihood?: Likelihood;
  /** Decides the labels of `sampled`. Default 0. */
  seed?: number;
  /** Stops between batches; the promise rejects with the signal's reason. */
  signal?: AbortSignal;
}

/**
 * F = (1/N) sum_b (d log p(y_b|x_b) / dtheta)^2 (Kirkpatrick et al., PNAS 2017; the three kinds as in van de Ven, "On the
 * computation of the Fisher information in continual learning", arXiv:2502.11756). Squared sample by sample: most
 * implementations square the gradient of a batch instead, which measures something else.
 *
 * @param network its outputs `[B, outputs]` are logits (a final softmax or sigmoid that the tape can see through is left
 * out), or means for `gaussian`
 * @returns new tensors by variable name, owned by the caller; variables not on the path to the outputs are absent
 * @throws EngramError ARGUMENT; SHAPE for targets that do not fit the outputs; and as estimateImportance()
 */
export async function estimateFisher(
  network: NetworkLike,
  data: AsyncIterable<LabelledBatch> | Iterable<LabelledBatch>,
  options: FisherOptions = {},
): Promise<Map<string, tf.Tensor>> {
  const {kind = 'empirical', likelihood = 'categorical', seed = 0, signal} = options;
  checkChoice('kind', kind, ['empirical', 'sampled', 'expectation']);
  checkChoice('likelihood', likelihood, ['categorical', 'bernoulli', 'gaussian']);
  const own = asNetwork(network);
  const settings = {variables: own.variables, phi: 'square', ...(signal && {signal})} as const;
  if (kind === 'expectation') {
    const everyLabel = (F: tf.Tensor) => expectation(F, likelihood);
    return (await estimateImportance(own, inputs(data), {...settings, seed: everyLabel})).importance;
  }
  const labelled = kind === 'empirical' ? targets(data) : drawn(data, own, likelihood, seedrandom(`${seed}/labels`));
  const judged: Network = {
    forward: (xy) => {
      const [x, y] = xy as tf.Tensor[];
      return likelihoodOf(own.forward(x) as tf.Tensor, y, likelihood);
    },
    variables: own.variables,
  };
  const {importance} = await estimateImportance(judged, labelled, {
    ...settings,
    output: 'output',
    seed: (s) => tf.onesLike(s),
  });
  return importance;
}

/**
 * The seeds of sum_y p(y|x) (d log p(y|x)/dtheta)^2. For classes that exclude each other that of class c is
 * sqrt(p_c) (e_c - p). Independent outputs k have no cross terms: sqrt(p_k (1 - p_k)) e_k, or e_k for unit Gaussians.
 */
function* expectation(F: tf.Tensor, likelihood: Likelihood): Generator<tf.Tensor> {
  for (const own of eachOutput(F)) {
    yield tf.tidy(() => {
      if (likelihood === 'gaussian') return own;
      if (likelihood === 'bernoulli') {
        const p = tf.sigmoid(F);
        return tf.mul(own, tf.sqrt(tf.mul(p, tf.sub(1, p))));
      }
      const p = tf.softmax(F);
      const weight = tf.sqrt(tf.sum(tf.mul(p, own), -1, true));
      return tf.mul(weight, tf.sub(own, p));
    });
  }
}

/** log p(y|x) for every sample, `[B, 1]`, but for a constant of the Gaussian. */
function likelihoodOf(outputs: tf.Tensor, y: tf.Tensor, likelihood: Likelihood): tf.Tensor {
  return tf.tidy(() => {
    if (likelihood === 'categorical') return logLikelihood(outputs, y);
    if (likelihood === 'gaussian') return tf.mul(-0.5, tf.sum(tf.square(tf.sub(y, outputs)), -1, true));
    // y log p + (1 - y) log (1 - p) with p = sigmoid(z) is y z - log(1 + e^z).
    return tf.sum(tf.sub(tf.mul(y, outputs), tf.softplus(outputs)), -1, true);
  });
}

async function* inputs(data: AsyncIterable<LabelledBatch> | Iterable<LabelledBatch>): AsyncGenerator<tf.Tensor> {
  for await (const {x} of data) yield x;
}

async function* targets(data: AsyncIterable<LabelledBatch> | Iterable<LabelledBatch>): AsyncGenerator<tf.Tensor[]> {
  for await (const {x, y} of data) {
    if (!y) throw noTargets();
    yield [x, y];
  }
}

/** Labels that the network itself predicts, each as often as it believes in it. */
async function* drawn(
  data: AsyncIterable<LabelledBatch> | Iterable<LabelledBatch>,
  network: Network,
  likelihood: Likelihood,
  random: seedrandom.PRNG,
): AsyncGenerator<tf.Tensor[]> {
  for await (const {x} of data) {
    const believed = tf.tidy(() => {
      const outputs = network.forward(x) as tf.Tensor;
      if (likelihood === 'categorical') return tf.softmax(outputs);
      return likelihood === 'bernoulli' ? tf.sigmoid(outputs) : tf.clone(outputs);
    });
    const values = await believed.data();
    const width = believed.size / believed.shape[0];
    const y = tf.tensor(draw(values as Float32Array, width, likelihood, random), believed.shape);
    believed.dispose();
    try {
      yield [x, y];
    } finally {
      y.dispose();
    }
  }
}

function draw(believed: Float32Array, width: number, likelihood: Likelihood, random: seedrandom.PRNG): Float32Array {
  if (likelihood === 'gaussian') return believed.map((mean) => mean + gaussian(random));
  if (likelihood === 'bernoulli') return believed.map((p) => (random() < p ? 1 : 0));
  const y = new Float32Array(believed.length);
  for (let start = 0; start < believed.length; start += width) {
    let left = random();
    let label = 0;
    while (label < width - 1 && left >= believed[start + label]) left -= believed[start + label++];
    y[start + label] = 1;
  }
  return y;
}

/** Box and Muller, 1958. */
const gaussian = (random: seedrandom.PRNG): number =>
  Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());

function noTargets(): EngramError {
  return new EngramError('ARGUMENT', {
    expected: 'targets y in every batch, as the empirical Fisher information needs',
    received: 'a batch of inputs alone',
    remedy: 'Pass {x, y}, or kind: "sampled" or "expectation", which need no labels.',
  });
}
