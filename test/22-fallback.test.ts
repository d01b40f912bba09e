// What has no rule yet goes through one sample at a time: as exact, slower, and the record says why.
import * as tf from '@tensorflow/tfjs';
import {beforeAll, describe, expect, it} from 'vitest';
import type {NetworkLike} from '../dist/tape/index.js';
import {definition, deviation, exact, fill, measure, normal, plainNames, type Tensors, tapeOf} from './tape.js';

beforeAll(() => tf.setBackend('cpu'));

interface Case {
  network: () => NetworkLike & {variables: tf.Variable[]};
  data: () => tf.Tensor;
  rules: Record<string, string>;
  /** Why the other variables have none. */
  fallback: Record<string, RegExp>;
}

const layered =
  (...layers: (() => tf.layers.Layer)[]) =>
  () => {
    const model = fill(tf.sequential({layers: layers.map((layer) => layer())}));
    const variables = model.trainableWeights.map((weight) => weight.read() as tf.Variable);
    return {forward: (x: Tensors) => model.apply(x, {training: false}) as tf.Tensor, variables};
  };

let seeds = 60;
const plain =
  (shapes: Record<string, number[]>, forward: (x: tf.Tensor, v: Record<string, tf.Variable>) => Tensors) => () => {
    const byName = Object.fromEntries(
      Object.entries(shapes).map(([name, shape]) => [
        name,
        tf.variable(normal(shape, seeds++), true, `${name}_${seeds}`),
      ]),
    );
    return {forward: (x: Tensors) => forward(x as tf.Tensor, byName), variables: Object.values(byName)};
  };

const tokens = () => tf.tensor2d([0, 1, 2, 1, 3, 3, 4, 0, 1, 2, 2, 2], [3, 4], 'int32');
const sequences = () => normal([3, 4, 2], 5);
const vectors = () => normal([5, 3], 8);
const alone = /works on parameters and constants alone/;

