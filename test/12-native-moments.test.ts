/** Importance kernels of the addon against the reference in 64 bits, on every instruction set of this machine. */
import * as tf from '@tensorflow/tfjs';
import {afterAll, expect, it} from 'vitest';
import type {KernelName, Params} from '../dist/kernels/table.js';
import {
  type Arrays,
  describeAddon,
  inDoubles,
  onAddon,
  randomArray,
  randomIds,
  setups,
  use,
  useDefaults,
} from './native.js';
import {geometry, volumes} from './volumes.js';

afterAll(useDefaults);

type MomentKernel = Extract<KernelName, `grad_moment${string}`>;
type Phi = 'abs' | 'square' | 'identity';
const phis: Phi[] = ['abs', 'square', 'identity'];
const {abs, log2} = Math;

/** The truth of each case, worked out once for all instruction sets: its data never change. */
const known = new Map<string, {truth: Float64Array; bound: Float64Array}>();
function truthOf<K extends MomentKernel>(kernel: K, params: Params<K>, arrays: Arrays) {
  const firsts = Object.values(arrays).map((array) => array[0]);
  const key = `${kernel} ${JSON.stringify(params)} ${firsts}`;
  let entry = known.get(key);
  if (!entry) {
    const magnitudes = Object.fromEntries(Object.entries(arrays).map(([name, a]) => [name, Float64Array.from(a, abs)]));
    entry = {
      truth: inDoubles(kernel, params, arrays).moment,
      bound: inDoubles(kernel, params, magnitudes as unknown as Arrays).moment,
    };
    known.set(key, entry);
  }
  return entry;
}

/** error <= 2^-20 log2(n+2) sum(|A||D|) + 1e-37; for the square, of what (sum |A||D|)² rounds. */
function expectParity<K extends MomentKernel>(kernel: K, params: Params<K>, arrays: Arrays, terms: number): number {
  const {truth, bound} = truthOf(kernel, params, arrays);
  const got = onAddon(kernel, params, arrays).moment;
  let worst = 0;
  for (let i = 0; i < got.length; i++) {
    const share = abs(got[i] - Math.fround(truth[i])) / (2 ** -20 * log2(terms + 2) * bound[i] + 1e-37);
    if (got[i] !== Math.fround(truth[i]))
      worst = Math.max(worst, Number.isNaN(share) ? Number.POSITIVE_INFINITY : share);
  }
  expect(worst, `${kernel} ${JSON.stringify(params)}`).toBeLessThanOrEqual(1);
  return worst;
}

/** Factors of many magnitudes whose products a float holds. */
const scales: [number, number][] = [
  [1, 1],
  [1e38, 1e-30],
  [1e-39, 1],
  [1e20, 1e-20],
];

interface Shape {
  samples: number;
  uses?: number;
  size: [number, number];
  channels: number;
  filter: [number, number];
  fanOut: number;
  stride?: number;
  dilation?: number;
  pad?: number;
}
const shapes: Shape[] = [
  {samples: 3, size: [7, 9], channels: 3, filter: [3, 3], fanOut: 5},
  {samples: 2, size: [9, 8], channels: 16, filter: [3, 3], fanOut: 33, stride: 2, pad: 1},
  {samples: 2, uses: 2, size: [10, 7], channels: 5, filter: [2, 3], fanOut: 17, dilation: 2, pad: 1},
  {samples: 4, size: [28, 28], channels: 1, filter: [5, 5], fanOut: 32},
  {samples: 33, size: [6, 6], channels: 2, filter: [5, 5], fanOut: 8, stride: 3, pad: 2},
  {samples: 2, size: [5, 5], channels: 3, filter: [2, 2], fanOut: 4, stride: 3},
  {samples: 4, uses: 3, size: [1, 1], channels: 65, filter: [1, 1], fanOut: 63},
  {samples: 2, size: [1, 300], channels: 64, filter: [1, 1], fanOut: 65},
  {samples: 2, size: [33, 1], channels: 7, filter: [1, 1], fanOut: 257},
  {samples: 1, size: [1, 1], channels: 1, filter: [1, 1], fanOut: 1},
];

