/** The cases of golden/make.py, built with TensorFlow.js: networks of layers, and networks in plain tfjs-core code. */

import {readFileSync} from 'node:fs';
import * as tf from '@tensorflow/tfjs';
import type {Network} from '../dist/tape/index.js';
import {variablesOf} from './networks.js';

interface Plain {
  shape: number[];
  dtype?: 'int32';
  values: number[];
}
interface LayerConfig {
  /** Its name in tf.layers. */
  layer: string;
  /** The layer inside a wrapper. */
  wrapped?: LayerConfig;
  [key: string]: unknown;
}
interface LayerSpec extends LayerConfig {
  /** In the order of the layer's getWeights(). */
  weights: Plain[];
}
interface LayersCase {
  name: string;
  inputShape: number[];
  samples: Plain;
  layers: LayerSpec[];
  /** By trainable variable, in the network's order. */
  importance: Plain[];
}
interface CodeCase {
  /** Of the function in `code`. */
  name: string;
  /** By input. */
  samples: Plain[];
  weights: Record<string, Plain>;
  importance: Plain[];
}
export type GoldenCase = LayersCase | CodeCase;

/** Every case of golden/make.py. */
export const goldenCases: GoldenCase[] = JSON.parse(
  readFileSync(new URL('./golden/importance.json', import.meta.url), 'utf8'),
);

export interface GoldenNetwork {
  /** What importance is estimated of. */
  network: tf.LayersModel | Network;
  forward: Network['forward'];
  /** In the order of the case's importance. */
  variables: tf.Variable[];
  /** [N, ...] for each input. */
  samples: tf.Tensor[];
  dispose(): void;
}

/** The network of a case with its weights and samples, on the current backend. */
export function goldenNetwork(golden: GoldenCase): GoldenNetwork {
  const samples = [golden.samples].flat().map(toTensor);
  if ('layers' in golden) {
    const network = modelOf(golden);
    const forward: Network['forward'] = (x) => network.apply(x, {training: false}) as tf.Tensor;
    const dispose = () => tf.dispose([samples, network.weights.map((weight) => weight.read())]);
    return {network, forward, variables: variablesOf(network), samples, dispose};
  }
  const run = code[golden.name];
  if (run === undefined) throw new Error(`golden.ts has no network in code named '${golden.name}'`);
  const weights: Record<string, tf.Variable> = {};
  for (const [name, values] of Object.entries(golden.weights)) {
    weights[name] = tf.tidy(() => tf.variable(toTensor(values)));
  }
  const variables = Object.values(weights);
  const forward: Network['forward'] = (x) => run([x].flat(), weights);
  return {network: {forward, variables}, forward, variables, samples, dispose: () => tf.dispose([samples, variables])};
}

/** The case whose outputs are F, what importance differentiates: without a final softmax or sigmoid. */
export function logitsOf(golden: GoldenCase): GoldenCase {
  if (!('layers' in golden)) return golden;
  const last = golden.layers.at(-1)!;
  const strip = ['softmax', 'sigmoid'].includes(last.activation as string);
  return strip ? {...golden, layers: [...golden.layers.slice(0, -1), {...last, activation: 'linear'}]} : golden;
}

const toTensor = ({shape, dtype, values}: Plain) => tf.tensor(values, shape, dtype);

function modelOf({inputShape, layers}: LayersCase): tf.Sequential {
  const model = tf.sequential();
  for (const [i, spec] of layers.entries()) model.add(layerOf({...spec, ...(i === 0 ? {inputShape} : {})}));
  // Layer by layer: a model lists the weights that are not trained after all others.
  tf.tidy(() => {
    for (const [i, {weights}] of layers.entries()) model.layers[i].setWeights(weights.map(toTensor));
  });
  return model;
}

function layerOf({layer, wrapped, weights: _, ...config}: LayerConfig): tf.layers.Layer {
  const make = tf.layers as unknown as Record<string, (config: object) => tf.layers.Layer>;
  // The default orthogonal initializer takes its time, and its values are replaced anyway.
  const recurrentInitializer = 'zeros';
  return make[layer]({recurrentInitializer, ...config, ...(wrapped ? {layer: layerOf(wrapped)} : {})});
}

/** x [B, L, P] times w [P, Q] at every position. */
function project(x: tf.Tensor, w: tf.Tensor): tf.Tensor {
  const [samples, positions, width] = x.shape;
  const rows = tf.matMul(tf.reshape(x, [samples * positions, width]), w);
  return tf.reshape(rows, [samples, positions, w.shape[1]!]);
}

function normalize(x: tf.Tensor, scale: tf.Tensor, offset: tf.Tensor): tf.Tensor {
  const {mean, variance} = tf.moments(x, -1, true);
  const normal = tf.mul(tf.sub(x, mean), tf.rsqrt(tf.add(variance, 1e-3)));
  return tf.add(tf.mul(normal, scale), offset);
}

/** Softmax attention of several heads over x [B, L, W]. */
function attention(x: tf.Tensor, query: tf.Tensor, key: tf.Tensor, value: tf.Tensor, heads: number): tf.Tensor {
  const [samples, positions, width] = x.shape;
  const split = (w: tf.Tensor) =>
    tf.transpose(tf.reshape(project(x, w), [samples, positions, heads, width / heads]), [0, 2, 1, 3]);
  const scores = tf.div(tf.matMul(split(query), split(key), false, true), Math.sqrt(width / heads));
  const read = tf.matMul(tf.softmax(scores), split(value));
  return tf.reshape(tf.transpose(read, [0, 2, 1, 3]), x.shape);
}

/** The functions of golden/make.py, from inputs and weights to outputs. */
const code: Record<string, (x: tf.Tensor[], weights: Record<string, tf.Tensor>) => tf.Tensor | tf.Tensor[]> = {
  'transformer block': ([x], w) => {
    const attended = attention(normalize(x, w.scale_1, w.offset_1), w.query, w.key, w.value, 2);
    const y = tf.add(x, project(attended, w.out));
    const hidden = tf.relu(tf.add(project(normalize(y, w.scale_2, w.offset_2), w.expand), w.expand_bias));
    return tf.add(tf.add(y, project(hidden, w.contract)), w.contract_bias);
  },
  'dense used twice': ([x], {kernel, bias}) => {
    const dense = (y: tf.Tensor) => tf.add(tf.matMul(y, kernel), bias);
    return dense(tf.tanh(dense(x)));
  },
  'tied embedding': ([words], {table}) =>
    tf.matMul(tf.tanh(tf.mean(tf.gather(table, words as tf.Tensor2D), 1)), table, false, true),
  'weight normalisation': ([x], {direction, gain, bias, kernel}) => {
    const w = tf.div(tf.mul(gain, direction), tf.norm(direction, 'euclidean', 0));
    return tf.matMul(tf.tanh(tf.add(tf.matMul(x, w), bias)), kernel);
  },
  'two inputs two outputs': ([x, sequence], w) => {
    const a = tf.tanh(tf.add(tf.matMul(x, w.left), w.left_bias));
    const steps = tf.mul(tf.expandDims(a, 1), tf.tanh(project(sequence, w.right)));
    return [tf.matMul(a, w.first), tf.add(project(steps, w.second), w.second_bias)];
  },
};