const cases: Record<string, Case> = {
  'embedding and LSTM': {
    network: layered(
      () => tf.layers.embedding({inputDim: 5, outputDim: 3, inputLength: 4, name: 'embed'}),
      () => tf.layers.lstm({units: 3, name: 'lstm'}),
      () => tf.layers.dense({units: 2, name: 'head'}),
    ),
    data: tokens,
    rules: {
      'embed/embeddings': 'embedding',
      'lstm/kernel': 'dense over 4 rows a sample, 4 uses',
      'lstm/bias': 'bias, 4 uses',
      'head/kernel': 'dense',
      'head/bias': 'bias',
    },
    fallback: {'lstm/recurrent_kernel': alone},
  },
  'GRU, time-distributed': {
    network: layered(
      () => tf.layers.gru({units: 3, returnSequences: true, inputShape: [4, 2], name: 'gru'}),
      () => tf.layers.timeDistributed({layer: tf.layers.dense({units: 2}), name: 'time'}),
    ),
    data: sequences,
    rules: {
      'gru/kernel': 'dense over 4 rows a sample, 4 uses',
      'gru/bias': 'bias, 4 uses',
      'time/kernel': 'dense over 4 rows a sample, 4 uses',
      'time/bias': 'bias, 4 uses',
    },
    fallback: {'gru/recurrent_kernel': alone},
  },
  'layer norm': {
    network: layered(
      () => tf.layers.dense({units: 4, inputShape: [4, 2], name: 'one'}),
      () => tf.layers.layerNormalization({name: 'norm'}),
    ),
    data: sequences,
    rules: {'one/kernel': 'dense over 4 rows a sample', 'one/bias': 'bias'},
    fallback: {'norm/gamma': /^Tile works/, 'norm/beta': /^Tile works/},
  },
  attention: {
    network: plain({query: [2, 4], key: [2, 4], value: [2, 3], mix: [1, 1, 1]}, (x, {query, key, value, mix}) => {
      const project = (w: tf.Tensor) => {
        const rows = tf.matMul(tf.reshape(x, [-1, 2]), w);
        return tf.reshape(rows, [x.shape[0], 4, -1]) as tf.Tensor3D;
      };
      const weights = tf.softmax(tf.matMul(project(query), project(key), false, true));
      return tf.mul(tf.matMul(weights, project(value)), mix);
    }),
    data: sequences,
    rules: {
      query: 'dense over 4 rows a sample',
      key: 'dense over 4 rows a sample',
      value: 'dense over 4 rows a sample',
      mix: 'scale',
    },
    fallback: {},
  },
  'weights multiplied as a batch of matrices': {
    network: plain({stack: [2, 2, 3]}, (x, {stack}) => {
      const heads = tf.transpose(tf.reshape(x, [-1, 2, 2]), [1, 0, 2]);
      return tf.transpose(tf.matMul(heads, stack), [1, 0, 2]);
    }),
    data: () => normal([5, 4], 2),
    rules: {},
    fallback: {stack: /^BatchMatMul.b: there is no rule for a gradient made by BatchMatMul$/},
  },
  'weight normalisation': {
    network: plain({direction: [3, 2], gain: [2]}, (x, {direction, gain}) =>
      tf.matMul(x, tf.mul(tf.div(direction, tf.norm(direction, 2, 0)), gain)),
    ),
    data: vectors,
    rules: {},
    fallback: {direction: alone, gain: alone},
  },
  'a tied embedding and projection': {
    network: plain({table: [5, 3]}, (x, {table}) => {
      const words = tf.sum(tf.gather(table, tf.cast(x, 'int32')), 1);
      return tf.matMul(words as tf.Tensor2D, table as tf.Tensor2D, false, true);
    }),
    data: tokens,
    rules: {},
    fallback: {table: /used in a matrix product and in a lookup, which are not summed per sample yet/},
  },
  'columns looked up by ids': {
    network: plain({table: [3, 5]}, (x, {table}) =>
      tf.transpose(tf.gather(table, tf.reshape(tf.cast(x, 'int32'), [-1]), 1)).reshape([x.shape[0], -1]),
    ),
    data: tokens,
    rules: {},
    fallback: {table: /no rule for a transposed lookup/},
  },
  'a slice of a weight, and the weight': {
    network: plain({w: [3, 4]}, (x, {w}) => [tf.matMul(x, w), tf.matMul(x, tf.slice(w, [0, 1], [3, 2]))]),
    data: vectors,
    rules: {},
    fallback: {w: /^Slice works/},
  },
  'a weight that is a matrix here and a bias there': {
    network: plain({w: [1, 3]}, (x, {w}) => tf.add(tf.matMul(x, w, false, true), w)),
    data: vectors,
    rules: {},
    fallback: {w: /used in a sum and in a matrix product, which are not summed per sample yet/},
  },
  'a weight shaped into two different matrices': {
    network: plain({w: [6]}, (x, {w}) => [
      tf.matMul(x, tf.reshape(w, [3, 2])),
      tf.matMul(tf.slice(x, [0, 0], [-1, 2]), tf.reshape(w, [2, 3])),
    ]),
    data: vectors,
    rules: {},
    fallback: {w: /matrices of different shapes/},
  },
  'a filter used with two strides': {
    network: plain({f: [2, 2, 1, 1]}, (x, {f}) =>
      [1, 2].map((stride) => tf.conv2d(tf.reshape(x, [-1, 4, 4, 1]) as tf.Tensor4D, f as tf.Tensor4D, stride, 'same')),
    ),
    data: () => normal([3, 16], 4),
    rules: {},
    fallback: {f: /convolutions of different geometry/},
  },
  'a transposed filter': {
    network: plain({f: [2, 2, 1, 3]}, (x, {f}) => {
      const filter = tf.transpose(f, [0, 1, 3, 2]);
      return tf.conv2d(
        tf.reshape(x, [-1, 3, 3, 3]) as tf.Tensor4D,
        tf.reshape(filter, [2, 2, 3, 1]) as tf.Tensor4D,
        1,
        'same',
      );
    }),
    data: () => normal([3, 27], 4),
    rules: {f: 'convolution'},
    fallback: {},
  },
  'a filter turned by a quarter': {
    network: plain({f: [2, 2, 1, 1]}, (x, {f}) => {
      const turned = tf.transpose(f, [1, 0, 2, 3]) as tf.Tensor4D;
      return tf.conv2d(tf.reshape(x, [-1, 4, 4, 1]) as tf.Tensor4D, turned, 1, 'same');
    }),
    data: () => normal([3, 16], 4),
    rules: {},
    fallback: {f: /no rule for a transposed 2-D convolution/},
  },
  'a parameter with a row for every sample': {
    network: plain({rows: [5, 3]}, (x, {rows}) => tf.mul(x, tf.slice(rows, [0, 0], [x.shape[0], 3]))),
    data: vectors,
    rules: {},
    fallback: {rows: /^the outputs for one sample depend on the other samples/},
  },
  'a custom gradient that reads values': {
    network: plain({w: [3, 2], gain: [2]}, (x, {w, gain}) => {
      const scaled = tf.customGrad((y, z, save) => {
        (save as tf.GradSaveFunc)([y as tf.Tensor, z as tf.Tensor]);
        const gradFunc = (dy: tf.Tensor, [values, factor]: tf.Tensor[]) => {
          const sum = tf.sum(tf.mul(dy, values), 0);
          return [tf.mul(dy, factor), tf.tensor(sum.dataSync(), sum.shape)];
        };
        return {value: tf.mul(y as tf.Tensor, z as tf.Tensor), gradFunc};
      });
      return scaled(tf.matMul(x, w), gain);
    }),
    data: vectors,
    rules: {w: 'dense'},
    fallback: {gain: /needs values, so it cannot be taken apart/},
  },
};

