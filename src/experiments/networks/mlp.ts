/** A multilayer perceptron without its head. */
import * as layers from '@tensorflow/tfjs-layers';
import {EngramError} from '../../errors.js';
import {type ImageShape, inputShape} from './image.js';

/** How wide the layers are. */
export interface MlpSettings {
  /** Units of the dense ReLU layers, from the image on; none: the features are the pixels. */
  readonly hidden: readonly number[];
}

/**
 * Dense ReLU layers `hidden1`, `hidden2`, ... from the image `[B, height, width, channels]` to features
 * `[B, units of the last layer]`. Kernels are drawn as He et al. (2015) say, biases are 0.
 *
 * @param seed decides the weights: layer i, counted from 0, has the seed `seed * 100 + i`
 * @throws EngramError ARGUMENT
 */
export function mlp(image: ImageShape, {hidden}: MlpSettings, seed: number): layers.LayersModel {
  const shape = inputShape(image);
  if (!hidden.every((units) => Number.isSafeInteger(units) && units >= 1)) {
    throw new EngramError('ARGUMENT', {
      expected: 'hidden layers of at least one unit',
      received: `[${hidden}]`,
      remedy: 'Give a whole number of units for every layer, such as [256, 256].',
    });
  }
  const network = layers.sequential({name: 'mlp'});
  network.add(layers.layers.flatten({name: 'flatten', inputShape: shape}));
  hidden.forEach((units, i) => {
    const kernelInitializer = layers.initializers.heUniform({seed: seed * 100 + i});
    network.add(layers.layers.dense({name: `hidden${i + 1}`, units, activation: 'relu', kernelInitializer}));
  });
  return network;
}