function convolution(
  shape: Shape,
  phi: Phi,
  seed: number,
  [a, d] = scales[0],
): [Params<'grad_moment'>, Arrays, number] {
  const {samples, uses = 1, size, channels, filter, fanOut, stride, dilation, pad} = shape;
  const axes = size.map((n, i) => ({in: n, filter: filter[i], stride, dilation, before: pad, after: pad}));
  return withArrays({phi, samples, uses, inChannels: channels, fanOut, ...geometry(...axes)}, seed, [a, d]);
}

/** Random arrays for a call, and how many terms its sums have. */
function withArrays(
  p: Params<'grad_moment'>,
  seed: number,
  [a, d] = scales[0],
): [Params<'grad_moment'>, Arrays, number] {
  const images = p.samples * p.uses;
  const positions = images * p.outDepth * p.outHeight * p.outWidth;
  const taps = p.filterDepth * p.filterHeight * p.filterWidth;
  const arrays = {
    activations: randomArray(images * p.inDepth * p.inHeight * p.inWidth * p.inChannels, seed, a),
    deltas: randomArray(positions * p.fanOut, seed + 1, d),
    moment: randomArray(taps * p.inChannels * p.fanOut, seed + 2, a * d),
  };
  return [p, arrays, positions];
}

/** The same shapes with `multiplier` filters a channel, and some whose channels fill vectors and blocks. */
const depthwiseShapes: (Omit<Shape, 'fanOut'> & {multiplier: number})[] = [
  ...shapes.map(({fanOut, ...shape}) => ({...shape, multiplier: 1 + (fanOut % 3)})),
  {samples: 3, size: [6, 7], channels: 64, filter: [3, 3], multiplier: 1, pad: 1},
  {samples: 2, size: [6, 5], channels: 203, filter: [3, 3], multiplier: 1, pad: 1, stride: 2},
  {samples: 2, size: [4, 4], channels: 2, filter: [2, 2], multiplier: 70},
  {samples: 64, size: [16, 16], channels: 24, filter: [3, 3], multiplier: 1, pad: 2},
  {samples: 2, size: [3, 3], channels: 5, filter: [5, 4], multiplier: 2, pad: 4},
  {samples: 0, size: [3, 3], channels: 5, filter: [2, 2], multiplier: 2},
  {samples: 2, size: [3, 3], channels: 5, filter: [2, 2], multiplier: 0},
];

function depthwise(
  {multiplier, ...shape}: (typeof depthwiseShapes)[number],
  phi: Phi,
  seed: number,
  scale = scales[0],
): [Params<'grad_moment_depthwise'>, Arrays, number] {
  const fanOut = shape.channels * multiplier;
  const [params, arrays, terms] = convolution({...shape, fanOut}, phi, seed, scale);
  const moment = randomArray(shape.filter[0] * shape.filter[1] * fanOut, seed + 2, scale[0] * scale[1]);
  return [{...params, multiplier}, {...arrays, moment}, terms];
}

/** Samples, ids a sample, rows, columns. */
const tables: [number, number, number, number][] = [
  [1, 1, 1, 1],
  [3, 5, 4, 7],
  [7, 33, 300, 64],
  [2, 40, 70_000, 2],
  [64, 100, 50, 130],
  [9, 1000, 3, 10],
  [2, 40, 100, 65],
  [0, 5, 4, 3],
  [5, 0, 4, 3],
  [5, 3, 4, 0],
];
function lookups(
  [samples, positions, rows, fanOut]: (typeof tables)[number],
  phi: Phi,
  seed: number,
): [Params<'grad_moment_gather'>, Arrays, number] {
  const places = samples * positions;
  const arrays = {
    ids: randomIds(places, rows, seed),
    deltas: randomArray(places * fanOut, seed + 1),
    moment: randomArray(rows * fanOut, seed + 2),
  };
  return [{phi, samples, positions, rows, fanOut}, arrays, places];
}

