/** Gradients of weights on `webgpu` are those of tfjs' own kernels and of cpu, and train the same networks. */

import '../bench/gpu/theirs.mjs'; // before engram/webgpu, which gpu.js imports
import * as tf from '@tensorflow/tfjs';
import {afterAll, beforeAll, expect, it} from 'vitest';
import {theirGradients} from '../bench/gpu/theirs.mjs';
import {webGpuTensorEngine} from '../dist/kernels/tensors-webgpu.js';
import type {WebGpuEngine} from '../dist/kernels/webgpu.js';
import {describeGpu} from './gpu.js';

interface Shape {
  name: 'Conv2DBackpropFilter' | 'DepthwiseConv2dNativeBackpropFilter';
  x: [number, number, number, number];
  filter: [number, number, number, number];
  strides: number;
  pad: 'same' | 'valid' | number | tf.backend_util.ExplicitPadding;
  dilations?: number;
}
const explicit: tf.backend_util.ExplicitPadding = [
  [0, 0],
  [2, 0],
  [1, 3],
  [0, 0],
];
const shapes: Shape[] = [
  {name: 'Conv2DBackpropFilter', x: [3, 9, 8, 5], filter: [3, 3, 5, 7], strides: 1, pad: 'same'},
  {name: 'Conv2DBackpropFilter', x: [2, 11, 10, 4], filter: [5, 4, 4, 16], strides: 2, pad: 'valid'},
  {name: 'Conv2DBackpropFilter', x: [16, 12, 12, 1], filter: [5, 5, 1, 8], strides: 1, pad: 'same'},
  {name: 'Conv2DBackpropFilter', x: [1, 6, 7, 12], filter: [1, 1, 12, 20], strides: 3, pad: 'same'},
  {name: 'Conv2DBackpropFilter', x: [2, 7, 6, 3], filter: [4, 5, 3, 2], strides: 1, pad: explicit},
  {name: 'Conv2DBackpropFilter', x: [0, 6, 6, 2], filter: [3, 3, 2, 4], strides: 1, pad: 'valid'},
  {name: 'DepthwiseConv2dNativeBackpropFilter', x: [3, 9, 8, 6], filter: [3, 3, 6, 1], strides: 1, pad: 'same'},
  {name: 'DepthwiseConv2dNativeBackpropFilter', x: [2, 8, 9, 3], filter: [3, 2, 3, 2], strides: 2, pad: 'valid'},
  {
    name: 'DepthwiseConv2dNativeBackpropFilter',
    x: [2, 9, 9, 4],
    filter: [3, 3, 4, 1],
    strides: 1,
    pad: 1,
    dilations: 2,
  },
];

