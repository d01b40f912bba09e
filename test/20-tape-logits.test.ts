// Which function is differentiated: the logits where the network ends in a softmax or sigmoid, else the output itself.
import * as tf from '@tensorflow/tfjs';
import {beforeAll, describe, expect, it} from 'vitest';
import {definition, deviation, exact, measure, normal, type Tensors, tapeOf} from './tape.js';

beforeAll(() => tf.setBackend('cpu'));

const classes = 4;
const w = (): tf.Variable => tf.variable(normal([6, classes], 11));

type Head = (z: tf.Tensor) => tf.Tensor;
const rank3 = (z: tf.Tensor) => tf.reshape(z, [-1, 2, classes / 2]);

/** The network ends in `head`; F is found by hand as `expected`. */
async function differentiates(head: Head, expected: Head, output: 'logits' | 'output' = 'logits'): Promise<void> {
  const weights = w();
  const forward = (last: Head) => (x: Tensors) => last(tf.matMul(x as tf.Tensor, weights));
  const tape = tapeOf({forward: forward(head), variables: [weights]}, output);
  const x = normal([5, 6], 12);
  const {sums, rules} = await measure(tape, [x]);
  expect(Object.values(rules)).toEqual(['dense']);
  expect(deviation(sums, definition(forward(expected), [weights], [x]))).toBeLessThanOrEqual(exact);
  // The loop over single samples must mean the same function.
  const loop = new Map([[weights.name, new Float64Array(weights.size)]]);
  await tape.eachSample(x, [weights.name], (name, gradient) => {
    for (const [i, g] of gradient.dataSync().entries()) loop.get(name)![i] += Math.abs(g);
  });
  expect(deviation(loop, sums)).toBeLessThanOrEqual(exact);
  weights.dispose();
}

const same: Head = (z) => z;

describe('logits are found behind', () => {
  it('a softmax', () => differentiates((z) => tf.softmax(z), same));
  it('a log-softmax', () => differentiates((z) => tf.logSoftmax(z), same));
  it('a sigmoid', () => differentiates((z) => tf.sigmoid(z), same));
  it('reshapes, a cast and a clone', () =>
    differentiates((z) => tf.clone(tf.cast(tf.expandDims(tf.reshape(tf.softmax(z), [-1, 2, 2]), 1), 'float32')), same));
  it('a softmax in a tidy, with other softmaxes before it', () =>
    differentiates(
      (z) => tf.tidy(() => tf.softmax(tf.mul(tf.softmax(z), tf.sigmoid(z)))),
      (z) => tf.mul(tf.softmax(z), tf.sigmoid(z)),
    ));
  it('a softmax over the last of three axes', () => differentiates((z) => tf.softmax(rank3(z)), same));
});

describe('the output itself is differentiated where', () => {
  it('nothing is to be stripped', () =>
    differentiates(
      (z) => tf.tanh(z),
      (z) => tf.tanh(z),
    ));
  it('the caller asks for it', () =>
    differentiates(
      (z) => tf.softmax(z),
      (z) => tf.softmax(z),
      'output',
    ));
  it('something follows the softmax', () => {
    const scaled: Head = (z) => tf.mul(tf.softmax(z), 3);
    return differentiates(scaled, scaled);
  });
  it('a transpose follows the softmax', () => {
    const moved: Head = (z) => tf.transpose(tf.softmax(rank3(z)), [0, 2, 1]);
    return differentiates(moved, moved);
  });
  it('the softmax is over one class, the constant 1', async () => {
    const weights = tf.variable(normal([3, 1], 1));
    const network = {forward: (x: Tensors) => tf.softmax(tf.matMul(x as tf.Tensor, weights)), variables: [weights]};
    const {sums} = await measure(tapeOf(network), [normal([4, 3], 2)]);
    expect([...sums.values()].map((values) => [...values])).toEqual([[0, 0, 0]]);
  });
});

it('each of several outputs has its own logits', async () => {
  const weights = w();
  const both = (heads: Head[]) => (x: Tensors) => heads.map((head) => head(tf.matMul(x as tf.Tensor, weights)));
  const x = normal([5, 6], 12);
  const heads: Head[] = [(z) => tf.sigmoid(z), (z) => tf.relu(z)];
  const {sums} = await measure(tapeOf({forward: both(heads), variables: [weights]}), [x]);
  expect(deviation(sums, definition(both([same, heads[1]]), [weights], [x]))).toBeLessThanOrEqual(exact);
});
