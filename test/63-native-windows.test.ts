/** Kernels of the native backend that slide windows over images, and those that resize them. */
import * as tf from '@tensorflow/tfjs';
import fc from 'fast-check';
import {afterAll, beforeAll, expect, it} from 'vitest';
import '../dist/backends/native.js';
import {expectSame, oddTensor, sumTolerance, tensor} from './backend.js';
import {describeAddon, setups, use, useDefaults} from './native.js';

type Pair = [number, number];
type Triple = [number, number, number];
const windows = fc.record({
  samples: fc.integer({min: 0, max: 3}),
  size: fc.tuple(fc.integer({min: 1, max: 12}), fc.integer({min: 1, max: 12})) as fc.Arbitrary<Pair>,
  channels: fc.constantFrom(1, 2, 3, 8, 16, 19, 33, 70),
  multiplier: fc.constantFrom(1, 1, 2, 3),
  filter: fc.constantFrom<Pair>([1, 1], [3, 3], [2, 3], [5, 1], [2, 2]),
  stride: fc.constantFrom<Pair | number>(1, 2, 3, [1, 2]),
  dilation: fc.constantFrom<Pair | number>(1, 2, [1, 2]),
  pad: fc.constantFrom<'same' | 'valid' | number>('same', 'valid', 0, 1),
});
type Windows = typeof windows extends fc.Arbitrary<infer W> ? W : never;

/** Whether a window fits; for a pad in numbers tfjs works out both sides of the result from the filter's height. */
function fits({size, filter, pad}: Windows, dilation: Pair): boolean {
  const [height, width] = filter.map((length, i) => (length - 1) * dilation[i] + 1);
  const widest = typeof pad === 'number' ? Math.max(height, width) : width;
  return pad === 'same' || (size[0] >= height && size[1] >= widest);
}
const check = <T>(data: fc.Arbitrary<T>, property: (value: T) => void, numRuns = 60) =>
  fc.assert(fc.property(data, property), {numRuns});