describeGpu('gradients of weights on webgpu', () => {
  beforeAll(async () => {
    expect(await tf.setBackend('webgpu')).toBe(true);
    for (const [name, theirs] of Object.entries(theirGradients)) {
      expect(tf.getKernel(name, 'webgpu').kernelFunc).not.toBe(theirs);
    }
  });
  afterAll(() => tf.removeBackend('webgpu'));

  it.each(shapes)(
    '$name of $x by $filter, strides $strides',
    async ({name, x, filter, strides, pad, dilations = 1}) => {
      const depthwise = name !== 'Conv2DBackpropFilter';
      const {outShape} = tf.backend_util.computeConv2DInfo(x, filter, strides, dilations, pad, undefined, depthwise);
      const attrs = {strides, pad, dilations, dataFormat: 'NHWC', filterShape: filter};
      const on = async (backend: string, run: (inputs: {x: tf.Tensor; dy: tf.Tensor}) => tf.TensorInfo) => {
        await tf.setBackend(backend);
        const inputs = {x: tf.randomNormal(x, 0, 1, 'float32', 1), dy: tf.randomNormal(outShape, 0, 1, 'float32', 2)};
        const info = run(inputs);
        const gradient = info instanceof tf.Tensor ? info : tf.engine().makeTensorFromTensorInfo(info);
        const values = await gradient.data();
        tf.dispose([gradient, inputs.x, inputs.dy]);
        return values;
      };
      const ours = (inputs: tf.NamedTensorMap) => tf.engine().runKernel(name, inputs, attrs) as tf.Tensor;
      const theirs = (inputs: tf.NamedTensorMap) =>
        theirGradients[name]({inputs, backend: tf.backend(), attrs}) as tf.TensorInfo;
      const truth = await on('cpu', ours);
      const before = tf.memory().numTensors;
      const got = await on('webgpu', ours);
      expect(tf.memory().numTensors).toBe(before);
      const original = x[0] > 0 ? await on('webgpu', theirs) : truth;
      expect(got.length).toBe(truth.length);
      for (const [i, value] of got.entries()) {
        // tfjs' kernels heed no dilation, each in its own way; its operations refuse such a gradient.
        if (dilations === 1) expect(Math.abs(value - truth[i])).toBeLessThan(1e-4);
        expect(Math.abs(value - original[i])).toBeLessThan(1e-3);
      }
    },
  );

  /** Leading axes, samples, fan-in and fan-out: below and above the smallest product that is taken, odd and even. */
  const products: [number[], number, number, number][] = [
    [[], 16, 128, 128],
    [[], 33, 129, 131],
    [[1], 20, 64, 300],
    [[], 15, 128, 128],
    [[2], 16, 128, 128],
    [[], 40, 20, 30],
  ];
  it.each(products)('x^T dy, %j of %i samples, %i by %i', async (outer, samples, fanIn, fanOut) => {
    const attrs = {transposeA: true, transposeB: false};
    const inputs = () => ({
      a: tf.randomNormal([...outer, samples, fanIn], 0, 1, 'float32', 1),
      b: tf.randomNormal([...outer, samples, fanOut], 0, 1, 'float32', 2),
    });
    const read = async (info: tf.TensorInfo | tf.Tensor, used: tf.NamedTensorMap) => {
      const product = info instanceof tf.Tensor ? info : tf.engine().makeTensorFromTensorInfo(info);
      const values = await product.data();
      const {shape} = product;
      tf.dispose([product, ...Object.values(used)]);
      return {values, shape};
    };
    const taken = outer.reduce((a, b) => a * b, 1) === 1 && samples >= 16 && fanIn * fanOut >= 128 * 128;
    const {engine} = webGpuTensorEngine(tf.backend() as never) as unknown as {engine: WebGpuEngine};
    const before = engine.momentCalls.length;
    const mine = inputs();
    const ours = await read(tf.engine().runKernel('BatchMatMul', mine, attrs as never) as tf.Tensor, mine);
    expect(engine.momentCalls.length - before).toBe(Number(taken));
    const their = inputs();
    const theirs = await read(
      theirGradients.BatchMatMul({inputs: their, backend: tf.backend(), attrs}) as tf.TensorInfo,
      their,
    );
    expect(ours.shape).toEqual([...outer, fanIn, fanOut]);
    expect(theirs.shape).toEqual(ours.shape);
    for (const [i, value] of ours.values.entries()) expect(Math.abs(value - theirs.values[i])).toBeLessThan(1e-4);
  });

  it('leave to tfjs what they do not do', async () => {
    const x = tf.randomNormal([2, 3, 6, 6], 0, 1, 'float32', 1) as tf.Tensor4D;
    const gradient = (format: 'NHWC' | 'NCHW', images: tf.Tensor4D) =>
      tf.grad((w) => tf.sum(tf.square(tf.conv2d(images, w as tf.Tensor4D, 1, 'valid', format))))(tf.ones([3, 3, 3, 4]));
    const turned = gradient('NHWC', tf.transpose(x, [0, 2, 3, 1]));
    const first = gradient('NCHW', x);
    const [a, b] = [await turned.data(), await first.data()];
    for (const [i, value] of a.entries()) expect(Math.abs(value - b[i])).toBeLessThan(1e-2);
  });

  it('train a network as cpu does, with no change to its code', async () => {
    const losses = async (backend: string) => {
      await tf.setBackend(backend);
      const seeded = (seed: number) => tf.initializers.glorotUniform({seed});
      const model = tf.sequential({
        layers: [
          tf.layers.conv2d({
            inputShape: [8, 8, 2],
            filters: 6,
            kernelSize: 3,
            activation: 'relu',
            kernelInitializer: seeded(1),
          }),
          tf.layers.depthwiseConv2d({kernelSize: 3, depthwiseInitializer: seeded(2)}),
          tf.layers.flatten(),
          tf.layers.dense({units: 3, activation: 'softmax', kernelInitializer: seeded(3)}),
        ],
      });
      model.compile({optimizer: tf.train.sgd(0.1), loss: 'categoricalCrossentropy'});
      const x = tf.randomNormal([24, 8, 8, 2], 0, 1, 'float32', 4);
      const y = tf.oneHot(
        tf.tensor1d(
          [...Array(24).keys()].map((i) => i % 3),
          'int32',
        ),
        3,
      );
      const {history} = await model.fit(x, y, {epochs: 5, batchSize: 8, shuffle: false, verbose: 0});
      model.dispose();
      tf.dispose([x, y]);
      return history.loss as number[];
    };
    const truth = await losses('cpu');
    for (const [i, loss] of (await losses('webgpu')).entries()) expect(Math.abs(loss - truth[i])).toBeLessThan(1e-4);
    expect(truth[4]).toBeLessThan(truth[0]);
  });
});
