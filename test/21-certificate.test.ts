// Networks in which samples touch each other are noticed, and measured by the definition: F of one sample alone.
import * as tf from '@tensorflow/tfjs';
import {beforeAll, describe, expect, it} from 'vitest';
import {definition, deviation, exact, measure, normal, type Tensors, tapeOf} from './tape.js';

beforeAll(() => tf.setBackend('cpu'));

const features = 6;
let seeds = 40;
const variable = (...shape: number[]): tf.Variable => tf.variable(normal(shape, seeds++));

interface Coupled {
  forward: (x: tf.Tensor) => tf.Tensor;
  variables: tf.Variable[];
  /** Why, for every variable; null: the rule holds after all. */
  reasons: (RegExp | null)[];
}

const depends = /outputs for one sample depend on the other/;
const unsorted = /not sorted by sample/;

const networks: Record<string, () => Coupled> = {
  'the mean of the batch is subtracted': () => {
    const w = variable(features, 3);
    return {forward: (x) => tf.matMul(tf.sub(x, tf.mean(x, 0)), w), variables: [w], reasons: [depends]};
  },
  'batch norm in training mode': () => {
    const [w, v] = [variable(features, 3), variable(3, 2)];
    const norm = tf.layers.batchNormalization();
    const forward = (x: tf.Tensor) => tf.matMul(norm.apply(tf.matMul(x, w), {training: true}) as tf.Tensor, v);
    return {forward, variables: [w, v], reasons: [depends, depends]};
  },
  'a softmax over the batch, by a transpose': () => {
    const w = variable(features, 3);
    const forward = (x: tf.Tensor) => tf.transpose(tf.softmax(tf.transpose(tf.matMul(x, w))));
    return {forward, variables: [w], reasons: [depends]};
  },
  'a softmax over the batch, by a reshape': () => {
    const w = variable(features, 1);
    const forward = (x: tf.Tensor) => tf.reshape(tf.softmax(tf.reshape(tf.matMul(x, w), [1, -1])), [-1, 1]);
    return {forward, variables: [w], reasons: [depends]};
  },
  'a softmax over the batch, of numbers': () => {
    const w = variable(features, 1);
    return {forward: (x) => tf.softmax(tf.reshape(tf.matMul(x, w), [-1])), variables: [w], reasons: [depends]};
  },
  'argMax over the batch, a path without gradients': () => {
    const w = variable(features, 3);
    const forward = (x: tf.Tensor) => tf.matMul(tf.add(x, tf.cast(tf.argMax(x, 0), 'float32')), w);
    return {forward, variables: [w], reasons: [depends]};
  },
  'the winner of the batch, a path without gradients': () => {
    const w = variable(features, 3);
    const forward = (x: tf.Tensor) => tf.matMul(tf.mul(x, tf.cast(tf.equal(x, tf.max(x, 0)), 'float32')), w);
    return {forward, variables: [w], reasons: [depends]};
  },
  'a neighbour is added': () => {
    const [w, v] = [variable(features, 3), variable(3, 3)];
    const forward = (x: tf.Tensor) => {
      const hidden = tf.relu(tf.matMul(x, w));
      return tf.add(tf.matMul(tf.reverse(hidden, 0), v), hidden);
    };
    return {forward, variables: [w, v], reasons: [depends, depends]};
  },
  'time-major rows': () => {
    const [w, v] = [variable(2, 3), variable(9, 2)];
    const forward = (x: tf.Tensor) => {
      const batch = x.shape[0];
      const rows = tf.reshape(tf.transpose(tf.reshape(x, [batch, 3, 2]), [1, 0, 2]), [-1, 2]);
      const hidden = tf.transpose(tf.reshape(tf.tanh(tf.matMul(rows, w)), [3, batch, 3]), [1, 0, 2]);
      return tf.matMul(tf.reshape(hidden, [batch, 9]), v);
    };
    return {forward, variables: [w, v], reasons: [unsorted, null]};
  },
  'a time-major bias': () => {
    const bias = variable(2);
    const forward = (x: tf.Tensor) => {
      const rows = tf.transpose(tf.reshape(x, [-1, 3, 2]), [1, 0, 2]);
      return tf.transpose(tf.tanh(tf.add(rows, bias)), [1, 0, 2]);
    };
    return {forward, variables: [bias], reasons: [unsorted]};
  },
  'outputs without a sample axis': () => {
    const w = variable(features, 3);
    return {forward: (x) => tf.transpose(tf.matMul(x, w)), variables: [w], reasons: [/no axis of \d+ samples/]};
  },
  noise: () => {
    const w = variable(features, 3);
    let calls = 0;
    const forward = (x: tf.Tensor) => tf.matMul(tf.add(x, calls++), w);
    return {forward, variables: [w], reasons: [depends]};
  },
};

