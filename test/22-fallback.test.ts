// What no rule can take apart goes through one sample at a time: as exact, slower, and the record says why.
import * as tf from '@tensorflow/tfjs';
import {beforeAll, describe, expect, it} from 'vitest';
import type {NetworkLike} from '../dist/tape/index.js';
import {definition, deviation, exact, measure, normal, plainNames, type Tensors, tapeOf} from './tape.js';

beforeAll(() => tf.setBackend('cpu'));

interface Case {
  network: () => NetworkLike & {variables: tf.Variable[]};
  data: () => tf.Tensor;
  rules: Record<string, string>;
  /** Why the other variables have none. */
  fallback: Record<string, RegExp>;
}

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

const vectors = () => normal([5, 3], 8);
/** A gradient function that reads values is opaque: what it reads has no value yet. */
const opaque = (x: tf.Tensor, gain: tf.Tensor): tf.Tensor =>
  tf.customGrad((y, z, save) => {
    (save as tf.GradSaveFunc)([y as tf.Tensor, z as tf.Tensor]);
    const gradFunc = (dy: tf.Tensor, [values, factor]: tf.Tensor[]) => {
      const sum = tf.sum(tf.mul(dy, values), 0);
      return [tf.mul(dy, factor), tf.tensor(sum.dataSync(), sum.shape)];
    };
    return {value: tf.mul(y as tf.Tensor, z as tf.Tensor), gradFunc};
  })(x, gain);

const cases: Record<string, Case> = {
  'time before samples': {
    network: plain({w: [3, 2]}, (x, {w}) => {
      const rows = tf.matMul(tf.reshape(tf.transpose(x, [1, 0, 2]), [-1, 3]), w);
      return tf.transpose(tf.reshape(tf.tanh(rows), [2, x.shape[0], 2]), [1, 0, 2]);
    }),
    data: () => normal([5, 2, 3], 4),
    rules: {},
    fallback: {w: /^the rows of its operands are not sorted by sample$/},
  },
  'rows that are no multiple of the samples': {
    network: plain({w: [3, 2]}, (x, {w}) => {
      const padded = tf.matMul(
        tf.pad(x, [
          [0, 2],
          [0, 0],
        ]),
        w,
      );
      return tf.slice(padded, [0, 0], [x.shape[0], 2]);
    }),
    data: vectors,
    rules: {},
    fallback: {w: /^BatchMatMul.b: 7 rows are not a multiple of the 5 samples$/},
  },
  'an output without the data': {
    network: plain({w: [3, 2], free: [1, 2]}, (x, {w, free}) => [tf.matMul(x, w), tf.tile(free, [1, 1])]),
    data: vectors,
    rules: {},
    fallback: {w: /^an output of shape \[1,2\] has no axis of 5 samples/, free: /^an output of shape/},
  },
  'a batch of ones from a constant': {
    network: plain({free: [1, 2]}, (x, {free}) => tf.tile(free, [x.shape[0], 1])),
    data: vectors,
    rules: {free: 'broadcast'},
    fallback: {},
  },
  'a parameter with a row for every sample': {
    network: plain({rows: [5, 3]}, (x, {rows}) => tf.mul(x, tf.slice(rows, [0, 0], [x.shape[0], 3]))),
    data: vectors,
    rules: {},
    fallback: {rows: /^the outputs for one sample depend on the other samples/},
  },
  'a custom gradient that reads values': {
    network: plain({w: [3, 2], gain: [2]}, (x, {w, gain}) => opaque(tf.matMul(x, w), gain)),
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
  const network = cases['a custom gradient that reads values'].network;

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