describeAddon('windows on the native backend', () => {
  beforeAll(async () => {
    await tf.ready();
    await tf.setBackend('native');
  });
  afterAll(useDefaults);

  it('convolves channel by channel, forwards and both ways back', () => {
    const activation = fc.constantFrom('linear', 'relu', 'relu6', 'elu', 'prelu') as fc.Arbitrary<'linear' | 'relu'>;
    const setup = fc.constantFrom(...setups);
    check(fc.tuple(windows, activation, setup), ([w, act, [set, threads]]) => {
      const dilation = (typeof w.dilation === 'number' ? [w.dilation, w.dilation] : w.dilation) as Pair;
      const dilated = Math.max(...dilation) > 1;
      fc.pre(fits(w, dilation) && (w.stride === 1 || !dilated));
      use(set, threads);
      const x = () => tensor([w.samples, ...w.size, w.channels], 1) as tf.Tensor4D;
      const filter = () => tensor([...w.filter, w.channels, w.multiplier], 2) as tf.Tensor4D;
      const terms = w.filter[0] * w.filter[1];
      const close = sumTolerance(terms);
      expectSame(() => tf.depthwiseConv2d(x(), filter(), w.stride, w.pad, 'NHWC', w.dilation), close);
      const fanOut = w.channels * w.multiplier;
      const fused = () =>
        tf.fused.depthwiseConv2d({
          ...{x: x(), filter: filter(), strides: w.stride, pad: w.pad, dilations: w.dilation, activation: act},
          bias: tensor([fanOut], 3),
          ...((act as string) === 'prelu' ? {preluActivationWeights: tensor([fanOut], 4)} : {}),
        });
      expectSame(fused, close);
      if (dilated) return;
      const loss = (a: tf.Tensor, b: tf.Tensor) => {
        const y = tf.depthwiseConv2d(a as tf.Tensor4D, b as tf.Tensor4D, w.stride, w.pad);
        return y.mul(tensor(y.shape, 5)).sum() as tf.Scalar;
      };
      expectSame(() => tf.grads(loss)([x(), filter()])[0], sumTolerance(terms * w.multiplier));
      expectSame(() => tf.grads(loss)([x(), filter()])[1], sumTolerance(w.samples * w.size[0] * w.size[1]));
    });
    useDefaults();
  });

  it('knows what dilation does to the gradients, which cpu does not', () => {
    // A dilated filter is one with zeros between its taps.
    const [x, dy] = [tensor([2, 9, 8, 5], 1), tensor([2, 5, 4, 10], 2)];
    const filter = tensor([3, 3, 5, 2], 3) as tf.Tensor4D;
    const spread = tf.tidy(() => {
      const wide = (t: tf.Tensor, axis: number) => {
        const parts = tf.unstack(t, axis).flatMap((part, i) => (i === 0 ? [part] : [tf.zerosLike(part), part]));
        return tf.stack(parts, axis);
      };
      return wide(wide(filter, 0), 1) as tf.Tensor4D;
    });
    const run = (name: string, inputs: tf.NamedTensorMap, attrs: object) =>
      tf.engine().runKernel(name, inputs, {strides: 1, pad: 'valid', ...attrs} as tf.NamedAttrMap) as tf.Tensor;
    const backToX = (w: tf.Tensor, dilations: number) =>
      run('DepthwiseConv2dNativeBackpropInput', {dy, filter: w}, {dilations, inputShape: x.shape}).dataSync();
    const dilated = backToX(filter, 2);
    backToX(spread, 1).forEach((value, i) => {
      expect(dilated[i]).toBeCloseTo(value, 5);
    });
    const backToFilter = (filterShape: number[], dilations: number) =>
      run('DepthwiseConv2dNativeBackpropFilter', {x, dy}, {dilations, filterShape});
    const taps = tf.stridedSlice(backToFilter(spread.shape, 1), [0, 0, 0, 0], [5, 5, 5, 2], [2, 2, 1, 1]).dataSync();
    backToFilter(filter.shape, 2)
      .dataSync()
      .forEach((value, i) => {
        expect(value).toBeCloseTo(taps[i], 5);
      });
  });

  it('does not mix a padded border with NaN or infinity in a depthwise filter', () => {
    const filter = () => oddTensor([3, 3, 9, 1], 1) as tf.Tensor4D;
    expectSame(() => tf.depthwiseConv2d(tensor([1, 4, 4, 9], 2) as tf.Tensor4D, filter(), 1, 'same'), 1e-4);
  });

  it('pools images, forwards and back, odd values too', () => {
    check(windows, (w) => {
      fc.pre(fits(w, [1, 1]));
      const x = () => oddTensor([w.samples, ...w.size, w.channels], 1) as tf.Tensor4D;
      const plain = () => tensor([w.samples, ...w.size, w.channels], 1) as tf.Tensor4D;
      for (const pool of [tf.avgPool, tf.maxPool]) {
        const run = (t: tf.Tensor) => pool(t as tf.Tensor4D, w.filter, w.stride, w.pad);
        expectSame(() => run(x()));
        const loss = (t: tf.Tensor) => {
          const y = run(t);
          return y.mul(tensor(y.shape, 5)).sum() as tf.Scalar;
        };
        expectSame(() => tf.grad(loss)(plain()), pool === tf.avgPool ? 0 : sumTolerance(9));
      }
    });
    // Windows beyond the border have no mean.
    expectSame(() => tf.avgPool(tensor([1, 3, 3, 2], 1) as tf.Tensor4D, 1, 1, 2));
  });

  it('pools volumes, forwards and back', () => {
    const volume = fc.record({
      size: fc.tuple(fc.integer({min: 3, max: 6}), fc.integer({min: 3, max: 6}), fc.integer({min: 3, max: 6})),
      channels: fc.constantFrom(1, 3, 17, 70),
      // Of other filters cpu misplaces the maxima: it numbers their pixels by the height, not the width.
      filter: fc.constantFrom<Triple>([1, 1, 1], [2, 2, 2], [3, 3, 3], [1, 2, 2], [3, 2, 2]),
      stride: fc.constantFrom<Triple | number>(1, 2, [1, 2, 3]),
      pad: fc.constantFrom<'same' | 'valid' | number>('same', 'valid', 1),
    });
    check(volume, (v) => {
      // For a pad in numbers tfjs works out all sides of the result from the filter's depth.
      fc.pre(typeof v.pad !== 'number' || v.filter[0] === v.filter[1]);
      const shape = [2, ...v.size, v.channels];
      const x = () => tensor(shape, 1) as tf.Tensor5D;
      for (const pool of [tf.avgPool3d, tf.maxPool3d]) {
        const run = (t: tf.Tensor) => pool(t as tf.Tensor5D, v.filter, v.stride, v.pad as 'same');
        expectSame(() => run(oddTensor(shape, 1)));
        const loss = (t: tf.Tensor) => {
          const y = run(t);
          return y.mul(tensor(y.shape, 5)).sum() as tf.Scalar;
        };
        expectSame(() => tf.grad(loss)(x()), pool === tf.avgPool3d ? 0 : sumTolerance(27));
      }
    });
    const even = () => tf.ones([1, 2, 2, 2, 1]) as tf.Tensor5D;
    expectSame(() => tf.grad((t) => tf.maxPool3d(t as tf.Tensor5D, 2, 1, 'valid').sum())(even())); // the last of equals
  });

  it('resizes images, forwards and back', () => {
    const size = fc.tuple(fc.integer({min: 1, max: 9}), fc.integer({min: 1, max: 9})) as fc.Arbitrary<Pair>;
    check(fc.tuple(size, size, fc.constantFrom(1, 3, 17), fc.constantFrom('corners', 'half', 'plain')), (drawn) => {
      const [from, to, channels, how] = drawn;
      const flags = [how === 'corners', how === 'half'] as const;
      const shape = [2, ...from, channels];
      expectSame(() => tf.image.resizeBilinear(oddTensor(shape, 1) as tf.Tensor4D, to, ...flags));
      expectSame(() => tf.image.resizeNearestNeighbor(oddTensor(shape, 1) as tf.Tensor4D, to, ...flags));
      if (how === 'half') return;
      const attrs = {alignCorners: flags[0], halfPixelCenters: false, size: to};
      // cpu exchanges height and width of this gradient's shape.
      expectSame(() => {
        const inputs = {images: tensor(shape, 1), dy: oddTensor([2, ...to, channels], 2)};
        return (tf.engine().runKernel('ResizeBilinearGrad', inputs, attrs) as tf.Tensor).flatten();
      });
      // cpu takes the deltas of the second image from elsewhere; where all end in one row or column it does not end.
      const endless = flags[0] && from.some((length, i) => length === 1 && to[i] > 1);
      if (endless) return;
      expectSame(() => {
        const inputs = {images: tensor([1, ...from, channels], 1), dy: tensor([1, ...to, channels], 2)};
        return tf.engine().runKernel('ResizeNearestNeighborGrad', inputs, attrs) as tf.Tensor;
      }, 1e-4);
    });
    const gradient = (samples: number) => {
      const dy = tensor([2, 5, 7, 3], 1).slice(0, samples);
      const attrs = {alignCorners: false, halfPixelCenters: false, size: [5, 7]};
      const inputs = {images: tensor([samples, 3, 4, 3], 2), dy};
      return tf.engine().runKernel('ResizeNearestNeighborGrad', inputs, attrs) as tf.Tensor;
    };
    expect([...gradient(2).slice(0, 1).dataSync()]).toEqual([...gradient(1).dataSync()]);
    expect(gradient(2).sum().dataSync()[0]).toBeCloseTo(tensor([2, 5, 7, 3], 1).sum().dataSync()[0], 4);
  });
});
