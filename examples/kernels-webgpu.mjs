/**
 * The kernels on GPU buffers of one's own device, without TensorFlow.js: the importance of a convolution layer, batch after
 * batch, without a reading in between. In a browser, `navigator.gpu` takes the place of `create` and the rest is the same.
 * Run it with `node examples/kernels-webgpu.mjs` (npm package `webgpu`, and a Vulkan, Metal or D3D12 driver).
 *
 * Importance is Ω = (1/N) Σ_b |g_b| (Memory Aware Synapses, Aljundi et al. 2018, equation 2), where g_b is the gradient
 * of ‖F(x_b)‖² for sample b alone. A network's own backward pass brings activations A and deltas D; here they are random.
 */
import {flatDepth, referenceEngine, WebGpuEngine} from 'engram/kernels';
import {create, globals} from 'webgpu';

Object.assign(globalThis, globals);
const gpu = create([]); // held for as long as its devices are used
const adapter = await gpu.requestAdapter();
if (!adapter) throw new Error('no GPU adapter: install a driver, or see "Without a GPU" in shaders/README.md');
const device = await adapter.requestDevice();

// A 3x3 convolution of 12x12 images, 8 -> 16 channels, padded to the same size.
const [samples, side, channels, filters] = [32, 12, 8, 16];
const conv = {
  ...flatDepth, // a 2-D convolution is a 3-D one of depth 1
  ...{phi: 'abs', samples, uses: 1, inHeight: side, inWidth: side, inChannels: channels},
  ...{filterHeight: 3, filterWidth: 3, outHeight: side, outWidth: side, fanOut: filters},
  ...{strideHeight: 1, strideWidth: 1, dilationHeight: 1, dilationWidth: 1, padTop: 1, padLeft: 1},
};
const size = 9 * channels * filters;
const random = (length) => Float32Array.from({length}, () => Math.random() * 2 - 1);

/** A stream of one's own decides when work is submitted: here once for all batches. */
class Batched {
  commands = device.createCommandEncoder();
  open = null;
  pass() {
    this.open ??= this.commands.beginComputePass();
    return this.open;
  }
  encoder() {
    this.open?.end();
    this.open = null;
    return this.commands;
  }
  encoded() {}
  submit() {
    const commands = this.encoder().finish();
    this.commands = device.createCommandEncoder();
    device.queue.submit([commands]);
  }
}

const engine = new WebGpuEngine(device, new Batched());
const moment = engine.allocate(size); // zeroed; every batch adds to it
const importance = engine.allocate(size);
const nothing = engine.allocate(size);
const expected = new Float32Array(size);
const batches = 4;
for (let batch = 0; batch < batches; batch++) {
  const images = random(samples * side ** 2 * channels);
  const deltas = random(samples * side ** 2 * filters);
  const activations = engine.allocate(images.length, images);
  engine.run('grad_moment', conv, {activations, deltas: engine.allocate(deltas.length, deltas), moment});
  referenceEngine.run('grad_moment', conv, {activations: images, deltas, moment: expected});
}
const mean = {rule: 'linear', size, storedWeight: 1 / (batches * samples), incomingWeight: 0};
engine.run('merge', mean, {stored: moment, incoming: nothing, merged: importance});
const omega = await engine.read(importance, size); // the only wait

const largest = omega.reduce(
  (most, value, i) => Math.max(most, Math.abs(value - expected[i] / (batches * samples))),
  0,
);
const average = omega.reduce((sum, value) => sum + value, 0) / size;
console.log(`${adapter.info.description || adapter.info.vendor}: ${batches * samples} samples, ${size} weights`);
console.log(`mean importance ${average.toFixed(4)}, within ${largest.toExponential(1)} of the reference engine`);
if (!(largest < 1e-4)) process.exitCode = 1;
device.destroy();
