/** The `native` TensorFlow.js backend gives what the cpu backend gives, and touches nobody's memory. */
import {execFileSync} from 'node:child_process';
import * as tf from '@tensorflow/tfjs';
import fc from 'fast-check';
import {beforeAll, beforeEach, expect, it} from 'vitest';
import '../dist/backends/native.js';
import {EngramError} from '../dist/errors.js';
import {expectSame as expectWithin, sumTolerance, tensor} from './backend.js';
import {addon, describeAddon, randomArray} from './native.js';

const root = new URL('..', import.meta.url).pathname;
/** The same on both backends, to what sums of so many products may differ by. */
const expectSame = (run: () => tf.Tensor, terms: number): void => expectWithin(run, sumTolerance(terms));

const size = fc.integer({min: 1, max: 40});
const activation = fc.constantFrom('linear', 'relu', 'relu6', 'leakyrelu', 'elu', 'sigmoid', 'prelu') as fc.Arbitrary<
  'linear' | 'relu' | 'prelu'
>;

describeAddon('the native backend', () => {
  beforeAll(async () => {
    await tf.ready();
  });
  beforeEach(async () => {
    expect(await tf.setBackend('native')).toBe(true);
  });

  it('is there after one import, ranks above cpu, and has all its kernels', () => {
    expect(tf.getBackend()).toBe('native');
    const names = (backend: string) =>
      tf
        .getKernelsForBackend(backend)
        .map((kernel) => kernel.kernelName)
        .sort();
    expect(names('native')).toEqual(names('cpu'));
  });

  it('multiplies matrices of any shape, either side transposed', () => {
    fc.assert(
      fc.property(size, fc.integer({min: 0, max: 300}), size, fc.boolean(), fc.boolean(), (m, k, n, ta, tb) => {
        expectSame(() => tf.matMul(tensor(ta ? [k, m] : [m, k], 1), tensor(tb ? [n, k] : [k, n], 2), ta, tb), k);
      }),
      {numRuns: 60},
    );
  });

  it('multiplies batches, repeating the shorter one', () => {
    for (const [a, b] of [
      [[3], [3]],
      [[1], [4]],
      [[4], [1]],
      [[2, 3], [3]],
      [
        [2, 3],
        [2, 3],
      ],
      [[0], [0]],
    ]) {
      expectSame(() => tf.matMul(tensor([...a, 5, 7], 1), tensor([...b, 7, 4], 2)), 7);
    }
    // Here cpu repeats the wrong matrices; the truth is the product of explicitly tiled operands.
    const a = tensor([2, 1, 5, 7], 1);
    const b = tensor([1, 3, 7, 4], 2);
    const truth = tf.matMul(tf.tile(a, [1, 3, 1, 1]), tf.tile(b, [2, 1, 1, 1]));
    expect(tf.matMul(a, b).dataSync()).toEqual(truth.dataSync());
  });

  it('fuses bias and every activation', () => {
    fc.assert(
      fc.property(size, size, size, activation, fc.constantFrom('row', 'one', 'full', 'none'), (m, k, n, act, bias) => {
        const shapes: Record<string, number[]> = {row: [n], one: [1], full: [m, n]};
        expectSame(
          () =>
            tf.fused.matMul({
              a: tensor([m, k], 1) as tf.Tensor2D,
              b: tensor([k, n], 2) as tf.Tensor2D,
              ...(bias === 'none' ? {} : {bias: tensor(shapes[bias], 3)}),
              activation: act,
              ...(act === 'prelu' ? {preluActivationWeights: tensor([n], 4)} : {}),
              leakyreluAlpha: 0.3,
            }),
          k,
        );
      }),
      {numRuns: 60},
    );
  });

  const convolution = fc.record({
    samples: fc.integer({min: 1, max: 3}),
    height: fc.integer({min: 1, max: 12}),
    width: fc.integer({min: 1, max: 12}),
    inChannels: fc.constantFrom(1, 2, 3, 16, 33),
    outChannels: fc.constantFrom(1, 5, 16, 32, 35),
    filter: fc.constantFrom([1, 1], [3, 3], [2, 3], [5, 1]) as fc.Arbitrary<[number, number]>,
    stride: fc.constantFrom<[number, number] | number>(1, 2, 3, [1, 2]),
    dilation: fc.constantFrom(1, 2),
    pad: fc.constantFrom<'same' | 'valid' | number>('same', 'valid', 0, 1, 2),
    format: fc.constantFrom<'NHWC' | 'NCHW'>('NHWC', 'NHWC', 'NCHW'),
  });

  it('convolves any geometry, forwards and both ways back', () => {
    fc.assert(
      fc.property(convolution, activation, (c, act) => {
        const reach = (filter: number) => (filter - 1) * c.dilation + 1;
        fc.pre(c.dilation === 1 || c.stride === 1);
        // For a pad in numbers tfjs works out both sides of the result from the filter's height.
        const widest = typeof c.pad === 'number' ? Math.max(...c.filter) : c.filter[1];
        fc.pre(c.pad === 'same' || (c.height >= reach(c.filter[0]) && c.width >= reach(widest)));
        const image = c.format === 'NHWC' ? [c.height, c.width, c.inChannels] : [c.inChannels, c.height, c.width];
        const xShape = [c.samples, ...image] as [number, number, number, number];
        const wShape = [...c.filter, c.inChannels, c.outChannels] as [number, number, number, number];
        const [x, w] = [() => tensor(xShape, 1) as tf.Tensor4D, () => tensor(wShape, 2) as tf.Tensor4D];
        const terms = c.filter[0] * c.filter[1] * c.inChannels;
        expectSame(() => tf.conv2d(x(), w(), c.stride, c.pad, c.format, c.dilation), terms);
        expectSame(
          () =>
            tf.fused.conv2d({
              ...{x: x(), filter: w(), strides: c.stride, pad: c.pad, dataFormat: c.format, dilations: c.dilation},
              activation: act,
              bias: tensor([c.outChannels], 3),
              leakyreluAlpha: 0.3,
              ...(act === 'prelu' ? {preluActivationWeights: tensor([c.outChannels], 4)} : {}),
            }),
          terms,
        );
        if (c.dilation !== 1) return;
        const loss = (a: tf.Tensor, b: tf.Tensor) =>
          tf
            .conv2d(a as tf.Tensor4D, b as tf.Tensor4D, c.stride, c.pad, c.format)
            .mul(0.5)
            .square()
            .sum() as tf.Scalar;
        expectSame(() => tf.grads(loss)([x(), w()])[0], 4 * terms * c.outChannels);
        expectSame(() => tf.grads(loss)([x(), w()])[1], terms * c.samples * c.height * c.width);
      }),
      {numRuns: 60},
    );
  });

  it('pools any geometry, forwards and back, and passes over NaN', () => {
    fc.assert(
      fc.property(convolution, (c) => {
        const widest = typeof c.pad === 'number' ? Math.max(...c.filter) : c.filter[1];
        fc.pre(c.pad === 'same' || (c.height >= c.filter[0] && c.width >= widest));
        const images = () => {
          const values = randomArray(c.samples * c.height * c.width * 2 * c.inChannels, 1);
          values[0] = Number.NaN;
          return tf.tensor4d(values, [c.samples, c.height, c.width, 2 * c.inChannels]);
        };
        const pool = (x: tf.Tensor) => tf.maxPool(x as tf.Tensor4D, c.filter, c.stride, c.pad);
        expectSame(() => pool(images()), 0);
        expectSame(() => tf.grad((x) => pool(x).mul(1.5).sum())(images()), 4);
      }),
      {numRuns: 60},
    );
  });

  it('takes explicit paddings of images in either order', () => {
    type Pair = [number, number];
    const [none, rows, columns] = [[0, 0] as Pair, [1, 2] as Pair, [0, 3] as Pair];
    const filter = () => tensor([3, 2, 2, 4], 2) as tf.Tensor4D;
    const images = (shape: number[]) => tensor(shape, 1) as tf.Tensor4D;
    expectSame(() => tf.conv2d(images([2, 5, 6, 2]), filter(), 1, [none, rows, columns, none], 'NHWC'), 12);
    expectSame(() => tf.conv2d(images([2, 2, 5, 6]), filter(), 1, [none, none, rows, columns], 'NCHW'), 12);
  });

  it('reads the first of deltas larger than the geometry, as cpu does', () => {
    const filter = () => tensor([3, 3, 2, 4], 2) as tf.Tensor4D;
    const deltas = () => tensor([2, 7, 8, 4], 1) as tf.Tensor4D;
    expectSame(() => tf.conv2dTranspose(deltas(), filter(), [2, 4, 5, 2], 1, 'same'), 36);
  });

  it('leaves to cpu what it does not do: integers', () => {
    expectSame(() => tf.matMul(tf.tensor2d([[1, 2]], [1, 2], 'int32'), tf.tensor2d([[3], [4]], [2, 1], 'int32')), 2);
  });

  it('does not mix a padded border with NaN or infinity in the filter', () => {
    const filter = randomArray(9 * 2 * 3, 1);
    filter[0] = Number.POSITIVE_INFINITY; // the top left tap: absent from the first row and column
    expectSame(
      () => tf.conv2d(tensor([1, 4, 4, 2], 2) as tf.Tensor4D, tf.tensor4d(filter, [3, 3, 2, 3]), 1, 'same'),
      18,
    );
    expectSame(
      () =>
        tf.conv2dTranspose(
          tensor([1, 4, 4, 3], 2) as tf.Tensor4D,
          tf.tensor4d(filter, [3, 3, 2, 3]),
          [1, 4, 4, 2],
          1,
          'same',
        ),
      27,
    );
  });

  it('trains a network to the weights that cpu trains', async () => {
    const weights: Float32Array[][] = [];
    for (const backend of ['cpu', 'native']) {
      await tf.setBackend(backend);
      const initializer = (seed: number) => tf.initializers.glorotUniform({seed});
      const model = tf.sequential({
        layers: [
          tf.layers.conv2d({
            inputShape: [9, 9, 2],
            filters: 4,
            kernelSize: 3,
            activation: 'relu',
            padding: 'same',
            kernelInitializer: initializer(1),
          }),
          tf.layers.maxPooling2d({poolSize: 2}),
          tf.layers.conv2d({filters: 5, kernelSize: 2, strides: 2, kernelInitializer: initializer(2)}),
          tf.layers.flatten(),
          tf.layers.dense({units: 3, activation: 'softmax', kernelInitializer: initializer(3)}),
        ],
      });
      model.compile({optimizer: tf.train.adam(0.01), loss: 'categoricalCrossentropy'});
      const labels = tf.oneHot(tf.range(0, 12, 1, 'int32').mod(3).cast('int32'), 3);
      for (let i = 0; i < 5; i++) await model.trainOnBatch(tensor([12, 9, 9, 2], 7), labels);
      weights.push(model.getWeights().map((weight) => weight.dataSync() as Float32Array));
    }
    weights[1].forEach((values, i) => {
      for (const [j, value] of values.entries()) expect(Math.abs(value - weights[0][i][j])).toBeLessThan(1e-4);
    });
  });

  it('writes only into fresh memory', () => {
    const held = [tensor([8, 8], 1), tensor([8, 8], 2), tensor([8], 3)].map((t) => ({
      t,
      live: t.dataSync(),
      copy: t.dataSync().slice(),
    }));
    const [a, b, bias] = held.map(({t}) => t as tf.Tensor2D);
    const product = tf.fused.matMul({a, b, bias, activation: 'relu'});
    const snapshot = product.dataSync().slice();
    tf.matMul(product, product);
    for (const {live, copy} of held) expect(live).toEqual(copy);
    expect(product.dataSync()).toEqual(snapshot);
  });

  it('reports what its addon refuses as an EngramError', () => {
    expect(() => addon.operate(0, new Float64Array(3), [])).toThrow();
    expect(new EngramError('SHAPE', {expected: 'a', received: 'b', remedy: 'c'}).code).toBe('SHAPE');
  });
});

