/** Kernels of the native backend that move elements: bit for bit what cpu gives, for any shape. */
import * as tf from '@tensorflow/tfjs';
import fc from 'fast-check';
import {afterAll, beforeAll, expect, it} from 'vitest';
import '../dist/backends/native.js';
import {expectSame, oddTensor, tensor} from './backend.js';
import {describeAddon, setups, use, useDefaults} from './native.js';

const shapeOf = (least: number, most: number, size = fc.integer({min: 0, max: 6})) =>
  fc.array(size, {minLength: least, maxLength: most});
const filled = fc.integer({min: 1, max: 6});
const dtype = fc.constantFrom<'float32' | 'int32'>('float32', 'int32');
/** Odd floats, or the same as integers. */
const make = (shape: number[], type: 'float32' | 'int32', seed = 1): tf.Tensor =>
  type === 'float32' ? oddTensor(shape, seed) : tensor(shape, seed).mul(1000).toInt();
const check = <T>(data: fc.Arbitrary<T>, property: (value: T) => void, numRuns = 80) =>
  fc.assert(fc.property(data, property), {numRuns});

const shuffled = (shape: number[]) =>
  fc.shuffledSubarray(
    shape.map((_, axis) => axis),
    {minLength: shape.length},
  );

describeAddon('movement on the native backend', () => {
  beforeAll(async () => {
    await tf.ready();
    await tf.setBackend('native');
  });
  afterAll(useDefaults);

  it('transposes any axes', () => {
    const data = shapeOf(0, 6).chain((shape) => fc.tuple(fc.constant(shape), shuffled(shape), dtype));
    check(data, ([shape, perm, type]) => expectSame(() => tf.transpose(make(shape, type), perm)), 150);
  });

  it('transposes large matrices and images on every instruction set, on any number of threads', () => {
    const cases: [number[], number[]][] = [
      [
        [300, 517],
        [1, 0],
      ],
      [
        [64, 1024],
        [1, 0],
      ],
      [
        [3, 40, 50, 20],
        [0, 3, 1, 2],
      ],
      [
        [3, 20, 40, 50],
        [0, 2, 3, 1],
      ],
      [
        [2, 100, 4, 64],
        [0, 2, 1, 3],
      ],
      [
        [70_001, 2],
        [1, 0],
      ],
      [
        [2, 70_001],
        [1, 0],
      ],
      [
        [5, 6, 7, 8, 9, 10],
        [5, 3, 1, 4, 2, 0],
      ],
    ];
    for (const [set, threads] of setups) {
      use(set, threads);
      for (const [shape, perm] of cases) expectSame(() => tf.transpose(oddTensor(shape, 1), perm));
    }
    useDefaults();
  });

  it('takes slices, of one piece or of many', () => {
    const axis = fc.tuple(fc.nat(6), fc.nat(6), fc.nat(6));
    check(fc.tuple(fc.array(axis, {minLength: 1, maxLength: 5}), dtype), ([axes, type]) => {
      const shape = axes.map(([before, size, after]) => before + size + after);
      const begin = axes.map(([before]) => before);
      const size = axes.map(([, length]) => length);
      expectSame(() => tf.slice(make(shape, type), begin, size));
    });
    expectSame(() => tf.slice(oddTensor([200_000], 1), [1], [150_001]));
  });

  it('takes strided slices, backwards too, with every mask', () => {
    const axis = fc.record({
      size: filled,
      begin: fc.integer({min: -8, max: 8}),
      end: fc.integer({min: -8, max: 8}),
      stride: fc.constantFrom(1, 2, 3, -1, -2),
    });
    const mask = fc.nat(31);
    check(
      fc.tuple(
        fc.array(axis, {minLength: 1, maxLength: 5}),
        mask,
        mask,
        fc.constantFrom(0, 1, 2),
        fc.constantFrom(0, 0, 1, 2, 5),
        dtype,
      ),
      ([axes, beginMask, endMask, ellipsis, shrink, type]) => {
        const list = (of: (a: (typeof axes)[0]) => number) => axes.map(of);
        const [shape, begin, end] = [list((a) => a.size), list((a) => a.begin), list((a) => a.end)];
        // Where an axis shrinks, cpu reads the wrong elements unless all strides are 1.
        const strides = axes.map(({stride}) => (shrink === 0 ? stride : 1));
        const masks = [beginMask, endMask, ellipsis, 0, shrink] as const;
        const run = () => tf.stridedSlice(make(shape, type), begin, end, strides, ...masks);
        tf.setBackend('cpu');
        let refusal: Error | null = null;
        try {
          tf.tidy(() => void run());
        } catch (error) {
          refusal = error as Error;
        }
        if (!refusal) return expectSame(run);
        tf.setBackend('native');
        expect(() => tf.tidy(() => void run())).toThrow(refusal.message);
      },
      200,
    );
    tf.setBackend('native');
    const row = tf.stridedSlice(tf.range(0, 12).reshape([3, 4]), [1, 3], [2, 0], [1, -2], 0, 0, 0, 0, 1);
    expect([row.shape, [...row.dataSync()]]).toEqual([[2], [7, 5]]);
    row.dispose();
  });

  it('reverses, tiles and pads', () => {
    const shapes = shapeOf(1, 4).chain((shape) =>
      fc.tuple(
        fc.constant(shape),
        fc.uniqueArray(fc.nat(shape.length - 1)),
        fc.tuple(...shape.map(() => fc.nat(3))),
        fc.tuple(...shape.map(() => fc.tuple(fc.nat(2), fc.nat(3)))),
        dtype,
      ),
    );
    check(shapes, ([shape, axes, reps, paddings, type]) => {
      expectSame(() => tf.reverse(make(shape, type), axes));
      expectSame(() => tf.tile(make(shape, type), reps));
      expectSame(() => tf.pad(make(shape, type), paddings as [number, number][], 3));
    });
    expectSame(() => tf.tile(oddTensor([2, 1, 3, 1, 2, 1], 1), [2, 3, 2, 3, 2, 3]));
    expectSame(() => tf.tile(oddTensor([1, 300], 1), [500, 1]));
    expectSame(() => tf.tile(oddTensor([300, 1], 1), [1, 500]));
    expectSame(() => tf.reverse(oddTensor([], 1)));
  });

  it('pads with mirrors', () => {
    const axis = fc.tuple(filled, fc.nat(5), fc.nat(5));
    check(fc.tuple(fc.array(axis, {minLength: 1, maxLength: 4}), fc.boolean(), dtype), ([axes, reflect, type]) => {
      const shape = axes.map(([size]) => size);
      const widest = (size: number, width: number) => Math.min(width, size - (reflect ? 1 : 0));
      const paddings = axes.map(([size, a, b]) => [widest(size, a), widest(size, b)] as [number, number]);
      expectSame(() => tf.mirrorPad(make(shape, type), paddings, reflect ? 'reflect' : 'symmetric'));
    });
  });

  it('joins and parts along any axis', () => {
    const data = shapeOf(1, 5, filled).chain((shape) =>
      fc.tuple(
        fc.constant(shape),
        fc.nat(shape.length - 1),
        fc.array(fc.nat(4), {minLength: 1, maxLength: 4}),
        fc.nat(shape.length),
        dtype,
      ),
    );
    check(data, ([shape, axis, lengths, stackAxis, type]) => {
      const parts = () => lengths.map((length, i) => make(shape.with(axis, length), type, i));
      expectSame(() => tf.concat(parts(), axis));
      expectSame(() =>
        tf.stack(
          lengths.map((_, i) => make(shape, type, i)),
          stackAxis,
        ),
      );
      const total = lengths.reduce((a, b) => a + b, 0);
      expectSame(() => tf.split(make(shape.with(axis, total), type), lengths, axis));
      expectSame(() => tf.split(make(shape.with(axis, 6), type), 3, axis));
      expectSame(() => tf.unstack(make(shape, type), axis));
    });
    expectSame(() => tf.concat([oddTensor([300, 200], 1), oddTensor([300, 57], 2)], 1));
    expectSame(() => tf.concat([oddTensor([2], 1), tf.tensor1d([1, 2], 'int32')]));
  });

  it('exchanges space, batch and depth', () => {
    check(fc.tuple(filled, filled, fc.constantFrom(1, 2, 3), fc.constantFrom(1, 2, 3), filled, dtype), (drawn) => {
      const [h, w, blockHeight, blockWidth, channels, type] = drawn;
      const block = [blockHeight, blockWidth];
      const blocks = blockHeight * blockWidth;
      const padTo = (size: number, by: number) => [1, (by - ((size + 1) % by)) % by];
      const paddings = [padTo(h, blockHeight), padTo(w, blockWidth)];
      expectSame(() => tf.spaceToBatchND(make([2, h, w, channels], type), block, paddings));
      const crops = [
        [0, blockHeight - 1],
        [blockWidth - 1, 0],
      ];
      expectSame(() => tf.batchToSpaceND(make([2 * blocks, h, w, channels], type), block, crops));
      if (blockHeight === 1) return;
      const image = () => oddTensor([2, h, w, channels * blockHeight ** 2], 1) as tf.Tensor4D;
      expectSame(() => tf.depthToSpace(image(), blockHeight));
    });
  });

  it('leaves booleans, strings and complex numbers to cpu', () => {
    expectSame(() => tf.transpose(tf.tensor2d([true, false, true], [1, 3], 'bool')));
    expectSame(() => tf.concat([tf.tensor1d([true], 'bool'), tf.tensor1d([false], 'bool')]));
    expectSame(() => tf.unstack(tf.tensor2d([[true, false]], [1, 2], 'bool'), 1));
    const names = tf.slice(tf.tensor1d(['a', 'b', 'c']), 1, 2);
    expect(names.dataSync()).toEqual(['b', 'c']);
    const numbers = tf.concat([tf.complex([1, 2], [3, 4]), tf.complex([5], [6])]);
    expect([...(numbers.dataSync() as Float32Array)]).toEqual([1, 3, 2, 4, 5, 6]);
  });

  it('gives results that outlive their inputs', () => {
    const source = tf.add(tensor([64, 64], 1), 0); // on memory of the backend's own
    const pieces = [
      tf.slice(source, [8, 0], [16, 64]),
      ...tf.split(source, 4),
      ...tf.unstack(source).slice(0, 4),
      tf.concat([source]),
      tf.transpose(source, [0, 1]),
      tf.tile(source, [1, 1]),
    ];
    const copies = tf.tidy(() => pieces.map((piece) => piece.clone().add(0).dataSync().slice()));
    source.dispose();
    tf.tidy(() => {
      for (let i = 0; i < 1000; i++) tf.fill([64, 64], i).add(1);
      for (let i = 0; i < 100; i++) tf.fill([16, 64], i).add(1);
    });
    pieces.forEach((piece, i) => {
      expect(piece.dataSync()).toEqual(copies[i]);
      piece.dispose();
    });
  });
});
