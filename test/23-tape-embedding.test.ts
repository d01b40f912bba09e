// Embeddings by rule: layers, several uses of one table, ids that name no row, random tables and sentences.
import * as tf from '@tensorflow/tfjs';
import fc from 'fast-check';
import {beforeAll, describe, expect, it} from 'vitest';
import {definition, deviation, exact, fill, measure, normal, plainNames, type Tensors, tapeOf} from './tape.js';

beforeAll(() => tf.setBackend('cpu'));

type Network = {forward: (x: Tensors) => Tensors; variables: tf.Variable[]};

let made = 0;
const tableOf = (...shape: number[]) => tf.variable(normal(shape, 70 + made++), true, `table_${made}`) as tf.Variable;
const look = (table: tf.Tensor, ids: tf.Tensor) => tf.gather(table, tf.cast(ids, 'int32'));
const plain = (table: tf.Variable, forward: (x: tf.Tensor, table: tf.Tensor) => tf.Tensor): Network => ({
  forward: (x) => forward(x as tf.Tensor, table),
  variables: [table],
});
const sentences = (samples: number, length: number, rows: number, seed: number) =>
  tf.randomUniform([samples, length], 0, rows, 'int32', seed);

/** Compares with the definition: batches of 1, 7, all 13, and a ragged end. */
async function expectExact(network: Network, rules: object, fallback: object = {}) {
  const data = sentences(13, 5, 6, 3);
  const part = (from: number, size: number) => tf.slice(data, [from], [size]);
  const tape = tapeOf(network, 'output');
  for (const batches of [[part(4, 1)], [part(3, 7)], [data], [part(0, 5), part(5, 5), part(10, 3)]]) {
    const measured = await measure(tape, batches);
    const worst = deviation(measured.sums, definition(network.forward, network.variables, batches));
    expect(worst).toBeLessThanOrEqual(exact);
    expect(plainNames(measured.rules)).toEqual(rules);
    expect(plainNames(measured.fallback)).toEqual(fallback);
  }
  tf.dispose([data, ...network.variables]);
}

describe('embeddings are measured exactly', () => {
  it('before a dense layer', async () => {
    const layers = [
      tf.layers.embedding({inputDim: 6, outputDim: 4, inputLength: 5, name: 'embed'}),
      tf.layers.flatten({name: 'flat'}),
      tf.layers.dense({units: 3, activation: 'relu', name: 'one'}),
      tf.layers.dense({units: 2, name: 'head'}),
    ];
    const model = fill(tf.sequential({layers}));
    const variables = model.trainableWeights.map((weight) => weight.read() as tf.Variable);
    await expectExact(
      {forward: (x) => model.apply(x) as tf.Tensor, variables},
      {
        'embed/embeddings': 'embedding',
        'one/kernel': 'dense',
        'one/bias': 'bias',
        'head/kernel': 'dense',
        'head/bias': 'bias',
      },
    );
  });

  it('where one table is used for words and for their neighbours', async () => {
    const twice = plain(tableOf(6, 4), (x, table) => {
      const [words, next] = [look(table, x), look(table, tf.slice(x, [0, 1]))];
      return tf.mul(tf.sum(tf.tanh(words), 1), tf.sum(next, 1));
    });
    await expectExact(twice, {table: 'embedding, 2 uses'});
  });

  it('where a row is a matrix or a number', async () => {
    await expectExact(
      plain(tableOf(6, 2, 3), (x, table) => tf.sum(tf.tanh(look(table, x)), 1)),
      {table: 'embedding'},
    );
    await expectExact(
      plain(tableOf(6), (x, table) => tf.tanh(look(table, x))),
      {table: 'embedding'},
    );
  });

  it('in chunks where the table is also read as another one', async () => {
    const reshaped = plain(tableOf(6, 4), (x, table) =>
      tf.concat(
        [look(table, x), look(tf.reshape(table, [12, 2]), x)].map((y) => tf.reshape(y, [x.shape[0], -1])),
        1,
      ),
    );
    await expectExact(reshaped, {table: 'embedding, per-sample gradients in chunks'});
  });

  it('by the fallback where words come before samples, also where ids alone tell', async () => {
    const turned = plain(tableOf(6, 3), (x, table) => tf.transpose(tf.tanh(look(table, tf.transpose(x))), [1, 0, 2]));
    // Large ids that differ little: rounding must not make them the same.
    const large = plain(tableOf(5000, 2), (x, table) => {
      const ids = tf.add(tf.transpose(x), 4990);
      return tf.reshape(tf.transpose(look(table, ids), [1, 0, 2]), [x.shape[0], -1]);
    });
    for (const network of [turned, large]) {
      const x = sentences(4, 3, 6, 8);
      const measured = await measure(tapeOf(network, 'output'), [x]);
      expect(Object.values(measured.fallback)).toEqual([expect.stringMatching(/not sorted by sample/)]);
      const expected = definition(network.forward, network.variables, [x]);
      expect(deviation(measured.sums, expected)).toBeLessThanOrEqual(exact);
    }
  });

  it('in random tables', async () => {
    const small = fc.integer({min: 1, max: 6});
    const shape = fc.record({
      samples: fc.constantFrom(1, 2, 5, 9),
      length: small,
      rows: small,
      columns: small,
      uses: fc.constantFrom(1, 3),
      seed: fc.nat(1000),
    });
    const property = fc.asyncProperty(shape, async ({samples, length, rows, columns, uses, seed}) => {
      const {forward, variables} = plain(tableOf(rows, columns), (x, table) => {
        const all = Array.from({length: uses}, (_, i) => look(table, tf.mod(tf.add(x, i), rows)));
        return tf.tanh(tf.addN(all));
      });
      const x = sentences(samples, length, rows, seed);
      const {sums, fallback} = await measure(tapeOf({forward, variables}, 'output'), [x]);
      expect(fallback).toEqual({});
      expect(deviation(sums, definition(forward, variables, [x]))).toBeLessThanOrEqual(exact);
      tf.dispose([x, ...variables]);
    });
    await fc.assert(property, {numRuns: 60, seed: Number(process.env.ENGRAM_SEED ?? 1)});
  });
});