const inNode = (code: string, options: string[], env = {}): string =>
  execFileSync(process.execPath, [...options, '-e', code], {
    cwd: root,
    encoding: 'utf8',
    env: {...process.env, ...env},
    stdio: ['ignore', 'pipe', 'pipe'],
  });

describeAddon('a program that imports engram/native', () => {
  const use = `tf.setBackend('native').then((ok) => console.log(ok, tf.getBackend(), tf.matMul(tf.ones([2, 2]), tf.ones([2, 2])).dataSync()[0]))`;

  it('may import it', () => {
    const code = `import * as tf from '@tensorflow/tfjs-core'; import 'engram/native'; await ${use}`;
    expect(inNode(code, ['--input-type=module'])).toBe('true native 2\n');
  });

  it('may require it', () => {
    expect(inNode(`const tf = require('@tensorflow/tfjs-core'); require('engram/native'); ${use}`, [])).toBe(
      'true native 2\n',
    );
  });

  it('is told what is missing when there is no addon, and only once it asks for the backend', () => {
    const code = `import * as tf from '@tensorflow/tfjs-core'; import {NativeBackend} from '${root}dist/backends/native.js';
      try { new NativeBackend(); } catch (error) { console.log(error.code, error.remedy); }
      console.warn = () => {}; console.log(await tf.setBackend('native'));`;
    const printed = inNode(code, ['--input-type=module'], {ENGRAM_NATIVE: 'skip'});
    expect(printed).toMatch(/^NO_ADDON Run "npm run build:native".*\nfalse\n$/);
  });
});
