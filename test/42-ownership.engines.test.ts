/** Nobody's data is touched: what a user took out of the network stays as it was, whatever training does afterwards. */
import * as tf from '@tensorflow/tfjs';
import {expect, it} from 'vitest';
import {MemoryAwareSynapses} from '../dist/index.js';
import {describeEngine, engineName} from './engine.js';

describeEngine(`data that users hold, on ${engineName}`, () => {
  it('survives steps, consolidations and disposals, 1000 of them', async () => {
    const array = Float32Array.from({length: 20}, (_, i) => i / 10 - 1);
    const original = array.slice();
    const w = tf.variable(tf.tensor2d(array, [5, 4]));
    const forward = (x: tf.Tensor | tf.Tensor[]) => tf.matMul(x as tf.Tensor2D, w as unknown as tf.Tensor2D);
    const mas = new MemoryAwareSynapses({forward, variables: [w]}, {lambda: 0.1});
    const x = tf.randomNormal([8, 5], 0, 1, 'float32', 1);
    const xBefore = (await x.data()).slice();
    const held: tf.Tensor[] = [w.clone(), tf.slice(w, [1], [2]), tf.reshape(w, [20]), ...tf.split(w, 2, 1)];
    const snapshot = await w.data(); // on the CPU the live array itself
    const before = await Promise.all(
      [...held, snapshot].map(async (h) => (h instanceof tf.Tensor ? await h.data() : h).slice()),
    );
    const optimizer = mas.optimizer(tf.train.adam(0.05));
    const loss = () => tf.mean(tf.square(tf.sub(forward(x), 1))) as tf.Scalar;
    for (let i = 0; i < 1000; i++) {
      optimizer.minimize(loss, false, [w]);
      if (i % 250 === 100) {
        await mas.consolidate(x);
        held.push(w.clone(), mas.importance.get(w.name)!.clone(), mas.anchor.get(w.name)!.clone());
        for (const tensor of held.slice(-3)) before.splice(held.indexOf(tensor), 0, (await tensor.data()).slice());
      }
    }
    const masTensors = [...mas.importance.values()].map((t) => t.clone());
    const masBefore = await Promise.all(masTensors.map(async (t) => (await t.data()).slice()));
    mas.dispose();
    optimizer.dispose();
    for (let i = 0; i < 100; i++) tf.tidy(() => tf.relu(tf.randomNormal([5, 4])));
    for (const [i, tensor] of held.entries()) expect(await tensor.data(), `tensor ${i}`).toEqual(before[i]);
    for (const [i, tensor] of masTensors.entries()) expect(await tensor.data()).toEqual(masBefore[i]);
    expect(snapshot).toEqual(original);
    expect(array).toEqual(original);
    expect(await x.data()).toEqual(xBefore);
    tf.dispose([held, masTensors, x, w] as tf.TensorContainer);
  });
});
