/** The networks that the benchmarks share, with their batch sizes. */
import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';

const {dense, conv2d, maxPooling2d, flatten} = tfl.layers;

export const networks = {
  mlp: {
    title: 'MLP 784-1024-1024-10, B = 128',
    batch: 128,
    input: [784],
    model: () =>
      tfl.sequential({
        layers: [
          dense({inputShape: [784], units: 1024, activation: 'relu'}),
          dense({units: 1024, activation: 'relu'}),
          dense({units: 10, activation: 'softmax'}),
        ],
      }),
  },
  cnn: {
    title: 'CNN conv 32, 64 (5x5), fc 512, B = 64',
    batch: 64,
    input: [28, 28, 1],
    model: () =>
      tfl.sequential({
        layers: [
          conv2d({inputShape: [28, 28, 1], filters: 32, kernelSize: 5, padding: 'same', activation: 'relu'}),
          maxPooling2d({poolSize: 2}),
          conv2d({filters: 64, kernelSize: 5, padding: 'same', activation: 'relu'}),
          maxPooling2d({poolSize: 2}),
          flatten(),
          dense({units: 512, activation: 'relu'}),
          dense({units: 10, activation: 'softmax'}),
        ],
      }),
  },
};

/** One batch of random samples and one-hot labels. */
export function randomBatch({batch, input}, count = batch) {
  const x = tf.randomNormal([count, ...input], 0, 1, 'float32', 1);
  const y = tf.oneHot(
    tf.tidy(() => tf.cast(tf.randomUniform([count], 0, 10, 'int32', 2), 'int32')),
    10,
  );
  return {x, y};
}
