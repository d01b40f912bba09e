/** The penalty as a loss term: its value and gradient are those of the written-out sum. */
import * as tf from '@tensorflow/tfjs';
import {expect, it} from 'vitest';
import {MemoryAwareSynapses} from '../dist/index.js';
import {describeEngine, engineName} from './engine.js';

describeEngine(`mas.penalty() on ${engineName}`, () => {
  it('is zero before the first task and the written-out sum after it', async () => {
    const w = tf.variable(tf.randomNormal([4, 3], 0, 1, 'float32', 1));
    const bias = tf.variable(tf.randomNormal([3], 0, 1, 'float32', 2));
    const forward = (x: tf.Tensor | tf.Tensor[]) =>
      tf.add(tf.matMul(x as tf.Tensor2D, w as unknown as tf.Tensor2D), bias);
    const mas = new MemoryAwareSynapses({forward, variables: [w, bias]}, {lambda: 0.7});
    const before = mas.penalty();
    expect((await before.data())[0]).toBe(0);
    const x = tf.randomNormal([10, 4], 0, 1, 'float32', 3);
    await mas.consolidate(x);
    w.assign(tf.tidy(() => tf.add(w, 0.1)));
    bias.assign(tf.tidy(() => tf.mul(bias, 1.2)));
    const writtenOut = () =>
      tf.tidy(() =>
        tf.mul(
          0.7,
          tf.addN(
            [w, bias].map((v) =>
              tf.sum(tf.mul(mas.importance.get(v.name)!, tf.square(tf.sub(v, mas.anchor.get(v.name)!)))),
            ),
          ),
        ),
      ) as tf.Scalar;
    const actual = tf.variableGrads(() => tf.mul(mas.penalty(), 3) as tf.Scalar, [w, bias]);
    const expected = tf.variableGrads(() => tf.mul(writtenOut(), 3) as tf.Scalar, [w, bias]);
    const [a, b] = [await actual.value.data(), await expected.value.data()];
    expect(Math.abs(a[0] - b[0]) / b[0]).toBeLessThan(1e-5);
    for (const name of Object.keys(expected.grads)) {
      const [g, truth] = [await actual.grads[name].data(), await expected.grads[name].data()];
      for (const [i, value] of truth.entries())
        expect(Math.abs(g[i] - value)).toBeLessThan(1e-5 * (1 + Math.abs(value)));
    }
    tf.dispose([actual, expected, before, x, w, bias] as tf.TensorContainer);
    mas.dispose();
  });
});
