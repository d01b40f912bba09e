/** Convolution of volumes on the native backend, forwards and both ways back, against cpu. */
import * as tf from '@tensorflow/tfjs';
import fc from 'fast-check';
import {afterAll, beforeAll, expect, it} from 'vitest';
import '../dist/backends/native.js';
import {expectSame, sumTolerance, tensor} from './backend.js';
import {describeAddon, setups, use, useDefaults} from './native.js';

type Triple = [number, number, number];
const tensor5 = (shape: number[], seed: number) => tensor(shape, seed) as tf.Tensor5D;

const volume = fc.record({
  samples: fc.integer({min: 1, max: 3}),
  size: fc.tuple(...[1, 2, 3].map(() => fc.integer({min: 1, max: 6}))) as fc.Arbitrary<Triple>,
  inChannels: fc.constantFrom(1, 2, 3, 17),
  outChannels: fc.constantFrom(1, 5, 16, 33),
  filter: fc.constantFrom<Triple>([1, 1, 1], [2, 2, 2], [3, 3, 3], [1, 2, 3], [3, 1, 2]),
  strides: fc.constantFrom<Triple | number>(1, 2, 3, [1, 2, 3], [3, 1, 2]),
  dilations: fc.constantFrom<Triple | number>(1, 1, 2, [1, 2, 1]),
  pad: fc.constantFrom<'same' | 'valid'>('same', 'valid'),
});

/** The network of a case: convolution and what the gradients are taken of. */
function layers(c: {samples: number; size: number[]; inChannels: number; outChannels: number; filter: number[]}) {
  const x = () => tensor5([c.samples, ...c.size, c.inChannels], 1);
  const w = () => tensor5([...c.filter, c.inChannels, c.outChannels], 2);
  return {x, w, taps: c.filter.reduce((a, b) => a * b, 1)};
}

describeAddon('volumes on the native backend', () => {
  beforeAll(async () => {
    await tf.ready();
    await tf.setBackend('native');
  });
  afterAll(useDefaults);

  it('convolves any geometry, forwards and both ways back', () => {
    fc.assert(
      fc.property(volume, (c) => {
        const one = (of: Triple | number) => (typeof of === 'number' ? of === 1 : of.every((i) => i === 1));
        fc.pre(one(c.strides) || one(c.dilations));
        const dilation = (axis: number) => (typeof c.dilations === 'number' ? c.dilations : c.dilations[axis]);
        // For numbers tfjs works out all sides of the result as long as the filter fits.
        fc.pre(c.pad === 'same' || c.size.every((size, i) => size >= (c.filter[i] - 1) * dilation(i) + 1));
        const {x, w, taps} = layers(c);
        const forward = (a: tf.Tensor, b: tf.Tensor, dilations = c.dilations) =>
          tf.conv3d(a as tf.Tensor5D, b as tf.Tensor5D, c.strides, c.pad, 'NDHWC', dilations);
        const terms = taps * c.inChannels;
        expectSame(() => forward(x(), w()), sumTolerance(terms));
        if (!one(c.dilations)) return;
        const loss = (a: tf.Tensor, b: tf.Tensor) => forward(a, b).mul(0.5).sum() as tf.Scalar;
        expectSame(() => tf.grads(loss)([x(), w()])[0], sumTolerance(taps * c.outChannels));
        const pixels = c.samples * c.size[0] * c.size[1] * c.size[2];
        expectSame(() => tf.grads(loss)([x(), w()])[1], sumTolerance(pixels));
      }),
      {numRuns: 80},
    );
  });

  it('gives deltas of their own to every pixel and weight, on every instruction set and any number of threads', () => {
    const c = {samples: 3, size: [7, 9, 8], inChannels: 5, outChannels: 18, filter: [3, 3, 2]};
    const {x, w, taps} = layers(c);
    const squares = (a: tf.Tensor, b: tf.Tensor) =>
      tf
        .conv3d(a as tf.Tensor5D, b as tf.Tensor5D, [2, 1, 2], 'same')
        .square()
        .sum() as tf.Scalar;
    for (const [set, threads] of setups) {
      use(set, threads);
      expectSame(() => tf.conv3d(x(), w(), [2, 1, 2], 'same'), sumTolerance(taps * 5));
      expectSame(() => tf.grads(squares)([x(), w()])[0], 40 * sumTolerance(taps * 18));
      expectSame(() => tf.grads(squares)([x(), w()])[1], 40 * sumTolerance(3 * 4 * 9 * 4));
    }
    useDefaults();
  });

  it('lets absent pixels take no part: 0 times NaN is NaN', () => {
    for (const value of [Number.NaN, Number.POSITIVE_INFINITY]) {
      const x = () => tensor5([1, 3, 3, 3, 2], 1);
      const w = () => tf.concat([tf.fill([1, 3, 3, 2, 4], value), tensor([2, 3, 3, 2, 4], 2)]) as tf.Tensor5D;
      expectSame(() => tf.conv3d(x(), w(), 1, 'same'), sumTolerance(54));
      const loss = (a: tf.Tensor) => tf.conv3d(a as tf.Tensor5D, w(), 1, 'same').sum() as tf.Scalar;
      expectSame(() => tf.grad(loss)(x()), sumTolerance(108));
    }
  });

  it('takes volumes without samples, and leaves integers to cpu', () => {
    expectSame(() => tf.conv3d(tensor5([0, 3, 3, 3, 2], 1), tensor5([2, 2, 2, 2, 4], 2), 1, 'valid'));
    const whole = (shape: number[]) => tensor(shape, 1).mul(9).toInt() as tf.Tensor5D;
    expectSame(() => tf.conv3d(whole([1, 3, 3, 3, 2]), whole([2, 2, 2, 2, 4]), 1, 'valid'));
  });

  it('transposes', () => {
    const run = () =>
      tf.conv3dTranspose(tensor5([2, 3, 2, 3, 4], 1), tensor5([3, 2, 3, 5, 4], 2), [2, 6, 4, 6, 5], 2, 'same');
    expectSame(run, sumTolerance(72));
    expect(tf.getBackend()).toBe('native');
  });
});
