/** Tasks, networks and golden numbers for the tests of methods. */
import {readFileSync} from 'node:fs';
import * as tf from '@tensorflow/tfjs';
import {EngramError} from '../dist/index.js';
import type {LearningTask, Method} from '../dist/methods/method.js';
import {variablesOf} from './networks.js';

export interface Plain {
  shape: number[];
  values: number[];
}
interface Held {
  penalty: number;
  theta: Plain[];
  omega: Plain[];
}

/** What golden/penalties.py wrote. */
export const golden: {
  steps: number;
  batchSize: number;
  learningRate: number;
  momentum: number;
  lambda: number;
  xi: number;
  alpha: number;
  interval: number;
  epsilon: number;
  weights: Plain[];
  tasks: {x: Plain; y: Plain}[];
  synapticIntelligence: (Held & {path: Plain[]})[];
  riemannianWalk: (Held & {fisher: Plain[]; score: Plain[]})[];
  localMas: {samples: Plain; weights: Plain[]; omega: Plain[]};
  presets: {
    samples: Plain;
    batchSize: number;
    otherHead: Plain[];
    official: Plain[];
    avalanche: Plain[];
    facil: Plain[];
  };
} = JSON.parse(readFileSync(new URL('./golden/penalties.json', import.meta.url), 'utf8'));

export const toTensor = ({shape, values}: Plain): tf.Tensor => tf.tensor(values, shape);

/** A dense ReLU layer and a linear head, as a functional model, with the golden weights. */
export function goldenMlp() {
  const input = tf.input({shape: [5]});
  const hidden = tf.layers.dense({units: 7, activation: 'relu'}).apply(input) as tf.SymbolicTensor;
  const head = tf.layers.dense({units: 4});
  const network = tf.model({inputs: input, outputs: head.apply(hidden) as tf.SymbolicTensor});
  const features = tf.model({inputs: input, outputs: hidden});
  setValues(variablesOf(network), golden.weights);
  return {network, features, input, hidden, variables: variablesOf(network)};
}

export function setValues(variables: readonly tf.Variable[], values: readonly Plain[]): void {
  variables.forEach((variable, i) => {
    const tensor = toTensor(values[i]);
    variable.assign(tensor);
    tensor.dispose();
  });
}

/** A task of the network with these samples; `labels` one-hot. Tensors are the caller's. */
export function taskOf(
  network: tf.LayersModel,
  x: tf.Tensor,
  more: Partial<LearningTask> & {labels?: tf.Tensor2D} = {},
): LearningTask {
  const count = x.shape[0];
  async function* rowsOf(all: tf.Tensor, size: number) {
    for (let at = 0; at < count; at += size) {
      const part = tf.slice(all, [at], [Math.min(size, count - at)]);
      yield part;
      part.dispose();
    }
  }
  return {
    index: 0,
    network,
    features: network,
    earlier: [],
    count,
    seed: 1,
    async *samples(size = 64) {
      let at = 0;
      for await (const part of rowsOf(x, size)) {
        const rows = Uint32Array.from({length: part.shape[0]}, (_, i) => at + i);
        const y = tf.slice(more.labels!, [at], [rows.length]);
        at += rows.length;
        yield {x: part, y, rows};
        y.dispose();
      }
    },
    unlabelled: (size = 64) => rowsOf(x, size),
    ...more,
  };
}

/** Learns a golden task as golden/penalties.py does: momentum on the mean cross-entropy of batches in turn. */
export async function learn(method: Method, network: tf.LayersModel, index: number): Promise<void> {
  const {x, y} = golden.tasks[index];
  const [samples, labels] = [toTensor(x), toTensor(y) as tf.Tensor2D];
  const base = tf.train.momentum(golden.learningRate, golden.momentum);
  const optimizer = method.optimizer(base);
  const task = taskOf(network, samples, {index, labels});
  try {
    await method.beforeTask?.(task);
    for (let step = 0; step < golden.steps; step++) {
      const at = (step * golden.batchSize) % x.shape[0];
      const cost = optimizer.minimize(
        () => {
          const [bx, by] = [samples, labels].map((t) => tf.slice(t, [at], [golden.batchSize]));
          return tf.losses.softmaxCrossEntropy(by, network.apply(bx) as tf.Tensor) as tf.Scalar;
        },
        true,
        variablesOf(network),
      );
      cost?.dispose();
    }
    await method.afterTask?.(task);
  } finally {
    optimizer.dispose();
    tf.SGDOptimizer.prototype.dispose.call(base); // tfjs' momentum forgets the tensor that it inherits from SGD
    tf.dispose([samples, labels]);
  }
}

/** ||a - b|| / ||b|| over all tensors together. */
export async function relativeNorm(
  actual: readonly (tf.Tensor | undefined)[],
  expected: readonly Plain[],
): Promise<number> {
  if (actual.length !== expected.length) return Number.POSITIVE_INFINITY;
  let [error, size] = [0, 0];
  for (const [i, {values}] of expected.entries()) {
    const found = (await actual[i]?.data()) as Float32Array | undefined;
    if (found?.length !== values.length) return Number.POSITIVE_INFINITY;
    for (let j = 0; j < values.length; j++) {
      error += (found[j] - values[j]) ** 2;
      size += values[j] ** 2;
    }
  }
  return Math.sqrt(error / size);
}

/** The code of the EngramError that a call throws. */
export async function codeOf(run: () => unknown): Promise<string> {
  try {
    await run();
  } catch (error) {
    if (error instanceof EngramError) return error.code;
    throw error;
  }
  return 'nothing was thrown';
}
