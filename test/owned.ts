/** What a test makes and need not free: that happens at its end, also where files share a process. */
import * as tf from '@tensorflow/tfjs';
import {onTestFinished} from 'vitest';

export const own = <T extends {dispose(): unknown}>(thing: T): T => {
  onTestFinished(() => {
    thing.dispose();
  });
  return thing;
};

/** Frees the weights alone: layers that several models share can be disposed once only. */
export const ownModel = <T extends tf.LayersModel>(model: T): T => {
  for (const weight of model.weights) own(weight.read());
  return model;
};

export const ownAll = (tensors: Map<string, tf.Tensor>): Map<string, tf.Tensor> => {
  for (const tensor of tensors.values()) own(tensor);
  return tensors;
};

/** Normally distributed, the same in every run. */
export const random = (shape: number[], seed: number): tf.Tensor => own(tf.randomNormal(shape, 0, 1, 'float32', seed));

/** Weights that are none of the zeros with which biases begin. */
export function stir(model: tf.LayersModel, seed: number): void {
  for (const [i, weight] of model.weights.entries()) {
    const values = tf.tidy(() => tf.add(tf.randomNormal(weight.shape as number[], 0, 0.5, 'float32', seed + i), 0.1));
    (weight.read() as tf.Variable).assign(weight.name.includes('variance') ? own(tf.abs(values)) : values);
    values.dispose();
  }
}
