// Recurrent layers by rule: every step is a use, also the first one, whose state is a constant, and gates cut from a kernel.
import * as tf from '@tensorflow/tfjs';
import fc from 'fast-check';
import {beforeAll, describe, it} from 'vitest';
import {expectExact, normal, plainCode, plainModel} from './tape.js';

beforeAll(() => tf.setBackend('cpu'));

const {bidirectional, dense, embedding, gru, lstm, simpleRNN, timeDistributed} = tf.layers;
const sequential = (...layers: tf.layers.Layer[]) => plainModel(tf.sequential({layers}));
// The default orthogonal initializer needs more steps than a test has time for; fill() replaces the values anyway.
const recurrentInitializer = 'glorotUniform';

describe('recurrent layers are measured exactly', () => {
  it('LSTM on embedded words', () =>
    expectExact(
      sequential(
        embedding({inputDim: 5, outputDim: 3, inputLength: 4, name: 'embed'}),
        lstm({units: 3, recurrentInitializer, name: 'lstm'}),
        dense({units: 2, name: 'head'}),
      ),
      tf.randomUniform([13, 4], 0, 5, 'int32', 2),
      {
        'embed/embeddings': 'embedding',
        'lstm/kernel': 'dense over 4 rows a sample, 4 uses',
        'lstm/recurrent_kernel': 'dense over 4 rows a sample, 4 uses',
        'lstm/bias': 'bias, 4 uses',
        'head/kernel': 'dense',
        'head/bias': 'bias',
      },
    ));

  it('GRU, whose recurrent kernel is cut in two, and a layer at every step', () =>
    expectExact(
      sequential(
        gru({units: 3, returnSequences: true, recurrentInitializer, inputShape: [4, 2], name: 'gru'}),
        timeDistributed({layer: dense({units: 2}), name: 'time'}),
      ),
      normal([13, 4, 2], 5),
      {
        'gru/kernel': 'dense over 4 rows a sample, 4 uses',
        'gru/recurrent_kernel': 'dense over 8 rows a sample, 8 uses',
        'gru/bias': 'bias, 4 uses',
        'time/kernel': 'dense over 4 rows a sample, 4 uses',
        'time/bias': 'bias, 4 uses',
      },
    ));

  it('simple RNNs in both directions', () =>
    expectExact(
      sequential(
        bidirectional({
          layer: simpleRNN({units: 3, recurrentInitializer, name: 'rnn'}) as tf.RNN,
          mergeMode: 'concat',
          inputShape: [3, 2],
          name: 'both',
        }),
      ),
      normal([13, 3, 2], 6),
      {
        'both/forward_rnn/kernel': 'dense over 3 rows a sample, 3 uses',
        'both/forward_rnn/recurrent_kernel': 'dense over 3 rows a sample, 3 uses',
        'both/forward_rnn/bias': 'bias, 3 uses',
        'both/backward_rnn/kernel': 'dense over 3 rows a sample, 3 uses',
        'both/backward_rnn/recurrent_kernel': 'dense over 3 rows a sample, 3 uses',
        'both/backward_rnn/bias': 'bias, 3 uses',
      },
    ));

  it('stacked LSTMs that return all their states', () =>
    expectExact(
      sequential(
        lstm({units: 3, returnSequences: true, recurrentInitializer, inputShape: [3, 2], name: 'one'}),
        lstm({units: 2, returnSequences: true, goBackwards: true, recurrentInitializer, name: 'two'}),
      ),
      normal([13, 3, 2], 7),
    ));

  it('convolutional LSTM, whose kernels are cut in four', () =>
    expectExact(
      sequential(
        tf.layers.convLstm2d({
          filters: 2,
          kernelSize: 2,
          padding: 'same',
          recurrentInitializer,
          inputShape: [2, 4, 3, 2],
          name: 'conv',
        }) as unknown as tf.layers.Layer,
      ),
      normal([13, 2, 4, 3, 2], 8),
      {
        'conv/kernel': 'convolution, 8 uses',
        'conv/recurrent_kernel': 'convolution, 8 uses',
        'conv/bias': 'bias, 8 uses',
      },
    ));

  it('a first state that is learned, and repeated for every sample', () =>
    expectExact(
      plainCode({state: [1, 3], kernel: [2, 3], recurrent: [3, 3]}, (x, {state, kernel, recurrent}) => {
        let h: tf.Tensor = tf.tile(state, [x.shape[0], 1]);
        for (const step of tf.unstack(x, 1)) h = tf.tanh(tf.add(tf.matMul(step, kernel), tf.matMul(h, recurrent)));
        return h;
      }),
      normal([13, 3, 2], 9),
      {
        state: 'broadcast',
        kernel: 'dense over 3 rows a sample, 3 uses',
        recurrent: 'dense over 3 rows a sample, 3 uses',
      },
    ));

  it('a first state that is a constant other than zero, added to and scaled by parameters', () =>
    expectExact(
      plainCode({shift: [3], slope: [3], recurrent: [3, 3]}, (x, {shift, slope, recurrent}) => {
        const first = tf.mul(tf.add(tf.fill([x.shape[0], 3], 0.5), shift), slope);
        return tf.mul(x, tf.tanh(tf.matMul(first, recurrent)));
      }),
      normal([13, 3], 10),
      {shift: 'bias', slope: 'scale', recurrent: 'dense'},
    ));

  it('of random sizes', async () => {
    const small = fc.integer({min: 1, max: 5});
    const kinds = {lstm, gru, simpleRNN};
    const sizes = fc.record({
      kind: fc.constantFrom(...(Object.keys(kinds) as (keyof typeof kinds)[])),
      steps: small,
      width: small,
      units: small,
      useBias: fc.boolean(),
      goBackwards: fc.boolean(),
      returnSequences: fc.boolean(),
      seed: fc.nat(1000),
    });
    const property = fc.asyncProperty(sizes, async ({kind, steps, width, seed, ...config}) => {
      const layer = kinds[kind]({...config, recurrentInitializer, inputShape: [steps, width]}) as tf.layers.Layer;
      await expectExact(sequential(layer), normal([13, steps, width], seed));
    });
    await fc.assert(property, {numRuns: 20, seed: Number(process.env.ENGRAM_SEED ?? 1)});
  });
});
