/** No tensor is leaked by any public call, also when it throws or is aborted. */
import * as tf from '@tensorflow/tfjs';
import {expect, it} from 'vitest';
import {MemoryAwareSynapses} from '../dist/index.js';
import {describeEngine, engineName} from './engine.js';

describeEngine(`tensors on ${engineName}`, () => {
  it('are not leaked over 100 calls: steps, consolidations, penalties, throws and aborts', async () => {
    const model = tf.sequential({
      layers: [
        tf.layers.conv2d({inputShape: [6, 6, 1], filters: 2, kernelSize: 3, activation: 'relu'}),
        tf.layers.flatten(),
        tf.layers.dense({units: 3, activation: 'softmax'}),
      ],
    });
    const x = tf.randomNormal([8, 6, 6, 1]);
    const y = tf.oneHot(tf.tensor1d([0, 1, 2, 0, 1, 2, 0, 1], 'int32'), 3);
    const bad = tf.tensor4d(new Float32Array(36).fill(Number.NaN), [1, 6, 6, 1]);
    const mas = new MemoryAwareSynapses(model, {lambda: 1, normalize: true});
    model.compile({optimizer: mas.optimizer(tf.train.adam(1e-3)), loss: 'categoricalCrossentropy'});
    const round = async () => {
      await model.trainOnBatch(x, y);
      await mas.consolidate(x, {batchSize: 5});
      tf.dispose(mas.penalty());
      await expect(mas.consolidate(bad)).rejects.toThrow(/finite/);
      const abort = new AbortController();
      const stop = {batchSize: 4, signal: abort.signal, onProgress: () => abort.abort()};
      await expect(mas.consolidate(x, stop)).rejects.toThrow(/abort/i);
    };
    await round();
    const {numTensors, numDataBuffers} = tf.memory();
    for (let i = 0; i < 20; i++) await round();
    expect(tf.memory().numTensors).toBe(numTensors);
    expect(tf.memory().numDataBuffers).toBe(numDataBuffers);
    mas.dispose();
    tf.dispose([x, y, bad]);
    model.dispose();
  });
});
