// Depthwise filters by rule: layers, shared and folded uses, fused kernels, random geometries.
import * as tf from '@tensorflow/tfjs';
import fc from 'fast-check';
import {beforeAll, describe, expect, it} from 'vitest';
import {definition, deviation, exact, fill, measure, normal, plainNames, type Tensors, tapeOf} from './tape.js';

beforeAll(() => tf.setBackend('cpu'));

type Pad = 'same' | 'valid' | number | [[0, 0], [number, number], [number, number], [0, 0]];
type Network = {forward: (x: Tensors) => Tensors; variables: tf.Variable[]};

let made = 0;
const filterOf = (...shape: number[]) => tf.variable(normal(shape, 40 + made++), true, `filter_${made}`);
const depthwise = (x: tf.Tensor, f: tf.Tensor, stride: number | [number, number], pad: Pad) =>
  tf.depthwiseConv2d(x as tf.Tensor4D, f as tf.Tensor4D, stride, pad as 'same');

function layered(...layers: tf.layers.Layer[]): Network {
  const model = fill(tf.sequential({layers}));
  const variables = model.trainableWeights.map((weight) => weight.read() as tf.Variable);
  return {forward: (x) => model.apply(x, {training: false}) as tf.Tensor, variables};
}
function plain(f: tf.Variable, forward: (x: tf.Tensor, f: tf.Tensor) => tf.Tensor): Network {
  return {forward: (x) => forward(x as tf.Tensor, f), variables: [f]};
}

/** Compares with the definition: batches of 1, 7, all 13, and a ragged end. */
async function expectExact(network: Network, inputShape: number[], rules: object, fallback: object = {}) {
  const data = normal([13, ...inputShape], 3);
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

describe('depthwise filters are measured exactly', () => {
  it('in depthwise and separable layers', async () => {
    const network = layered(
      tf.layers.depthwiseConv2d({kernelSize: 3, inputShape: [7, 6, 2], activation: 'relu', name: 'depth'}),
      tf.layers.separableConv2d({filters: 3, kernelSize: 2, depthMultiplier: 2, padding: 'same', name: 'separable'}),
      tf.layers.depthwiseConv2d({kernelSize: [2, 3], strides: 2, depthMultiplier: 3, useBias: false, name: 'strided'}),
      tf.layers.flatten({name: 'flat'}),
      tf.layers.dense({units: 3, name: 'head'}),
    );
    await expectExact(network, [7, 6, 2], {
      'depth/depthwise_kernel': 'depthwise convolution',
      'depth/bias': 'bias',
      'separable/depthwise_kernel': 'depthwise convolution',
      'separable/pointwise_kernel': 'convolution',
      'separable/bias': 'bias',
      'strided/depthwise_kernel': 'depthwise convolution',
      'head/kernel': 'dense',
      'head/bias': 'bias',
    });
  });

  it('where one filter is used twice', async () => {
    const twice = plain(filterOf(3, 3, 2, 1), (x, f) => depthwise(tf.tanh(depthwise(x, f, 1, 'same')), f, 1, 'same'));
    await expectExact(twice, [5, 4, 2], {filter: 'depthwise convolution, 2 uses'});
  });

  it('where frames are folded into the batch', async () => {
    const folded = plain(filterOf(2, 2, 2, 2), (x, f) => {
      const y = depthwise(tf.reshape(x, [-1, 4, 4, 2]), f, 2, 'valid');
      return tf.reshape(y, [x.shape[0], -1]);
    });
    await expectExact(folded, [3, 4, 4, 2], {filter: 'depthwise convolution'});
  });

  it('in a fused kernel, with explicit padding', async () => {
    const fused = plain(filterOf(3, 2, 3, 1), (x, filter) =>
      tf.fused.depthwiseConv2d({
        x: x as tf.Tensor4D,
        filter: filter as tf.Tensor4D,
        strides: [1, 2],
        pad: [
          [0, 0],
          [2, 1],
          [0, 1],
          [0, 0],
        ] as unknown as 'same',
        activation: 'relu',
      }),
    );
    await expectExact(fused, [4, 5, 3], {filter: 'depthwise convolution'});
  });

  it('in chunks where uses differ', async () => {
    const strides = plain(filterOf(2, 2, 2, 1), (x, f) =>
      tf.concat(
        [1, 2].map((stride) => tf.reshape(depthwise(x, f, stride, 'same'), [x.shape[0], -1])),
        1,
      ),
    );
    await expectExact(strides, [4, 4, 2], {filter: 'depthwise convolution, per-sample gradients in chunks'});
    const kinds = plain(filterOf(2, 2, 3, 1), (x, f) => {
      const y = depthwise(x, f, 1, 'valid') as tf.Tensor4D;
      return tf.conv2d(y, f as tf.Tensor4D, 1, 'same');
    });
    const rule = 'convolution and depthwise convolution, per-sample gradients in chunks';
    await expectExact(kinds, [4, 4, 3], {filter: rule});
  });

  it('by the fallback where frames come before samples', async () => {
    const folded = plain(filterOf(2, 2, 1, 2), (x, f) => {
      const frames = tf.reshape(tf.transpose(x, [1, 0, 2, 3, 4]), [-1, 3, 3, 1]);
      const y = tf.reshape(tf.tanh(depthwise(frames, f, 1, 'valid')), [2, x.shape[0], -1]);
      return tf.transpose(y, [1, 0, 2]);
    });
    const x = normal([4, 2, 3, 3, 1], 5);
    const measured = await measure(tapeOf(folded, 'output'), [x]);
    expect(Object.values(measured.fallback)).toEqual([expect.stringMatching(/not sorted by sample/)]);
    expect(deviation(measured.sums, definition(folded.forward, folded.variables, [x]))).toBeLessThanOrEqual(exact);
  });

  it('in random geometries', async () => {
    const small = fc.integer({min: 1, max: 3});
    const size = fc.integer({min: 3, max: 7});
    const geometry = fc.record({
      samples: fc.constantFrom(1, 2, 5),
      input: fc.tuple(size, size, small),
      filter: fc.tuple(small, small, small),
      stride: fc.tuple(small, small),
      pad: fc.oneof(
        fc.constantFrom<Pad>('same', 'valid'),
        fc.tuple(small, small).map<Pad>(([top, left]) => [
          [0, 0],
          [top, 1],
          [left, 0],
          [0, 0],
        ]),
      ),
      activation: fc.constantFrom(tf.tanh, tf.relu),
    });
    const property = fc.asyncProperty(geometry, async ({samples, input, filter, stride, pad, activation}) => {
      const f = filterOf(filter[0], filter[1], input[2], filter[2]);
      const {forward, variables} = plain(f, (x, w) => activation(depthwise(x, w, stride, pad)));
      const x = normal([samples, ...input], samples);
      const {sums, fallback} = await measure(tapeOf({forward, variables}, 'output'), [x]);
      expect(fallback).toEqual({});
      expect(deviation(sums, definition(forward, variables, [x]))).toBeLessThanOrEqual(exact);
      tf.dispose([x, f]);
    });
    await fc.assert(property, {numRuns: 60, seed: Number(process.env.ENGRAM_SEED ?? 1)});
  });
});
