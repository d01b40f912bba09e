// Uses that do not fit one kernel call are added up sample by sample, in chunks: still one backward pass for the batch.
import * as tf from '@tensorflow/tfjs';
import {beforeAll, describe, expect, it} from 'vitest';
import {countKernels, expectExact, measure, normal, plainCode, plainModel, tapeOf} from './tape.js';

beforeAll(() => tf.setBackend('cpu'));

const inChunks = ', per-sample gradients in chunks';
const words = (length: number) => tf.randomUniform([13, length], 0, 5, 'int32', 3);
const look = (table: tf.Tensor, x: tf.Tensor, axis = 0) => tf.gather(table, tf.cast(x, 'int32'), axis);
const matrix = (x: tf.Tensor) => x as tf.Tensor2D;

describe('a parameter is measured exactly that is', () => {
  it('an embedding and the projection back to words', () =>
    expectExact(
      plainCode({table: [5, 3]}, (x, {table}) =>
        tf.matMul(matrix(tf.tanh(tf.sum(look(table, x), 1))), matrix(table), false, true),
      ),
      words(4),
      {table: `dense and embedding${inChunks}`},
    ));

  it('looked up along its columns', () =>
    expectExact(
      plainCode({table: [3, 5]}, (x, {table}) => {
        const columns = look(table, tf.reshape(x, [-1]), 1);
        return tf.tanh(tf.reshape(tf.transpose(columns), [x.shape[0], -1]));
      }),
      words(4),
      {table: `embedding${inChunks}`},
    ));

  it('a matrix here and a bias there', () =>
    expectExact(
      plainCode({w: [1, 3]}, (x, {w}) => tf.add(tf.matMul(matrix(x), matrix(w), false, true), tf.tanh(w))),
      normal([13, 3], 1),
    ));

  it('shaped into two different matrices', () =>
    expectExact(
      plainCode({w: [6]}, (x, {w}) => [
        tf.matMul(matrix(x), tf.reshape(w, [3, 2])),
        tf.matMul(tf.slice(matrix(x), [0, 0], [-1, 2]), tf.reshape(w, [2, 3])),
      ]),
      normal([13, 3], 2),
      {w: `dense${inChunks}`},
    ));

  it('a filter with two strides, and a filter turned by a quarter', () =>
    expectExact(
      plainCode({f: [2, 2, 1, 1], turned: [2, 2, 1, 1]}, (x, {f, turned}) => {
        const images = tf.reshape(x, [-1, 4, 4, 1]) as tf.Tensor4D;
        const quarter = tf.transpose(turned, [1, 0, 2, 3]) as tf.Tensor4D;
        return [
          tf.conv2d(images, f as tf.Tensor4D, 1, 'same'),
          tf.conv2d(images, f as tf.Tensor4D, 2, 'same'),
          tf.conv2d(images, quarter, 1, 'same'),
        ];
      }),
      normal([13, 16], 4),
      {f: `convolution${inChunks}`, turned: `convolution${inChunks}`},
    ));

  it('a filter for frames that are folded into the batch, twice', () =>
    expectExact(
      plainCode({f: [2, 2, 1, 1]}, (x, {f}) => {
        const frames = tf.reshape(x, [-1, 4, 4, 1]) as tf.Tensor4D;
        const y = tf.tanh(tf.conv2d(frames, f as tf.Tensor4D, 2, 'same'));
        return tf.reshape(tf.conv2d(y, f as tf.Tensor4D, 1, 'valid'), [x.shape[0], -1]);
      }),
      normal([13, 3, 16], 4),
      {f: `convolution${inChunks}`},
    ));

  it('a stack of matrices, a head each', () =>
    expectExact(
      plainCode({stack: [2, 2, 3], back: [2, 2, 3]}, (x, {stack, back}) => {
        const heads = tf.transpose(tf.reshape(x, [-1, 2, 2]), [1, 0, 2]);
        const hidden = tf.tanh(tf.matMul(heads, stack));
        return tf.reshape(tf.transpose(tf.matMul(hidden, back, false, true), [1, 0, 2]), [x.shape[0], -1]);
      }),
      normal([13, 12], 2),
      {stack: `stack of dense${inChunks}`, back: `stack of dense${inChunks}`},
    ));
});

