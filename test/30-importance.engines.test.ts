/** Importance is exact: it equals the definition, for every batch size and order, by a rule and not by a loop. */
import * as tf from '@tensorflow/tfjs';
import {expect, it} from 'vitest';
import {estimateImportance} from '../dist/index.js';
import {describeEngine, deviation, engineName, exactness} from './engine.js';
import {goldenCases, goldenNetwork} from './golden.js';
import {batchOfOne, variablesOf} from './networks.js';

async function read(importance: Map<string, tf.Tensor>): Promise<Map<string, ArrayLike<number>>> {
  const values = new Map<string, ArrayLike<number>>();
  for (const [name, omega] of importance) {
    values.set(name, await omega.data());
    omega.dispose();
  }
  return values;
}

describeEngine(`importance on ${engineName}`, () => {
  for (const golden of goldenCases) {
    it(`equals float64 PyTorch: ${golden.name}`, async () => {
      const {network, variables, samples, dispose} = goldenNetwork(golden);
      // Not tf.reverse, which fails beyond rank 4 on tfjs' WebGPU backend.
      const reversed = samples.map((x) => tf.tidy(() => tf.gather(x, tf.range(x.shape[0] - 1, -1, -1, 'int32'))));
      for (const [data, batchSize] of [
        [samples, 1],
        [samples, 9],
        [samples, 4],
        [reversed, 2],
      ] as const) {
        const {importance, report} = await estimateImportance(network, data, {batchSize});
        const values = await read(importance);
        for (const [i, variable] of variables.entries()) {
          const error = deviation(values.get(variable.name)!, golden.importance[i].values);
          expect(error, `${variable.name} at batch size ${batchSize}`).toBeLessThanOrEqual(exactness);
        }
        expect(report.samples).toBe(9);
        expect(report.parameters.map(({fallback}) => fallback)).toEqual(report.parameters.map(() => null));
        expect(report.parameters.every(({rule}) => rule !== null)).toBe(true);
      }
      tf.dispose(reversed);
      dispose();
    });
  }

  it('needs at most two forward passes a batch once the certificate is there', async () => {
    const {network, dispose} = goldenNetwork(goldenCases[0]);
    const few = tf.randomNormal([64, 6]);
    const many = tf.randomNormal([20 * 32, 6]);
    const short = await estimateImportance(network, few, {batchSize: 32});
    const long = await estimateImportance(network, many, {batchSize: 32});
    const passesPerBatch = (long.report.forwardPasses - short.report.forwardPasses) / 18;
    expect(passesPerBatch).toBeLessThanOrEqual(2);
    tf.dispose([few, many, [...short.importance.values()], [...long.importance.values()]]);
    dispose();
  });

  it('equals the batch-of-one loop on a wider network and batches of 1, 7, 32 with a ragged end', async () => {
    const model = tf.sequential({
      layers: [
        tf.layers.conv2d({inputShape: [11, 10, 3], filters: 8, kernelSize: 3, strides: 2, activation: 'relu'}),
        tf.layers.batchNormalization(),
        tf.layers.flatten(),
        tf.layers.dense({units: 33, activation: 'relu'}),
        tf.layers.dense({units: 17}),
      ],
    });
    const samples = tf.randomNormal([39, 11, 10, 3], 0, 1, 'float32', 5);
    const forward = (x: tf.Tensor) => model.apply(x, {training: false}) as tf.Tensor;
    const expected = await batchOfOne(forward, variablesOf(model), samples);
    for (const batchSize of [1, 7, 32]) {
      const values = await read((await estimateImportance(model, samples, {batchSize})).importance);
      for (const [name, omega] of expected) expect(deviation(values.get(name)!, omega), name).toBeLessThan(exactness);
    }
    samples.dispose();
    model.dispose();
  });

  it('matches through the fallback, and says so, where a parameter cannot be taken apart', async () => {
    const w = tf.variable(tf.randomNormal([3, 2], 0, 1, 'float32', 1));
    // Samples that are not the slowest axis.
    const forward = (x: tf.Tensor | tf.Tensor[]) => {
      const rows = tf.matMul(tf.reshape(tf.transpose(x as tf.Tensor, [1, 0, 2]), [-1, 3]), w as tf.Tensor2D);
      return tf.transpose(tf.reshape(tf.tanh(rows), [2, -1, 2]), [1, 0, 2]);
    };
    const samples = tf.randomNormal([6, 2, 3], 0, 1, 'float32', 3);
    const expected = await batchOfOne(forward, [w], samples);
    const {importance, report} = await estimateImportance({forward, variables: [w]}, samples, {batchSize: 4});
    const values = await read(importance);
    for (const [name, omega] of expected) expect(deviation(values.get(name)!, omega), name).toBeLessThan(exactness);
    expect(report.parameters).toMatchObject([{rule: null, fallback: expect.stringMatching(/not sorted by sample/)}]);
    tf.dispose([samples, w]);
  });
});
