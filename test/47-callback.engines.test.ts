/** mas.callback(data): model.fit consolidates when it ends, alone or in a list with tfjs' own callbacks. */
import * as tf from '@tensorflow/tfjs';
import {expect, it} from 'vitest';
import {MemoryAwareSynapses, type Progress} from '../dist/index.js';
import {describeEngine, engineName} from './engine.js';
import {own} from './owned.js';

function learner() {
  const model = own(
    tf.sequential({
      layers: [tf.layers.dense({inputShape: [3], units: 4, activation: 'relu'}), tf.layers.dense({units: 2})],
    }),
  );
  const mas = own(new MemoryAwareSynapses(model, {lambda: 1}));
  model.compile({optimizer: own(mas.optimizer(tf.train.adam(0.01))), loss: 'meanSquaredError'});
  const x = own(tf.randomNormal([12, 3], 0, 1, 'float32', 1));
  const y = own(tf.randomNormal([12, 2], 0, 1, 'float32', 2));
  return {model, mas, x, y};
}
const tasksOf = (mas: MemoryAwareSynapses) => [...mas.tasks.values()];

describeEngine(`the callback on ${engineName}`, () => {
  it('consolidates once at the end of fit, on what the network then is', async () => {
    const {model, mas, x, y} = learner();
    const callback = mas.callback(x, {batchSize: 5});
    expect(callback.report).toBeUndefined();
    await model.fit(x, y, {epochs: 2, batchSize: 4, callbacks: callback});
    expect(tasksOf(mas)).toEqual([1, 1, 1, 1]);
    expect(callback.report).toMatchObject({samples: 12, batches: 3});
    const weights = await Promise.all(model.getWeights().map((w) => w.data()));
    expect(await Promise.all([...mas.anchor.values()].map((t) => t.data()))).toEqual(weights);
    expect(model.optimizer.iterations).toBe(0); // it begins anew for the next task

    await model.fit(x, y, {epochs: 1, callbacks: [mas.callback(x, {resetOptimizer: false})]});
    expect(tasksOf(mas)).toEqual([2, 2, 2, 2]);
    expect(model.optimizer.iterations).toBe(1);
  });

  it('works with fitDataset, beside early stopping, and with yieldEvery never', async () => {
    const {model, mas, x, y} = learner();
    const rows = (await x.array()) as number[][];
    const labels = (await y.array()) as number[][];
    const dataset = tf.data.array(rows.map((xs, i) => ({xs, ys: labels[i]}))).batch(4);
    await model.fitDataset(dataset as tf.data.Dataset<tf.TensorContainer>, {
      epochs: 2,
      callbacks: mas.callback(dataset as unknown as AsyncIterable<tf.Tensor>),
    });
    expect(tasksOf(mas)).toEqual([1, 1, 1, 1]);
    const stopping = tf.callbacks.earlyStopping({monitor: 'loss', patience: 0, minDelta: 100});
    const {epoch} = await model.fit(x, y, {
      epochs: 5,
      callbacks: [stopping, new tf.CustomCallback(mas.callback(x))],
    });
    expect(epoch.length).toBeLessThan(5);
    expect(tasksOf(mas)).toEqual([2, 2, 2, 2]);
    await model.fit(x, y, {yieldEvery: 'never', callbacks: mas.callback(x)});
    expect(tasksOf(mas)).toEqual([3, 3, 3, 3]);
  });

  it('passes progress on; an abort or bad data makes fit reject, and what was learned and held stays', async () => {
    const {model, mas, x, y} = learner();
    const seen: Progress[] = [];
    const onProgress = (progress: Progress) => seen.push({...progress});
    await model.fit(x, y, {callbacks: mas.callback(x, {batchSize: 8, onProgress})});
    expect(seen.map(({samples}) => samples)).toEqual([8, 12]);
    const before = await Promise.all([...mas.importance.values()].map((t) => t.data()));

    const reason = new Error('the user left');
    const aborted = mas.callback(x, {signal: AbortSignal.abort(reason)});
    await expect(model.fit(x, y, {callbacks: aborted})).rejects.toBe(reason);
    const wrong = own(tf.zeros([2, 7]));
    await expect(model.fit(x, y, {callbacks: mas.callback(wrong)})).rejects.toMatchObject({code: 'SHAPE'});
    expect(tasksOf(mas)).toEqual([1, 1, 1, 1]);
    expect(await Promise.all([...mas.importance.values()].map((t) => t.data()))).toEqual(before);
  });

  it('leaks nothing', async () => {
    const {model, mas, x, y} = learner();
    await model.fit(x, y, {callbacks: mas.callback(x)});
    const {numTensors} = tf.memory();
    for (let i = 0; i < 3; i++) await model.fit(x, y, {callbacks: mas.callback(x)});
    expect(tf.memory().numTensors).toBe(numTensors);
  });
});