describeAddon.each(setups)('importance on %s with %i threads', (set, threads) => {
  it('of convolutions and rows is the reference, rounded', () => {
    use(set, threads);
    for (const phi of phis) {
      shapes.forEach((shape, i) => {
        for (const scale of phi === 'square' ? scales.slice(0, 1) : scales) {
          expectParity('grad_moment', ...convolution(shape, phi, i, scale));
        }
      });
    }
  });

  it('of 3-D convolutions is the reference, rounded', () => {
    use(set, threads);
    for (const phi of phis) {
      volumes.forEach((volume, i) => {
        for (const scale of phi === 'square' ? scales.slice(0, 1) : scales) {
          expectParity('grad_moment', ...withArrays({phi, ...volume}, i, scale));
        }
      });
    }
  });

  it('of depthwise convolutions is the reference, rounded', () => {
    use(set, threads);
    for (const phi of phis) {
      depthwiseShapes.forEach((shape, i) => {
        for (const scale of phi === 'square' ? scales.slice(0, 1) : scales) {
          expectParity('grad_moment_depthwise', ...depthwise(shape, phi, i, scale));
        }
      });
    }
  });

  it('of embeddings is the reference, rounded; ids beyond the rows count nowhere', () => {
    use(set, threads);
    for (const phi of phis) {
      for (const [seed, shape] of tables.entries()) expectParity('grad_moment_gather', ...lookups(shape, phi, seed));
    }
    const none: [number, number, number, number] = [2, 3, 0, 4];
    expectParity('grad_moment_gather', ...lookups(none, 'abs', 1));
  });

  it('of dense layers is the reference, rounded', () => {
    use(set, threads);
    for (const phi of phis) {
      for (const [samples, fanIn, fanOut] of [
        [1, 1, 1],
        [63, 64, 65],
        [65, 255, 10],
        [7, 257, 256],
        [300, 13, 11],
        [0, 5, 5],
        [5, 0, 5],
        [5, 5, 0],
      ]) {
        // The last scale has squares that overflow although the squared product does not.
        for (const [a, d] of phi === 'square' ? [scales[0], scales[3]] : scales) {
          const arrays = {
            activations: randomArray(samples * fanIn, 1, a),
            deltas: randomArray(samples * fanOut, 2, d),
            moment: randomArray(fanIn * fanOut, 3, a * d),
          };
          expectParity('grad_moment_dense', {phi, samples, fanIn, fanOut}, arrays, samples);
        }
      }
    }
  });

  it('of biases and scales is the reference, rounded', () => {
    use(set, threads);
    for (const phi of phis) {
      for (const [samples, positions, fanOut, scaled] of [
        [3, 5, 7, 0],
        [3, 5, 7, 1],
        [64, 1, 257, 0],
        [2, 1000, 1, 0],
        [9, 600, 65, 1],
        [0, 5, 3, 0],
        [5, 0, 3, 1],
      ]) {
        const size = samples * positions * fanOut;
        const arrays = {
          activations: randomArray(size * scaled, 1),
          deltas: randomArray(size, 2),
          moment: randomArray(fanOut, 3),
        };
        expectParity('grad_moment_sum', {phi, samples, positions, fanOut, scaled}, arrays, samples * positions);
      }
    }
  });

  it('has NaN and infinity where the reference has them, and nowhere else', () => {
    use(set, threads);
    const calls = [
      ...shapes.map((shape) => convolution(shape, 'abs', 7)),
      ...volumes.map((volume) => withArrays({phi: 'abs', ...volume}, 7)),
    ];
    for (const [params, arrays] of calls) {
      for (const odd of [Number.NaN, Number.POSITIVE_INFINITY]) {
        for (const [name, at] of [
          ['deltas', 0],
          ['deltas', arrays.deltas.length - 1],
          ['activations', arrays.activations.length - 1],
        ] as const) {
          if (arrays[name].length === 0) continue; // no pixel at all: nothing can be odd
          const changed = {...arrays, [name]: arrays[name].slice()};
          changed[name][at] = odd;
          const truth = inDoubles('grad_moment', params, changed).moment;
          const got = onAddon('grad_moment', params, changed).moment;
          expect(Array.from(got, Number.isFinite)).toEqual(Array.from(truth, Number.isFinite));
        }
      }
    }
    for (const shape of depthwiseShapes.filter(({samples, multiplier}) => samples * multiplier > 0)) {
      const [params, arrays] = depthwise(shape, 'abs', 7);
      arrays.deltas[0] = Number.NaN;
      const truth = inDoubles('grad_moment_depthwise', params, arrays).moment;
      const got = onAddon('grad_moment_depthwise', params, arrays).moment;
      expect(Array.from(got, Number.isFinite)).toEqual(Array.from(truth, Number.isFinite));
    }
  });

  it('is the same, bit for bit, on any number of threads', () => {
    for (const phi of phis) {
      const large: Shape = {samples: 64, size: [28, 28], channels: 1, filter: [5, 5], fanOut: 32};
      for (const [params, arrays] of [
        ...[...shapes, large].map((shape) => convolution(shape, phi, 11)),
        ...volumes.map((volume) => withArrays({phi, ...volume}, 11)),
      ]) {
        use(set, 1);
        const alone = onAddon('grad_moment', params, arrays).moment;
        for (const count of [2, threads + 4]) {
          use(set, count);
          expect(onAddon('grad_moment', params, arrays).moment).toEqual(alone);
        }
      }
      const onThreads = (run: () => Arrays) => {
        use(set, 1);
        const bits = () => Buffer.from(run().moment.buffer);
        const alone = bits();
        for (const count of [2, threads + 4]) {
          use(set, count);
          expect(bits().equals(alone)).toBe(true);
        }
      };
      for (const shape of depthwiseShapes) {
        const [params, arrays] = depthwise(shape, phi, 11);
        onThreads(() => onAddon('grad_moment_depthwise', params, arrays));
      }
      for (const shape of [...tables, [64, 300, 1000, 130]] as typeof tables) {
        const [params, arrays] = lookups(shape, phi, 11);
        onThreads(() => onAddon('grad_moment_gather', params, arrays));
      }
    }
  });
});

