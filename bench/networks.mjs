/** The networks that the benchmarks share, with their batch sizes. bench/peers/networks.py has the same for PyTorch. */
import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';

const {dense, conv2d, maxPooling2d, zeroPadding2d, flatten, dropout, embedding, lstm} = tfl.layers;
const sequential = (inputShape, layers) => tfl.sequential({layers: [tfl.layers.inputLayer({inputShape}), ...layers]});
const conv = (filters, kernelSize, padding, strides = 1) =>
  conv2d({filters, kernelSize, padding, strides, activation: 'relu'});
const units = (count) => dense({units: count, activation: 'relu'});
const classes = (count) => dense({units: count, activation: 'softmax'});
const pool = (poolSize = 2) => maxPooling2d({poolSize, strides: 2});

export const networks = {
  mlp: {
    title: 'MLP 784-1024-1024-10, B = 128',
    batch: 128,
    input: [784],
    outputs: 10,
    model: () => sequential([784], [units(1024), units(1024), classes(10)]),
  },
  cnn: {
    title: 'CNN conv 32, 64 (5x5), fc 512, B = 64',
    batch: 64,
    input: [28, 28, 1],
    outputs: 10,
    model: () =>
      sequential(
        [28, 28, 1],
        [conv(32, 5, 'same'), pool(), conv(64, 5, 'same'), pool(), flatten(), units(512), classes(10)],
      ),
  },
  lenet: {
    title: 'LeNet-5, B = 64',
    batch: 64,
    input: [28, 28, 1],
    outputs: 10,
    model: () =>
      sequential(
        [28, 28, 1],
        [conv(6, 5, 'same'), pool(), conv(16, 5, 'valid'), pool(), flatten(), units(120), units(84), classes(10)],
      ),
  },
  alexnet: {
    title: 'AlexNet 224x224, B = 8',
    batch: 8,
    input: [224, 224, 3],
    outputs: 1000,
    model: () =>
      sequential(
        [224, 224, 3],
        [
          zeroPadding2d({padding: 2}),
          conv(64, 11, 'valid', 4),
          pool(3),
          conv(192, 5, 'same'),
          pool(3),
          conv(384, 3, 'same'),
          conv(256, 3, 'same'),
          conv(256, 3, 'same'),
          pool(3),
          flatten(),
          dropout({rate: 0.5}),
          units(4096),
          dropout({rate: 0.5}),
          units(4096),
          classes(1000),
        ],
      ),
  },
  lstm: {
    title: 'LSTM 64 on 1000 words x 64, T = 32, B = 32',
    batch: 32,
    input: [32],
    words: 1000,
    outputs: 10,
    model: () =>
      sequential(
        [32],
        [
          embedding({inputDim: 1000, outputDim: 64}),
          lstm({units: 64, recurrentInitializer: 'glorotUniform'}),
          classes(10),
        ],
      ),
  },
};

/** One batch of random samples and one-hot labels. */
export function randomBatch({batch, input, outputs, words}, count = batch) {
  const integers = (shape, below, seed) =>
    tf.tidy(() => tf.cast(tf.floor(tf.randomUniform(shape, 0, below, 'float32', seed)), 'int32'));
  const x = words ? integers([count, ...input], words, 1) : tf.randomNormal([count, ...input], 0, 1, 'float32', 1);
  const labels = integers([count], outputs, 2);
  const y = tf.oneHot(labels, outputs);
  labels.dispose();
  return {x, y};
}
