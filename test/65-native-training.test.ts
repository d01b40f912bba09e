/** Training on native is training on cpu: from the same weights and data, fifty losses agree. */
import * as tf from '@tensorflow/tfjs';
import {expect, it} from 'vitest';
import '../dist/backends/native.js';
import {describeAddon} from './native.js';

const {dense, conv2d, maxPooling2d, averagePooling2d, flatten, batchNormalization, embedding, lstm, gru} = tf.layers;
const {depthwiseConv2d, separableConv2d, layerNormalization, globalAveragePooling1d, dropout} = tf.layers;
const recurrentInitializer = 'glorotUniform';

interface Task {
  input: number[];
  /** Whole numbers below it; else samples are normal. */
  vocabulary?: number;
  model: () => tf.LayersModel;
}

const sequential = (...layers: tf.layers.Layer[]): tf.LayersModel => tf.sequential({layers});

/** Single-head attention, a residual and a norm each way: what a tf.layers model of a transformer is made of. */
class Attention extends tf.layers.Layer {
  static className = 'TestAttention';
  private weightsOf: tf.LayerVariable[] = [];
  override build(shape: tf.Shape): void {
    const width = shape.at(-1)!;
    this.weightsOf = ['query', 'key', 'value'].map((name) =>
      this.addWeight(name, [width, width], 'float32', tf.initializers.glorotUniform({})),
    );
    super.build(shape);
  }
  override call(inputs: tf.Tensor | tf.Tensor[]): tf.Tensor {
    return tf.tidy(() => {
      const x = Array.isArray(inputs) ? inputs[0] : inputs;
      const [, length, width] = x.shape as number[];
      const [query, key, value] = this.weightsOf.map((weight) =>
        tf.reshape(tf.matMul(tf.reshape(x, [-1, width]), weight.read() as tf.Tensor2D), [-1, length, width]),
      );
      const scores = tf.softmax(tf.mul(tf.matMul(query, key, false, true), 1 / Math.sqrt(width)));
      return tf.add(x, tf.matMul(scores, value));
    });
  }
  override getClassName(): string {
    return Attention.className;
  }
}

const tasks: Record<string, Task> = {
  MLP: {
    input: [12],
    model: () =>
      sequential(
        dense({units: 16, activation: 'relu', inputShape: [12]}),
        dense({units: 8, activation: 'sigmoid'}),
        dense({units: 4, activation: 'softmax'}),
      ),
  },
  CNN: {
    input: [8, 8, 2],
    model: () =>
      sequential(
        conv2d({filters: 4, kernelSize: 3, activation: 'relu', padding: 'same', inputShape: [8, 8, 2]}),
        maxPooling2d({poolSize: 2}),
        conv2d({filters: 6, kernelSize: 3, activation: 'elu'}),
        flatten(),
        dense({units: 4, activation: 'softmax'}),
      ),
  },
  'CNN with batch normalisation and depthwise filters': {
    input: [8, 8, 2],
    model: () =>
      sequential(
        depthwiseConv2d({kernelSize: 3, padding: 'same', inputShape: [8, 8, 2]}),
        batchNormalization(),
        separableConv2d({filters: 4, kernelSize: 3, activation: 'relu', strides: 2}),
        averagePooling2d({poolSize: 2, strides: 1}),
        batchNormalization(),
        flatten(),
        dense({units: 4, activation: 'softmax'}),
      ),
  },
  LSTM: {
    input: [6],
    vocabulary: 9,
    model: () =>
      sequential(
        embedding({inputDim: 9, outputDim: 5, inputLength: 6}),
        lstm({units: 6, recurrentInitializer}),
        dense({units: 4, activation: 'softmax'}),
      ),
  },
  GRU: {
    input: [5, 3],
    model: () =>
      sequential(
        gru({units: 6, returnSequences: true, recurrentInitializer, inputShape: [5, 3]}),
        gru({units: 4, recurrentInitializer}),
        dense({units: 4, activation: 'softmax'}),
      ),
  },
  'transformer block': {
    input: [6],
    vocabulary: 9,
    model: () =>
      sequential(
        embedding({inputDim: 9, outputDim: 8, inputLength: 6}),
        new Attention({}),
        layerNormalization(),
        dense({units: 16, activation: 'relu'}),
        dense({units: 8}),
        layerNormalization(),
        globalAveragePooling1d({}),
        dropout({rate: 0}),
        dense({units: 4, activation: 'softmax'}),
      ),
  },
};

const batch = 8;

/** The losses of fifty steps of Adam; all random numbers come from seeds. */
async function losses(backend: string, {input, vocabulary, model: make}: Task): Promise<number[]> {
  await tf.setBackend(backend);
  const model = make();
  model.setWeights(model.getWeights().map((weight, i) => initial(weight, i)));
  model.compile({optimizer: tf.train.adam(0.01), loss: 'categoricalCrossentropy'});
  const x = vocabulary
    ? tf.randomUniform([batch, ...input], 0, vocabulary, 'int32', 1)
    : tf.randomNormal([batch, ...input], 0, 1, 'float32', 1);
  const y = tf.oneHot(tf.tensor1d([0, 1, 2, 3, 3, 2, 1, 0], 'int32'), 4);
  const found: number[] = [];
  for (let i = 0; i < 50; i++) found.push((await model.trainOnBatch(x, y)) as number);
  tf.dispose([x, y]);
  model.dispose();
  return found;
}

/** Weights like the initializers', the same on every backend: ones and zeros stay what they are. */
function initial(weight: tf.Tensor, seed: number): tf.Tensor {
  if (weight.rank === 1) return weight.clone();
  return tf.mul(tf.randomNormal(weight.shape, 0, 1, 'float32', 50 + seed), 0.4);
}

describeAddon('training on native', () => {
  it.each(Object.keys(tasks))('%s: fifty losses are those of cpu', async (name) => {
    const expected = await losses('cpu', tasks[name]);
    const found = await losses('native', tasks[name]);
    expect(expected[49]).toBeLessThan(0.9 * expected[0]); // it learns, or nothing would be compared
    for (const [i, loss] of found.entries()) {
      expect(Math.abs(loss - expected[i]), `loss ${i}: ${loss}, on cpu ${expected[i]}`).toBeLessThanOrEqual(1e-4);
    }
  });
});