describe('a part of a parameter is measured in its place', () => {
  it('columns and rows of a matrix, beside the whole', () =>
    expectExact(
      plainCode({w: [3, 4]}, (x, {w}) => [
        tf.matMul(matrix(x), matrix(w)),
        tf.matMul(matrix(x), tf.slice(matrix(w), [0, 1], [3, 2])),
        tf.matMul(tf.slice(matrix(x), [0, 0], [-1, 2]), tf.slice(matrix(w), [1, 0], [2, 4])),
      ]),
      normal([13, 3], 3),
      {w: 'dense over 3 rows a sample, 3 uses'},
    ));

  it('a block that is cut on two axes, and a part of a part', () =>
    expectExact(
      plainCode({w: [4, 4]}, (x, {w}) => [
        tf.matMul(matrix(x), tf.slice(matrix(w), [1, 1], [3, 2])),
        tf.matMul(matrix(x), tf.slice(tf.slice(matrix(w), [1, 0], [3, 4]), [0, 2], [3, 1])),
      ]),
      normal([13, 3], 3),
      {w: `dense through Slice${inChunks}`},
    ));

  it('biases, scales and transposed parts', () =>
    expectExact(
      plainCode({b: [6], s: [2, 3, 2], w: [5, 3]}, (x, {b, s, w}) => {
        const [shift, slope] = tf.split(b, 2);
        const middle = tf.reshape(tf.slice(s, [0, 1, 0], [2, 1, 2]), [4]);
        const shifted = tf.tanh(tf.add(tf.mul(x, slope), shift));
        const scaled = tf.mul(
          tf.pad(matrix(shifted), [
            [0, 0],
            [0, 1],
          ]),
          middle,
        );
        return [scaled, tf.matMul(matrix(shifted), tf.transpose(tf.slice(matrix(w), [2, 0], [2, 3])))];
      }),
      normal([13, 3], 3),
      {b: 'bias and scale, 2 uses', s: 'scale', w: 'dense'},
    ));

  it('the first rows of learned positions, looked up by constants', () =>
    expectExact(
      plainCode({cut: [6, 2], looked: [6, 2]}, (x, {cut, looked}) => {
        const [, length] = x.shape;
        const positions = tf.gather(looked, tf.range(0, length!, 1, 'int32'));
        return tf.tanh(tf.add(tf.add(x, tf.slice(cut, [0, 0], [length!, 2])), positions));
      }),
      normal([13, 4, 2], 3),
      {cut: 'bias', looked: `bias through GatherV2${inChunks}`},
    ));
});

describe('weights that are computed before they meet the data are measured exactly', () => {
  it('weight normalisation', () =>
    expectExact(
      plainCode({direction: [3, 2], gain: [2]}, (x, {direction, gain}) =>
        tf.matMul(matrix(x), tf.mul(tf.div(direction, tf.norm(direction, 2, 0)), gain)),
      ),
      normal([13, 3], 8),
      {
        direction: `dense through Abs, Cast, Pow, Sum, Sqrt, Reshape, RealDiv, Multiply${inChunks}`,
        gain: `dense through Multiply${inChunks}`,
      },
    ));

  it('low-rank weights beside a frozen matrix, and a mask of constants', () =>
    expectExact(
      plainCode({down: [2, 1], up: [1, 4], masked: [4, 2]}, (x, {down, up, masked}) => {
        const w = tf.add(tf.ones([2, 4]), tf.matMul(matrix(down), matrix(up)));
        const mask = tf.tensor2d([1, 0, 1, 1, 1, 0, 0, 1], [4, 2]);
        return tf.matMul(tf.tanh(tf.matMul(matrix(x), matrix(w))), tf.mul(masked, mask));
      }),
      normal([13, 2], 8),
    ));

  it('weights of which one is used by itself as well', () =>
    expectExact(
      plainCode({w: [3, 3], scale: []}, (x, {w, scale}) => {
        const hidden = tf.tanh(tf.matMul(matrix(x), tf.mul(matrix(w), scale)));
        return tf.mul(tf.matMul(hidden as tf.Tensor2D, matrix(w)), scale);
      }),
      normal([13, 3], 8),
    ));
});

