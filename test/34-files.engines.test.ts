/** On every engine: a memory comes back from its file bit for bit, and training goes on as if it had never been away. */
import * as tf from '@tensorflow/tfjs';
import {expect, it} from 'vitest';
import {MemoryAwareSynapses} from '../dist/index.js';
import {describeEngine, engineName} from './engine.js';

const read = (tensors: Iterable<tf.Tensor>) => Promise.all([...tensors].map(async (t) => [...(await t.data())]));

describeEngine(`memory files on ${engineName}`, () => {
  it('make training and consolidating go on as if never saved', async () => {
    const run = async (interrupt: boolean) => {
      const kernelInitializer = tf.initializers.glorotUniform({seed: 5});
      const model = tf.sequential({
        layers: [
          tf.layers.conv2d({inputShape: [5, 5, 2], filters: 3, kernelSize: 2, activation: 'relu', kernelInitializer}),
          tf.layers.flatten(),
          tf.layers.dense({units: 3, kernelInitializer}),
        ],
      });
      let mas = new MemoryAwareSynapses(model, {lambda: 3});
      const x = tf.randomNormal([12, 5, 5, 2], 0, 1, 'float32', 7);
      const y = tf.tensor2d(Array.from({length: 12}, (_, i) => [0, 1, 2].map((c) => Number(i % 3 === c))));
      const train = () => {
        const optimizer = mas.optimizer(tf.train.adam(0.01));
        const loss = () => tf.losses.softmaxCrossEntropy(y, model.apply(x) as tf.Tensor) as tf.Scalar;
        for (let i = 0; i < 10; i++) optimizer.minimize(loss);
        optimizer.dispose();
      };
      train();
      await mas.consolidate(x);
      if (interrupt) {
        let bytes = new Uint8Array();
        const write = async (saved: Uint8Array) => {
          bytes = saved.slice();
        };
        const store = {write, read: async () => bytes};
        await mas.save(store);
        const before = await read([...mas.importance.values(), ...mas.anchor.values()]);
        mas.dispose();
        mas = new MemoryAwareSynapses(model, {lambda: 3});
        await mas.load(store);
        expect(await read([...mas.importance.values(), ...mas.anchor.values()])).toEqual(before);
        const saved = bytes;
        await mas.save(store);
        expect(bytes).toEqual(saved);
      }
      train();
      await mas.consolidate(x);
      const result = {
        weights: await read(model.getWeights()),
        memory: await read([...mas.importance.values(), ...mas.anchor.values()]),
        tasks: [...mas.tasks.values()],
      };
      tf.dispose([x, y]);
      mas.dispose();
      model.dispose();
      return result;
    };
    const uninterrupted = await run(false);
    const {numTensors} = tf.memory();
    expect(await run(true)).toEqual(uninterrupted);
    expect(tf.memory().numTensors).toBe(numTensors);
  });
});