describe('the definition is met by', () => {
  it.each(Object.keys(cases))('%s', async (name) => {
    const {network, data, rules, fallback} = cases[name];
    const {forward, variables} = network() as {forward: (x: Tensors) => Tensors; variables: tf.Variable[]};
    const x = data();
    const tape = tapeOf({forward, variables}, 'output');
    const measured = await measure(tape, [x, x]);
    expect(deviation(measured.sums, definition(forward, variables, [x, x]))).toBeLessThanOrEqual(exact);
    expect(plainNames(measured.rules)).toEqual(rules);
    expect(plainNames(measured.fallback)).toEqual(
      Object.fromEntries(Object.entries(fallback).map(([variable, why]) => [variable, expect.stringMatching(why)])),
    );
  });
});

describe('the loop over single samples', () => {
  const network = cases['weight normalisation'].network;

  it('gives every sample its own gradient, in order, and frees it', async () => {
    const {forward, variables} = network() as {forward: (x: Tensors) => Tensors; variables: tf.Variable[]};
    const tape = tapeOf({forward, variables});
    const x = vectors();
    const before = tf.memory().numTensors;
    const seen: [string, tf.Tensor][] = [];
    await tape.eachSample(x, [variables[1].name], (name, gradient) => {
      expect(gradient.isDisposed).toBe(false);
      seen.push([name, gradient]);
    });
    expect(seen.map(([name]) => name)).toEqual(Array(5).fill(variables[1].name));
    expect(seen.every(([, gradient]) => gradient.isDisposed)).toBe(true);
    expect(tf.memory().numTensors).toBe(before);
    expect(tape.forwardPasses).toBe(5);
  });

  it('stops between samples when the signal says so', async () => {
    const {forward, variables} = network() as {forward: (x: Tensors) => Tensors; variables: tf.Variable[]};
    const controller = new AbortController();
    const x = vectors();
    const before = tf.memory().numTensors;
    let visits = 0;
    const loop = tapeOf({forward, variables}).eachSample(
      x,
      [variables[0].name],
      () => {
        if (++visits === 2) controller.abort(new Error('enough'));
      },
      controller.signal,
    );
    await expect(loop).rejects.toThrow('enough');
    expect(visits).toBe(2);
    expect(tf.memory().numTensors).toBe(before);
  });

  it('lets others run meanwhile', async () => {
    const {forward, variables} = network() as {forward: (x: Tensors) => Tensors; variables: tf.Variable[]};
    const slow = (x: Tensors) => {
      for (const end = performance.now() + 20; performance.now() < end; );
      return forward(x);
    };
    let ticks = 0;
    const timer = setInterval(() => ticks++, 1);
    await tapeOf({forward: slow, variables}).eachSample(normal([12, 3], 1), [variables[0].name], () => {});
    clearInterval(timer);
    expect(ticks).toBeGreaterThanOrEqual(2);
  });
});
