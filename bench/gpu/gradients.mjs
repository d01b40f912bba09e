/**
 * Gradients of weights next to those of tfjs that engram/webgpu replaces: of filters on the convolutions of ResNet-18, and of
 * dense layers, also of those too small to be replaced.
 */
import * as tf from '@tensorflow/tfjs-core';
import {webGpuTensorEngine} from '../../dist/kernels/tensors-webgpu.js';
import {interleave} from '../measure.mjs';
import {architectures} from './architectures.mjs';
import {randomTensor} from './ceilings.mjs';
import {layersOf} from './shapes.mjs';
import {theirGradients} from './theirs.mjs';

/** Milliseconds of a call: the mean of as many as fill `least` milliseconds, on the clock of the host. */
async function perCall(call, least) {
  const backend = tf.backend();
  const run = async (count) => {
    const start = performance.now();
    for (let i = 0; i < count; i++) call();
    if (backend.commandEncoder) {
      backend.endComputePassEncoder();
      backend.submitQueue();
    }
    await backend.device.queue.onSubmittedWorkDone();
    return (performance.now() - start) / count;
  };
  const once = await run(1);
  return once > least ? once : run(Math.min(200, Math.ceil(least / once)));
}

const dispose = ({dataId}) => tf.backend().disposeData(dataId);

/** Gradients of filters, as registered by engram/webgpu, and as tfjs has them. */
function filterCalls(network, options) {
  const ours = tf.getKernel('Conv2DBackpropFilter', 'webgpu').kernelFunc;
  if (ours === theirGradients.Conv2DBackpropFilter) throw new Error('tfjs still has its own gradient of filters');
  const filters = layersOf(architectures(options)[network], options.samples).filter(
    ({kernel}) => kernel === 'grad_moment',
  );
  return filters.map(({name, count, params: p}) => {
    const attrs = {
      strides: [p.strideHeight, p.strideWidth],
      pad: p.padTop,
      dataFormat: 'NHWC',
      filterShape: [p.filterHeight, p.filterWidth, p.inChannels, p.fanOut],
    };
    const call = (kernel) => (x, dy) => dispose(kernel({inputs: {x, dy}, backend: tf.backend(), attrs}));
    const images = [options.samples, p.inHeight, p.inWidth, p.inChannels];
    const deltas = [options.samples, p.outHeight, p.outWidth, p.fanOut];
    return {
      layer: name,
      count,
      shapes: [images, deltas],
      ours: call(ours),
      theirs: call(theirGradients.Conv2DBackpropFilter),
    };
  });
}

/** Gradients of dense kernels, x^T dy: grad_moment_dense without phi next to the product of tfjs. */
function denseCalls(network, options) {
  const layers = layersOf(architectures(options)[network], options.samples).filter(
    ({kernel}) => kernel === 'grad_moment_dense',
  );
  return layers.map(({name, count, params: {samples, fanIn, fanOut}}) => ({
    layer: name,
    count,
    shapes: [
      [samples, fanIn],
      [samples, fanOut],
    ],
    ours(x, dy) {
      const inputs = {activations: x, deltas: dy};
      const params = {phi: 'identity', samples, fanIn, fanOut};
      dispose(webGpuTensorEngine(tf.backend()).moment('grad_moment_dense', params, inputs, [fanIn, fanOut]));
    },
    theirs(x, dy) {
      const attrs = {transposeA: true, transposeB: false};
      dispose(theirGradients.BatchMatMul({inputs: {a: x, b: dy}, backend: tf.backend(), attrs}));
    },
  }));
}

/** Adds rows {network, layer, kernel, count, B, ours, theirs, ratio}, times in milliseconds. */
export async function measureGradients({quick, samples, rows, report}) {
  if (!(await tf.setBackend('webgpu'))) throw new Error("tfjs' backend webgpu cannot be set");
  const options = {quick, samples};
  const calls = [
    ...['resnet18_32', 'resnet18_224'].flatMap((network) =>
      filterCalls(network, options).map((call) => ({network, kernel: 'Conv2DBackpropFilter', ...call})),
    ),
    ...['mlp', 'alexnet'].flatMap((network) =>
      denseCalls(network, options).map((call) => ({network, kernel: 'BatchMatMul', ...call})),
    ),
  ];
  for (const {network, kernel, layer, count, shapes, ...sides} of calls) {
    const [x, dy] = shapes.map((shape) => randomTensor(tf, shape));
    const turn = (side) => () => perCall(() => side(x.tensor, dy.tensor), quick ? 0 : 20);
    const {ours, theirs} = await interleave({ours: turn(sides.ours), theirs: turn(sides.theirs)}, quick ? 1 : 3);
    rows.push({network, layer, kernel, count, B: samples, ours, theirs, ratio: ours / theirs, clock: 'host clock'});
    report(rows.at(-1));
    for (const each of [x, dy]) each.dispose();
  }
}
