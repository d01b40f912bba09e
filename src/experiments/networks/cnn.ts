/** A small convolutional network for images of about 32x32 pixels, without its head. */
import * as layers from '@tensorflow/tfjs-layers';
import {type ImageShape, inputShape} from './image.js';

/** Smaller images would leave nothing after three halvings, or too little to tell classes apart. */
const leastPixels = 16;

/**
 * From the image `[B, height, width, channels]` to features `[B, 128]`, all layers ReLU:
 *
 *     conv1    5x5, 16 filters, stride 2
 *     conv2    3x3, 32 filters, then 2x2 max pooling
 *     conv3    3x3, 64 filters, then 2x2 max pooling
 *     hidden1  dense, 128 units
 *
 * Convolutions are padded with zeros so that stride 1 keeps the size. 155 552 parameters for 32x32 pixels in colour; with
 * the size grows `hidden1` alone. Kernels are drawn as He et al. (2015) say, biases are 0.
 *
 * @param image at least 16x16 pixels
 * @param seed decides the weights: layer i, counted from 0, has the seed `seed * 100 + i`
 * @throws EngramError ARGUMENT
 */
export function cnn(image: ImageShape, seed: number): layers.LayersModel {
  const shape = inputShape(image, leastPixels);
  let seeded = 0;
  const common = () => ({
    activation: 'relu' as const,
    kernelInitializer: layers.initializers.heUniform({seed: seed * 100 + seeded++}),
  });
  const convolution = (name: string, filters: number, kernelSize: number, options: object = {}) =>
    layers.layers.conv2d({name, filters, kernelSize, padding: 'same', ...options, ...common()});
  const halving = (name: string) => layers.layers.maxPooling2d({name, poolSize: 2});
  return layers.sequential({
    name: 'cnn',
    layers: [
      convolution('conv1', 16, 5, {strides: 2, inputShape: shape}),
      convolution('conv2', 32, 3),
      halving('pool2'),
      convolution('conv3', 64, 3),
      halving('pool3'),
      layers.layers.flatten({name: 'flatten'}),
      layers.layers.dense({name: 'hidden1', units: 128, ...common()}),
    ],
  });
}
