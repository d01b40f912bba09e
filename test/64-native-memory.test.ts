/** Memory of results is used again, and nobody notices: what reached a user is never written to. */
import {execFileSync} from 'node:child_process';
import * as tf from '@tensorflow/tfjs';
import {beforeEach, expect, it} from 'vitest';
import '../dist/backends/native.js';
import type {NativeBackend} from '../dist/backends/native/backend.js';
import {BufferPool} from '../dist/backends/native/buffers.js';
import {describeAddon, randomArray} from './native.js';

const size = 64 * 64;
const random = (seed: number) => tf.tensor(randomArray(size, seed), [64, 64]) as tf.Tensor2D;

/** Fills whatever memory is free with other values. */
function operate(times = 1000): void {
  for (let i = 0; i < times; i++) {
    tf.tidy(() => tf.matMul(tf.relu(tf.fill([64, 64], i)), tf.add(tf.ones([64, 64]), i) as tf.Tensor2D));
  }
}

const backend = () => tf.backend() as unknown as NativeBackend;

describeAddon('memory of the native backend', () => {
  beforeEach(async () => {
    await tf.setBackend('native');
    backend().buffers.clear();
  });

  it('is used again: a thousand operations live in a few arrays', () => {
    const x = random(1);
    tf.relu(x).dispose();
    const {waiting} = backend().buffers;
    expect(waiting).toBe(4 * size);
    for (let i = 0; i < 1000; i++) tf.relu(x).dispose();
    expect(backend().buffers.waiting).toBe(waiting);
    const y = tf.relu(x);
    expect(backend().buffers.waiting).toBe(0);
    tf.dispose([x, y]);
    expect(backend().buffers.waiting).toBe(waiting); // of the result: the array of x is the user's
  });

  /** What a user may hold after disposing the tensor that it came from, and where in that one it begins. */
  const held: Record<
    string,
    (y: tf.Tensor2D) => {values: () => ArrayLike<number>; from?: number; release?: () => void}
  > = {
    'a snapshot by dataSync': (y) => {
      const values = y.dataSync();
      return {values: () => values};
    },
    'a snapshot by bufferSync': (y) => {
      const {values} = y.bufferSync();
      return {values: () => values};
    },
    'a slice': (y) => {
      const slice = tf.slice(y, [3], [5]);
      return {values: () => slice.dataSync(), from: 3 * 64, release: () => slice.dispose()};
    },
    'a part of a split': (y) => {
      const [first, part] = tf.split(y, 4);
      first.dispose();
      return {values: () => part.dataSync(), from: 16 * 64, release: () => part.dispose()};
    },
    'a row of an unstack': (y) => {
      const [row, ...others] = tf.unstack(y);
      tf.dispose(others);
      return {values: () => row.dataSync(), release: () => row.dispose()};
    },
    'a reshape': (y) => {
      const flat = tf.reshape(y, [-1]);
      return {values: () => flat.dataSync(), release: () => flat.dispose()};
    },
    'a cast to what it is': (y) => {
      const cast = tf.cast(y, 'float32');
      return {values: () => cast.dataSync(), release: () => cast.dispose()};
    },
    'a variable': (y) => {
      const variable = tf.variable(y);
      return {values: () => variable.dataSync(), release: () => variable.dispose()};
    },
    'a variable that it was assigned to': (y) => {
      const variable = tf.variable(tf.zeros([64, 64]));
      variable.assign(y);
      return {values: () => variable.dataSync(), release: () => variable.dispose()};
    },
    'the real part of a complex tensor': (y) => {
      const complex = tf.complex(y, y);
      const real = tf.real(complex);
      complex.dispose();
      return {values: () => real.dataSync(), release: () => real.dispose()};
    },
  };
  it.each(Object.keys(held))('leaves alone: %s', (name) => {
    const x = random(2);
    const relu = randomArray(size, 2).map((value) => Math.max(value, 0));
    const y = tf.relu(x) as tf.Tensor2D; // on memory that could be used again; reading it here would change that
    const {values, from = 0, release} = held[name](y);
    y.dispose();
    operate();
    const found = Array.from(values());
    expect(found).toEqual(Array.from(relu.subarray(from, from + found.length)));
    release?.();
    x.dispose();
  });

  it('leaves alone: a promise of data that is still under way', async () => {
    const y = tf.relu(random(3));
    const expected = Array.from(tf.relu(random(3)).dataSync());
    const promise = y.data();
    y.dispose();
    operate();
    expect(Array.from(await promise)).toEqual(expected);
  });

  it('leaves alone: the array that a user made a tensor of, and a tensor of another backend', async () => {
    const array = randomArray(size, 4);
    const copy = array.slice();
    const x = tf.tensor(array, [64, 64]);
    const y = tf.relu(x);
    const expected = Array.from(tf.relu(x).dataSync());
    await tf.setBackend('cpu');
    const moved = tf.neg(y); // moves y to cpu
    await tf.setBackend('native');
    tf.dispose([x]);
    operate();
    expect(array).toEqual(copy);
    await tf.setBackend('cpu');
    expect(Array.from(y.dataSync())).toEqual(expected);
    expect(Array.from(moved.dataSync())).toEqual(expected.map((v) => -v));
    tf.dispose([y, moved]);
    await tf.setBackend('native');
  });

  it('is not taken twice, nor from a tensor that another one shares', () => {
    const x = random(5);
    const y = tf.relu(x);
    const other = y.clone();
    y.dispose();
    expect(backend().buffers.waiting).toBe(0);
    other.dispose();
    other.dispose();
    expect(backend().buffers.waiting).toBe(4 * size);
    const [a, b] = [tf.relu(x), tf.relu(x)];
    expect(a.dataSync().buffer).not.toBe(b.dataSync().buffer);
    tf.dispose([x, a, b]);
  });

  it('is kept up to a bound, the sizes that were used last', () => {
    const pool = new BufferPool(64 * 1024);
    for (const kilobytes of [16, 24, 32]) pool.give(new Float32Array(kilobytes * 256));
    expect(pool.waiting).toBe((24 + 32) * 1024);
    const kept = pool.take(32 * 256);
    expect(pool.waiting).toBe(24 * 1024);
    pool.give(kept);
    expect(pool.take(32 * 256)).toBe(kept);
    pool.give(new Float32Array(32 * 1024)); // larger than the bound
    pool.give(new Float32Array(16)); // too small to be worth it
    expect(pool.waiting).toBe(24 * 1024);
  });

  it('does not grow over ten thousand training steps, once V8 has its heap', () => {
    const code = `
      import * as tf from '@tensorflow/tfjs';
      import './dist/backends/native.js';
      await tf.setBackend('native');
      const model = tf.sequential({layers: [
        tf.layers.dense({units: 64, inputShape: [32], activation: 'relu'}), tf.layers.dense({units: 8})]});
      const optimizer = tf.train.sgd(1e-3);
      const [x, y] = [tf.randomNormal([16, 32]), tf.randomNormal([16, 8])];
      const step = () => optimizer.minimize(() => tf.losses.meanSquaredError(y, model.apply(x)));
      // The resident set breathes with the garbage collector: the least of several looks.
      const least = () => {
        const looks = [];
        for (let look = 0; look < 4; look++) {
          for (let i = 0; i < 500; i++) step();
          gc();
          looks.push(process.memoryUsage().rss);
        }
        return Math.min(...looks);
      };
      // V8 takes its own heap over some thousand steps, more of it from Node 22 on, with tfjs' cpu as well.
      for (let i = 0; i < 8000; i++) step();
      const early = least();
      for (let i = 0; i < 8000; i++) step();
      console.log(JSON.stringify({early, late: least()}));`;
    const output = execFileSync(process.execPath, ['--expose-gc', '--input-type=module', '-e', code], {
      cwd: new URL('..', import.meta.url),
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    const {early, late} = JSON.parse(output.trim().split('\n').at(-1)!);
    expect(late - early).toBeLessThan(16 * 2 ** 20);
  });
});