describe('a network is measured sample by sample where', () => {
  it.each(Object.keys(networks).filter((name) => name !== 'noise'))('%s', async (name) => {
    const {forward, variables, reasons} = networks[name]();
    const run = forward as (x: Tensors) => Tensors;
    const expected = Object.fromEntries(
      variables.flatMap((v, i) => (reasons[i] ? [[v.name, expect.stringMatching(reasons[i])]] : [])),
    );
    const tape = tapeOf({forward: run, variables});
    for (const samples of [7, 2, 1]) {
      const x = normal([samples, features], samples);
      const {sums, fallback} = await measure(tape, [x]);
      expect(deviation(sums, definition(run, variables, [x])), `${samples} samples`).toBeLessThanOrEqual(exact);
      if (samples > 1) expect(fallback).toEqual(expected);
    }
  });

  it('its outputs are not the same twice', async () => {
    const {forward, variables} = networks.noise();
    const tape = tapeOf({forward: forward as (x: Tensors) => Tensors, variables});
    const {fallback} = await measure(tape, [normal([3, features], 1)]);
    expect(fallback[variables[0].name]).toMatch(depends);
  });
});

describe('the certificate', () => {
  it('does not depend on the seed: outputs that happen to be 0 hide no leak', async () => {
    const w = tf.variable(tf.zeros([2, 2]));
    const forward = (x: Tensors) => {
      const timeMajor = tf.transpose(tf.reshape(x as tf.Tensor, [-1, 3, 2]), [1, 0, 2]);
      const rows = tf.matMul(tf.reshape(timeMajor, [-1, 2]), w);
      return tf.transpose(tf.reshape(rows, [3, -1, 2]), [1, 0, 2]);
    };
    const {fallback} = await measure(tapeOf({forward, variables: [w]}), [normal([4, 6], 1)]);
    expect(fallback[w.name]).toMatch(unsorted);
  });

  it('is taken once for all batches that differ in size alone', async () => {
    const [w, v] = [variable(32, 32), variable(32, 8)];
    const forward = (x: Tensors) => tf.softmax(tf.matMul(tf.relu(tf.matMul(x as tf.Tensor, w)), v));
    const tape = tapeOf({forward, variables: [w, v]});
    for (const samples of [32, 8, 7, 64, 1]) await measure(tape, [normal([samples, 32], samples)]);
    expect(tape.certificates.count).toBe(1);
  });

  it('is taken anew when the network takes another way', async () => {
    const w = variable(3, 2);
    let mean = false;
    const forward = (x: Tensors) => {
      const batch = x as tf.Tensor;
      return tf.matMul(mean ? tf.sub(batch, tf.mean(batch, 0)) : batch, w);
    };
    const tape = tapeOf({forward, variables: [w]});
    const x = normal([4, 3], 1);
    expect((await measure(tape, [x])).fallback).toEqual({});
    mean = true;
    expect((await measure(tape, [x])).fallback[w.name]).toMatch(depends);
    expect(tape.certificates.count).toBe(2);
  });

  it('counts NaN as a leak', async () => {
    const w = variable(3, 2);
    const forward = (x: Tensors) => tf.matMul(x as tf.Tensor, w);
    const x = tf.tensor2d([1, 2, 3, 4, Number.NaN, 6, 7, 8, 9], [3, 3]);
    const record = await tapeOf({forward, variables: [w]}).record(x);
    expect([...record.fallback.keys()]).toEqual([w.name]);
    record.dispose();
  });

  it('refuses a network that refuses single samples', async () => {
    const w = variable(3, 2);
    const forward = (x: Tensors) => tf.matMul(tf.reshape(x as tf.Tensor, [4, 3]), w);
    const tape = tapeOf({forward, variables: [w]});
    const x = normal([4, 3], 1);
    await tape.record(x).catch(() => undefined);
    const before = tf.memory().numTensors;
    await expect(tape.record(x)).rejects.toMatchObject({
      code: 'NOT_SAMPLEWISE',
      remedy: expect.stringContaining('batch size'),
    });
    expect(tf.memory().numTensors).toBe(before);
  });
});
