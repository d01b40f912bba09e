/**
 * The kernels alone, without TensorFlow.js: the importance of a dense and a convolution layer from typed arrays, off the
 * event loop, compared with plain loops; then a long kernel that is stopped. Run it with `node examples/kernels.mjs`.
 *
 * Importance is Ω = (1/N) Σ_b |g_b| (Memory Aware Synapses, Aljundi et al. 2018, equation 2), where g_b is the gradient
 * of ‖F(x_b)‖² for sample b alone. A network's own backward pass brings the two operands of every layer: activations A,
 * that met the weight, and deltas D, the gradient of the sum over samples at the layer's output. Here they are random.
 */
import {flatDepth, hostEngine} from 'engram/kernels';

const engine = hostEngine(); // the C++ addon; without it the reference engine, with a notice
const samples = 64;
const random = (length) => Float32Array.from({length}, () => Math.random() * 2 - 1);
const largestDifference = (a, b) => a.reduce((most, x, i) => Math.max(most, Math.abs(x - b[i])), 0);

/** A layer's importance: its moment Σ_b |g_b| by `kernel`, then divided by the number of samples. */
async function importance(kernel, params, activations, deltas, size) {
  const moment = new Float32Array(size);
  await engine.runAsync(kernel, params, {activations, deltas, moment});
  return moment.map((sum) => sum / samples);
}

// A dense layer, 20 -> 10: g_b[p,q] = A[b,p] D[b,q].
const dense = {phi: 'abs', samples, fanIn: 20, fanOut: 10};
const rows = {activations: random(samples * 20), deltas: random(samples * 10)};
const denseImportance = await importance('grad_moment_dense', dense, rows.activations, rows.deltas, 20 * 10);
const denseLoops = new Float64Array(20 * 10);
for (let b = 0; b < samples; b++) {
  for (let p = 0; p < 20; p++) {
    for (let q = 0; q < 10; q++) {
      denseLoops[p * 10 + q] += Math.abs(rows.activations[b * 20 + p] * rows.deltas[b * 10 + q]) / samples;
    }
  }
}
report('dense 20 -> 10', denseImportance, denseLoops);

// A 3x3 convolution of 8x8 images, 2 -> 4 channels, padded to the same size. The sum over the 64 output pixels ends
// before the absolute value is taken: that is what makes importance exact.
const [side, channels, filters] = [8, 2, 4];
const conv = {
  ...flatDepth, // a 2-D convolution is a 3-D one of depth 1
  ...{phi: 'abs', samples, uses: 1, inHeight: side, inWidth: side, inChannels: channels},
  ...{filterHeight: 3, filterWidth: 3, outHeight: side, outWidth: side, fanOut: filters},
  ...{strideHeight: 1, strideWidth: 1, dilationHeight: 1, dilationWidth: 1, padTop: 1, padLeft: 1},
};
const images = {activations: random(samples * side ** 2 * channels), deltas: random(samples * side ** 2 * filters)};
const filterSize = 9 * channels * filters;
const convImportance = await importance('grad_moment', conv, images.activations, images.deltas, filterSize);
const convLoops = new Float64Array(filterSize);
for (let b = 0; b < samples; b++) {
  for (let i = 0; i < filterSize; i++) {
    const [tap, c, q] = [Math.floor(i / filters / channels), Math.floor(i / filters) % channels, i % filters];
    let gradient = 0;
    for (let pixel = 0; pixel < side ** 2; pixel++) {
      const y = Math.floor(pixel / side) + Math.floor(tap / 3) - 1;
      const x = (pixel % side) + (tap % 3) - 1;
      if (y < 0 || y >= side || x < 0 || x >= side) continue;
      const activation = images.activations[((b * side + y) * side + x) * channels + c];
      gradient += activation * images.deltas[(b * side ** 2 + pixel) * filters + q];
    }
    convLoops[i] += Math.abs(gradient) / samples;
  }
}
report('convolution 3x3, 2 -> 4', convImportance, convLoops);

// A kernel of seconds, stopped after a tenth of one. SharedArrayBuffers are worked on in place, without a copy.
const shared = (length) => new Float32Array(new SharedArrayBuffer(4 * length)).fill(1);
const long = {...conv, samples: 1, inHeight: 512, inWidth: 512, outHeight: 512, outWidth: 512, fanOut: 16};
Object.assign(long, {filterHeight: 256, filterWidth: 256, padTop: 128, padLeft: 128});
const arrays = {
  activations: shared(512 * 512 * channels),
  deltas: shared(512 * 512 * 16),
  moment: shared(256 * 256 * channels * 16),
};
let ticks = 0;
const timer = setInterval(() => ticks++, 5);
const end = await engine.runAsync('grad_moment', long, arrays, {signal: AbortSignal.timeout(100)}).then(
  () => 'done within 100 ms',
  (error) => `stopped by ${error.name}`,
);
clearInterval(timer);
console.log(`long kernel: ${end}; the event loop ticked ${ticks} times meanwhile`);

function report(layer, values, loops) {
  const mean = values.reduce((sum, x) => sum + x, 0) / values.length;
  const difference = largestDifference(values, loops);
  console.log(`${layer}: mean importance ${mean.toFixed(4)}, within ${difference.toExponential(1)} of plain loops`);
  if (!(difference < 1e-5)) process.exitCode = 1;
}
