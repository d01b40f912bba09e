/** Every kernel of the table on the CPU engines, by Benchmark.js; rates come from the row's own count of operations. */
import Benchmark from 'benchmark';
import {bufferLength} from '../dist/kernels/check.js';
import {hostEngine} from '../dist/kernels/host.js';
import {referenceEngine} from '../dist/kernels/reference/engine.js';
import {flatDepth, kernelNames, row} from '../dist/kernels/table.js';

/** Same padding, stride 1, square images. */
const images = (samples, size, channels, kernel) => ({
  phi: 'abs',
  samples,
  uses: 1,
  inHeight: size,
  inWidth: size,
  inChannels: channels,
  filterHeight: kernel,
  filterWidth: kernel,
  outHeight: size,
  outWidth: size,
  strideHeight: 1,
  strideWidth: 1,
  dilationHeight: 1,
  dilationWidth: 1,
  padTop: (kernel - 1) >> 1,
  padLeft: (kernel - 1) >> 1,
});
const conv = (samples, size, channels, fanOut, kernel) => ({
  ...images(samples, size, channels, kernel),
  ...flatDepth,
  fanOut,
});
const conv3d = (samples, depth, size, channels, fanOut, kernel) => ({
  ...conv(samples, size, channels, fanOut, kernel),
  inDepth: depth,
  filterDepth: kernel,
  outDepth: depth,
  padFront: (kernel - 1) >> 1,
});
const depthwise = (...shape) => ({...images(...shape), multiplier: 1});
const scalars = {
  learningRate: 0.01,
  momentum: 0.9,
  beta1: 0.9,
  beta2: 0.999,
  epsilon: 1e-7,
  correction1: 0.1,
  correction2: 0.001,
  weightDecay: 0,
  lambda: 1,
};
const step = (rule, slotCount) => ({
  rule,
  penalty: 'proximal',
  size: 1 << 20,
  penalized: 1,
  slotCount,
  nesterov: 0,
  ...scalars,
});

/** Shapes that matter: layers of the benchmark networks and of ResNet-18 on 32x32 images. */
const shapes = {
  grad_moment: [
    ['conv 5x5 32>64, 14x14', conv(16, 14, 32, 64, 5)],
    ['ResNet l1 3x3 64>64, 32x32', conv(4, 32, 64, 64, 3)],
    ['ResNet l3 3x3 256>256, 8x8', conv(8, 8, 256, 256, 3)],
    ['ResNet l4 3x3 512>512, 4x4', conv(8, 4, 512, 512, 3)],
    ['C3D 3x3x3 64>128, 8x14x14', conv3d(2, 8, 14, 64, 128, 3)],
  ],
  grad_moment_dense: [['784>1024, B=128', {phi: 'abs', samples: 128, fanIn: 784, fanOut: 1024}]],
  grad_moment_sum: [['bias of 64 channels, 14x14', {phi: 'abs', samples: 64, positions: 196, fanOut: 64, scaled: 0}]],
  grad_moment_depthwise: [
    ['3x3 on 32 channels, 28x28', depthwise(16, 28, 32, 3)],
    ['3x3 on 256 channels, 14x14', depthwise(8, 14, 256, 3)],
  ],
  grad_moment_gather: [
    ['10000 rows of 128, 64 x 200 ids', {phi: 'abs', samples: 64, positions: 200, rows: 10_000, fanOut: 128}],
  ],
  output_norm: [['1000 outputs', {samples: 256, outputs: 1000}]],
  count_nonfinite: [['1 Mi', {size: 1 << 20}]],
  fold: [['1 Mi', {size: 1 << 20}]],
  merge: [['1 Mi', {rule: 'linear', size: 1 << 20, storedWeight: 1, incomingWeight: 1}]],
  penalized_step: [
    ['sgd, 1 Mi', step('sgd', 0)],
    ['momentum, 1 Mi', step('momentum', 1)],
    ['adam, 1 Mi', step('adam', 2)],
  ],
  penalty_value: [['1 Mi', {size: 1 << 20, lambda: 1}]],
};

function allocate(spec, params) {
  return Object.fromEntries(
    Object.entries(spec.buffers).map(([name, buffer]) => {
      const length = bufferLength(buffer, params);
      if (buffer.dtype === 'i32')
        return [name, Int32Array.from({length}, (_, i) => ((i * 2654435761) >>> 8) % params.rows)];
      if (buffer.dtype === 'u32') return [name, new Uint32Array(length)];
      return [
        name,
        Float32Array.from(
          {length},
          (_, i) => (((i * 2654435761) % 1000) / 1000 + 1e-3) * (buffer.access === 'read' ? 1 : 0),
        ),
      ];
    }),
  );
}

/** @returns rows {kernel, shape, native, reference, speedup}, rates in Gop/s, speed of the addon over plain JavaScript */
export async function kernels({seconds = 0.4} = {}) {
  const rows = [];
  const engines = [hostEngine()];
  if (engines[0] !== referenceEngine) engines.push(referenceEngine);
  for (const kernel of kernelNames) {
    const spec = row(kernel);
    for (const [shape, params] of shapes[kernel]) {
      const rates = {};
      for (const engine of engines) {
        const buffers = allocate(spec, params);
        const bench = new Benchmark(() => engine.run(kernel, params, buffers), {maxTime: seconds, minSamples: 3});
        bench.run();
        if (bench.error) throw bench.error;
        rates[engine.name] = (spec.flops(params) * bench.hz) / 1e9;
      }
      const {native, reference} = rates;
      rows.push({kernel, shape, native, reference, speedup: native && reference ? native / reference : undefined});
    }
  }
  return rows;
}
