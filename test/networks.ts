/** Networks for the tests, and the definition of importance: a loop over samples with tfjs' own gradients. */

import {readFileSync} from 'node:fs';
import * as tf from '@tensorflow/tfjs';

interface Plain {
  shape: number[];
  values: number[];
}
export interface GoldenCase {
  name: string;
  inputShape: number[];
  samples: Plain;
  layers: ({layer: string; weights: Plain[]} & Record<string, unknown>)[];
  importance: Plain[];
}

/** The cases of golden/make.py. */
export const goldenCases: GoldenCase[] = JSON.parse(
  readFileSync(new URL('./golden/importance.json', import.meta.url), 'utf8'),
);

const toTensor = ({shape, values}: Plain) => tf.tensor(values, shape);

/** The tf.layers model of a golden case, with its weights. */
export function goldenModel({inputShape, layers}: GoldenCase): tf.Sequential {
  const model = tf.sequential();
  for (const [i, {layer, weights: _, ...config}] of layers.entries()) {
    const make = tf.layers as unknown as Record<string, (config: object) => tf.layers.Layer>;
    model.add(make[layer]({...config, ...(i === 0 ? {inputShape} : {})}));
  }
  const weights = layers.flatMap((layer) => layer.weights.map(toTensor));
  // setWeights wants trainable weights first, layer by layer as getWeights gives them.
  model.setWeights(
    inWeightOrder(
      model,
      layers.map((layer) => layer.weights.map(toTensor)),
    ),
  );
  tf.dispose(weights);
  return model;
}

function inWeightOrder(model: tf.Sequential, perLayer: tf.Tensor[][]): tf.Tensor[] {
  const trainable = perLayer.flatMap((weights) => weights.slice(0, 2));
  const frozen = perLayer.flatMap((weights) => weights.slice(2));
  const all = [...trainable, ...frozen];
  const wanted = model.weights.length;
  if (all.length !== wanted) throw new Error(`${all.length} golden weights for ${wanted} of the model`);
  return all;
}

/** Mean over samples of |d ||F(x)||^2 / d theta| by one tf.variableGrads a sample: the definition, by variable name. */
export async function batchOfOne(
  forward: (x: tf.Tensor) => tf.Tensor,
  variables: tf.Variable[],
  samples: tf.Tensor,
): Promise<Map<string, Float64Array>> {
  const total = new Map(variables.map((variable) => [variable.name, new Float64Array(variable.size)]));
  const count = samples.shape[0];
  for (let b = 0; b < count; b++) {
    const {grads, value} = tf.tidy(() => {
      const x = tf.slice(samples, [b], [1]);
      return tf.variableGrads(() => tf.sum(tf.square(forward(x))) as tf.Scalar, variables);
    });
    for (const [name, gradient] of Object.entries(grads)) {
      const sum = total.get(name)!;
      for (const [i, g] of (await gradient.data()).entries()) sum[i] += Math.abs(g) / count;
      gradient.dispose();
    }
    value.dispose();
  }
  return total;
}

/** The trainable variables of a tf.layers model. */
export const variablesOf = (model: tf.LayersModel): tf.Variable[] =>
  model.trainableWeights.map((weight) => weight.read() as tf.Variable);
