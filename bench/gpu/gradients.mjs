/** Gradients of filters: engram/webgpu's kernel and the one of tfjs that it replaces, on the convolutions of ResNet-18. */
import * as tf from '@tensorflow/tfjs-core';
import {interleave} from '../measure.mjs';
import {architectures} from './architectures.mjs';
import {randomTensor} from './ceilings.mjs';
import {layersOf} from './shapes.mjs';
import {theirFilterGradient} from './theirs.mjs';

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

/** Adds rows {network, layer, count, B, ours, theirs, ratio}, times in milliseconds. */
export async function measureGradients({quick, samples, rows, report}) {
  if (!(await tf.setBackend('webgpu'))) throw new Error("tfjs' backend webgpu cannot be set");
  const ourFilterGradient = tf.getKernel('Conv2DBackpropFilter', 'webgpu').kernelFunc;
  if (ourFilterGradient === theirFilterGradient) throw new Error('tfjs still has its own gradient of filters');
  for (const network of ['resnet18_32', 'resnet18_224']) {
    const filters = layersOf(architectures({quick})[network], samples).filter(({kernel}) => kernel === 'grad_moment');
    for (const {name, count, params: p} of filters) {
      const images = randomTensor(tf, [samples, p.inHeight, p.inWidth, p.inChannels]);
      const deltas = randomTensor(tf, [samples, p.outHeight, p.outWidth, p.fanOut]);
      const inputs = {x: images.tensor, dy: deltas.tensor};
      const attrs = {
        strides: [p.strideHeight, p.strideWidth],
        pad: p.padTop,
        dataFormat: 'NHWC',
        filterShape: [p.filterHeight, p.filterWidth, p.inChannels, p.fanOut],
      };
      const call = (kernel) => () => tf.backend().disposeData(kernel({inputs, backend: tf.backend(), attrs}).dataId);
      const turn = (kernel) => () => perCall(call(kernel), quick ? 0 : 20);
      const turns = {ours: turn(ourFilterGradient), theirs: turn(theirFilterGradient)};
      const {ours, theirs} = await interleave(turns, quick ? 1 : 3);
      rows.push({network, layer: name, count, B: samples, ours, theirs, ratio: ours / theirs, clock: 'host clock'});
      report(rows.at(-1));
      for (const {dispose} of [images, deltas]) dispose();
    }
  }
}