describe('layers that repeat their parameters for every sample are measured exactly', () => {
  it('layer normalisation over one axis and two', () =>
    expectExact(
      plainModel(
        tf.sequential({
          layers: [
            tf.layers.dense({units: 4, inputShape: [4, 2], name: 'one'}),
            tf.layers.layerNormalization({name: 'norm'}),
            tf.layers.layerNormalization({axis: [1, 2], name: 'both'}),
          ],
        }),
      ),
      normal([13, 4, 2], 6),
      {
        'one/kernel': 'dense over 4 rows a sample',
        'one/bias': 'bias',
        'norm/gamma': 'broadcast',
        'norm/beta': 'broadcast',
        'both/gamma': 'broadcast',
        'both/beta': 'broadcast',
      },
    ));

  it('matrices tiled over the batch, and rows tiled within a sample', () =>
    expectExact(
      plainCode({w: [1, 2, 3], row: [2, 3]}, (x, {w, row}) => {
        const products = tf.matMul(x, tf.tile(w, [x.shape[0], 1, 1]));
        return tf.mul(products, tf.reshape(tf.tile(row, [x.shape[0], 2]), [-1, 4, 3]));
      }),
      normal([13, 4, 2], 3),
      {w: 'broadcast', row: 'broadcast'},
    ));
});

describe('chunks', () => {
  it('cost one forward and one backward pass, and leave no tensor', async () => {
    const network = plainCode({table: [5, 3], v: [3, 3]}, (x, {table, v}) => {
      const hidden = tf.matMul(matrix(tf.sum(look(table, x), 1)), tf.mul(v, v) as tf.Tensor2D);
      return tf.matMul(hidden, matrix(table), false, true);
    });
    const tape = tapeOf(network);
    const x = words(4);
    await measure(tape, [x]);
    const {numTensors} = tf.memory();
    const passes = tape.forwardPasses;
    const counts = await countKernels(() => measure(tape, [x]));
    expect(tape.forwardPasses - passes).toBe(1);
    expect(counts.GatherV2).toBe(1);
    expect(tf.memory().numTensors).toBe(numTensors);
  });

  it('hold so many samples as memory allows, at least one', async () => {
    const network = plainCode({w: [1200, 1500]}, (x, {w}) => {
      const wide = tf.matMul(matrix(x), tf.slice(matrix(w), [0, 0], [3, 1500]));
      return tf.matMul(tf.tanh(wide), tf.transpose(tf.slice(matrix(w), [5, 0], [4, 1500]), [1, 0]));
    });
    const mixed = plainCode({table: [30_000, 50]}, (x, {table}) =>
      tf.matMul(matrix(tf.sum(look(table, x), 1)), tf.reshape(table, [50, -1]) as tf.Tensor2D),
    );
    const one = await tapeOf(network).record(normal([4, 3], 1));
    expect([...one.operands.values()].map(({rule}) => rule)).toEqual(['dense over 2 rows a sample, 2 uses']);
    one.dispose();
    const tape = tapeOf(mixed);
    const few = await tape.record(tf.ones([4, 2], 'int32'));
    const [record] = few.operands.values();
    expect(record).toMatchObject({kernel: 'chunks', samples: 4, samplesPerChunk: 2});
    few.dispose();
  });
});