describeAddon('the plain sum of a 3-D convolution', () => {
  it('is the gradient that TensorFlow.js computes', async () => {
    useDefaults();
    await tf.setBackend('cpu');
    for (const pad of ['same', 'valid'] as const) {
      for (const strides of [
        [1, 1, 1],
        [2, 1, 3],
        [3, 2, 2],
      ] as [number, number, number][]) {
        const shape: [number, number, number, number, number] = [3, 6, 5, 7, 3];
        const filterShape: [number, number, number, number, number] = [3, 2, 4, 3, 5];
        const info = tf.backend_util.computeConv3DInfo(shape, filterShape, strides, 1, pad);
        const {outDepth, outHeight, outWidth, padInfo, strideDepth, strideHeight, strideWidth} = info;
        const [params, arrays, terms] = withArrays(
          {
            ...{phi: 'identity', samples: 3, uses: 1, inChannels: 3, fanOut: 5},
            ...geometry({in: 6, filter: 3}, {in: 5, filter: 2}, {in: 7, filter: 4}),
            ...{outDepth, outHeight, outWidth, strideDepth, strideHeight, strideWidth},
            ...{padFront: padInfo.front, padTop: padInfo.top, padLeft: padInfo.left},
          },
          5,
        );
        arrays.moment.fill(0);
        expectParity('grad_moment', params, arrays, terms);
        const x = tf.tensor5d(arrays.activations as Float32Array, shape);
        const convolve = (filter: tf.Tensor5D) => tf.conv3d(x, filter, strides, pad) as tf.Tensor5D;
        const dy = tf.tensor5d(arrays.deltas as Float32Array, [3, outDepth, outHeight, outWidth, 5]);
        const gradient = tf.grad(convolve as (filter: tf.Tensor) => tf.Tensor)(tf.zeros(filterShape), dy);
        const [expected, {moment}] = [gradient.dataSync(), inDoubles('grad_moment', params, arrays)];
        expect(moment.length).toBe(expected.length);
        for (const [i, value] of moment.entries()) expect(abs(value - expected[i])).toBeLessThan(1e-4);
        tf.dispose([x, dy, gradient]);
      }
    }
  });
});
