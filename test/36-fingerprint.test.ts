/** The fingerprint by which processes know that they measured with the same parameters. */
import {createHash} from 'node:crypto';
import * as tf from '@tensorflow/tfjs';
import {describe, expect, it, vi} from 'vitest';
import {fingerprintOf} from '../dist/memory/theta.js';

describe('the fingerprint of theta', () => {
  const truth = (shape: number[], values: Float32Array) =>
    createHash('sha256')
      .update(`${shape.join(',')}\n`)
      .update(new Uint8Array(values.slice().buffer))
      .digest('hex');
  /** As on a page that came over plain http, where the platform gives no hashes. */
  const withoutCrypto = async <T>(work: () => Promise<T>): Promise<T> => {
    vi.stubGlobal('crypto', undefined);
    try {
      return await work();
    } finally {
      vi.unstubAllGlobals();
    }
  };

  it('is SHA-256 of shape and values, with the hashes of the platform or without', async () => {
    for (const shape of [[], [1], [7], [3, 5], [1, 2, 3, 4], [0], [100_000], [65_537]]) {
      const tensor = tf.randomNormal(shape);
      const expected = truth(shape, (await tensor.data()) as Float32Array);
      expect(await fingerprintOf(tensor)).toBe(expected);
      expect(await withoutCrypto(() => fingerprintOf(tensor))).toBe(expected);
      tensor.dispose();
    }
  });

  it('tells shapes, order, every bit and signs of zero apart, but no NaN from another', async () => {
    const of = (values: number[] | Float32Array, shape = [values.length]) => {
      const tensor = tf.tensor(values, shape, 'float32');
      return fingerprintOf(tensor).finally(() => tensor.dispose());
    };
    const next = Float32Array.of(1, 2);
    new Uint32Array(next.buffer)[1]++;
    const different = [
      await of([1, 2]),
      await of([2, 1]),
      await of(next),
      await of([1, 2], [1, 2]),
      await of([1, 2], [2, 1]),
      await of([0, 0]),
      await of([0, -0]),
      await of([Number.NaN, 0]),
      await of([Number.POSITIVE_INFINITY, 0]),
      await of([Number.NEGATIVE_INFINITY, 0]),
    ];
    expect(new Set(different).size).toBe(different.length);
    for (const bits of [0x7fc00000, 0xffc00000, 0x7f800001, 0xffffffff, 0x7fc12345]) {
      const other = Float32Array.of(0, 0);
      new Uint32Array(other.buffer)[0] = bits;
      expect(await of(other)).toBe(different[7]);
    }
  });
});
