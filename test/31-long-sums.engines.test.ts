/** Sums stay exact over 100 000 batches, where plain 32-bit sums do not. */
import * as tf from '@tensorflow/tfjs';
import {expect, it} from 'vitest';
import {Sums} from '../dist/memory/sums.js';
import type {BatchRecord} from '../dist/tape/index.js';
import {describeEngine, engineName} from './engine.js';

const batches = 100_000;
const {fround} = Math;

/** A batch of one sample whose gradients are `values`, as the tape records a bias. */
function recordOf(values: tf.Tensor): Pick<BatchRecord, 'operands'> {
  const params = {samples: 1, positions: 1, fanOut: values.size, scaled: 0 as const};
  const operand = {kernel: 'grad_moment_sum', params, activations: null, deltas: values, rule: 'bias'} as const;
  return {operands: new Map([['w', operand]])};
}

/** Omega of `count` batches: one of `first`, the others of `rest`. */
async function accumulated(first: number[], rest: number[], count = batches): Promise<Float32Array> {
  const [a, b] = [tf.tensor1d(first), tf.tensor1d(rest)];
  const sums = new Sums(new Map([['w', a.shape]]), 'abs');
  const [one, other] = [recordOf(a), recordOf(b)];
  sums.add(one);
  for (let i = 1; i < count; i++) {
    sums.add(other);
    // Commands pile up on the host until a GPU has caught up with them.
    if (i % 2000 === 0) await new Promise((resolve) => setTimeout(resolve, 0));
  }
  const omega = (await sums.finish(count)).get('w')!;
  const values = (await omega.data()) as Float32Array;
  tf.dispose([a, b, omega]);
  sums.dispose();
  return values.slice();
}

/** In float64, of the values as 32 bits hold them. */
const exact = (first: number, rest: number, count = batches) => (fround(first) + (count - 1) * fround(rest)) / count;
const relative = (value: number, truth: number) => Math.abs(value - truth) / truth;

/** What one 32-bit sum would say. */
function plain(first: number, rest: number): number {
  let sum = fround(first);
  for (let i = 1; i < batches; i++) sum = fround(sum + fround(rest));
  return fround(sum / batches);
}

describeEngine(`long sums on ${engineName}`, () => {
  const cases: [string, number, number][] = [
    ['0.1', 0.1, 0.1],
    ['1e-4 after one batch of 1e3', 1e3, 1e-4],
    ['1/3', 1 / 3, 1 / 3],
    ['1e-3 after one batch of 1e-6', 1e-6, 1e-3],
    // Every addition to a sum of this size rounds to its whole width: the worst that 32 bits can do.
    ['2^-24 after one batch of 1', 1, 2 ** -24],
  ];
  it('of 100 000 batches are within 1e-6 of float64', async () => {
    const values = await accumulated(
      cases.map(([, first]) => first),
      cases.map(([, , rest]) => rest),
    );
    for (const [i, [name, first, rest]] of cases.entries()) {
      expect(relative(values[i], exact(first, rest)), name).toBeLessThanOrEqual(1e-6);
    }
  });

  it('need it: one 32-bit sum fails', () => {
    for (const [name, first, rest] of cases.filter(([name]) => !name.includes('1e-6'))) {
      expect(relative(plain(first, rest), exact(first, rest)), name).toBeGreaterThan(1e-6);
    }
  });

  it('do not depend on where they are cut: batches before a fold, at it, after it', async () => {
    for (const count of [1, 2, 15, 16, 17, 31, 33, 100]) {
      const [tenth, small] = await accumulated([0.1, 1e3], [0.1, 1e-4], count);
      expect(relative(tenth, exact(0.1, 0.1, count)), `${count} batches`).toBeLessThanOrEqual(1e-6);
      expect(relative(small, exact(1e3, 1e-4, count)), `${count} batches`).toBeLessThanOrEqual(1e-6);
    }
  });

  it('of 20 000 samples, one by one as in the fallback, are as exact', async () => {
    const [sample, large] = [tf.tensor1d([0.1, 1e-4]), tf.tensor1d([0.1, 1e3])];
    const sums = new Sums(new Map([['w', [2]]]), 'abs');
    sums.addGradient('w', large);
    for (let i = 1; i < 20_000; i++) {
      sums.addGradient('w', sample);
      if (i % 2000 === 0) await new Promise((resolve) => setTimeout(resolve, 0));
    }
    const omega = (await sums.finish(20_000)).get('w')!;
    const [tenth, small] = await omega.data();
    expect(relative(tenth, exact(0.1, 0.1, 20_000))).toBeLessThanOrEqual(1e-6);
    expect(relative(small, exact(1e3, 1e-4, 20_000))).toBeLessThanOrEqual(1e-6);
    tf.dispose([sample, large, omega]);
    sums.dispose();
  });

  it('of shards add up as exactly, and shards stay as they are', async () => {
    const shard = (first: number, rest: number) => {
      const sums = new Sums(new Map([['w', [1]]]), 'abs');
      const [a, b] = [tf.tensor1d([first]), tf.tensor1d([rest])];
      sums.add(recordOf(a));
      for (let i = 1; i < 1000; i++) sums.add(recordOf(b));
      tf.dispose([a, b]);
      return sums;
    };
    const shards = [shard(1e3, 1e-4), ...Array.from({length: 20}, () => shard(1e-4, 1e-4))];
    const whole = new Sums(new Map([['w', [1]]]), 'abs');
    for (const one of shards) whole.merge(one);
    const before = await shards[3].read();
    const omega = (await whole.finish(21_000)).get('w')!;
    expect(relative((await omega.data())[0], exact(1e3, 1e-4, 21_000))).toBeLessThanOrEqual(1e-6);
    expect(await shards[3].read()).toEqual(before);
    expect(relative(before.get('w')!.hi[0] + before.get('w')!.lo[0], 1000 * fround(1e-4))).toBeLessThanOrEqual(1e-6);
    omega.dispose();
    for (const sums of [...shards, whole]) sums.dispose();
  });
});
