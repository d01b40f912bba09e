/** What a test makes and need not free: that happens at its end. */
import type * as tf from '@tensorflow/tfjs';
import {afterEach} from 'vitest';

const used: {dispose(): unknown}[] = [];
afterEach(() => {
  for (const thing of used.splice(0)) thing.dispose();
});

export const own = <T extends {dispose(): unknown}>(thing: T): T => {
  used.push(thing);
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
