/**
 * grad_moment on tensor cores: the shaders are valid for Dawn with their features, and the arithmetic keeps its bounds
 * against float64. Where this machine has no tensor cores, it is written out for any adapter (subgroup-matrix.ts).
 */
import {afterAll, describe, expect, it} from 'vitest';
import {bodies} from '../dist/kernels/reference/engine.js';
import {shaders} from '../dist/kernels/shaders.gen.js';
import type {Params} from '../dist/kernels/table.js';
import {hasMatrices, matrixFeatures} from '../dist/kernels/webgpu-matrices.js';
import {matrixPlan} from '../dist/kernels/webgpu-matrix-plan.js';
import {constantsOf} from '../dist/kernels/webgpu-plan.js';
import {describeGpu, device} from './gpu.js';
import {pairwise, randomNumbers} from './gpu-parity.js';
import {nullDevice, runPlan, withoutMatrices} from './subgroup-matrix.js';
import {geometry, patchFactors, patchGeometry, volumes} from './volumes.js';

type Call = Params<'grad_moment'>;
const precisions = ['f16', 'f16x3'] as const;
type Precision = (typeof precisions)[number];
/** Room of the null device; the emulation stages f32 in the place of f16, so that it fits an adapter with 32 KiB. */
const limits = {
  maxComputeInvocationsPerWorkgroup: 256,
  maxComputeWorkgroupStorageSize: 16384,
  maxComputeWorkgroupsPerDimension: 65535,
};
const planOf = (precision: Precision, call: Call, own = {}) =>
  matrixPlan(precision, constantsOf('grad_moment', call), {...limits, ...own}, {onlyIfFaster: false});
const image = {...geometry({in: 9, filter: 3, before: 1, after: 1}, {in: 8, filter: 3, before: 1, after: 1}), uses: 1};

describe('the matrix shaders', () => {
  const calls: Call[] = [
    {...image, phi: 'abs', samples: 2, inChannels: 8, fanOut: 16},
    {...image, phi: 'square', samples: 300, inChannels: 5, fanOut: 7},
    {phi: 'identity', ...volumes[0]},
  ];
  /** The null device has 16 KiB of workgroup memory, and wants 128 threads because its subgroups might be that wide. */
  const fitting = {tileP: 64, tileQ: 64, tileK: 16, padding: 0};

  it('are valid for Dawn with their features, and those with matrices only with them', async () => {
    const stages = precisions.flatMap((precision) => calls.flatMap((call) => planOf(precision, call)!.stages));
    const names = new Set(stages.map(({shader}) => shader));
    for (const [name, text] of Object.entries(shaders)) {
      if (text.includes('f16')) expect(names, name).toContain(name);
    }
    for (const features of [matrixFeatures, ['subgroups']]) {
      const device = await nullDevice(features);
      for (const {shader, constants} of stages) {
        device.pushErrorScope('validation');
        const module = device.createShaderModule({code: shaders[shader]});
        device.createComputePipeline({
          layout: 'auto',
          compute: {
            module,
            entryPoint: 'main',
            constants: 'tileP' in constants ? {...constants, ...fitting} : constants,
          },
        });
        const message = (await device.popErrorScope())?.message;
        if (features === matrixFeatures || !shaders[shader].includes('enable f16')) {
          expect(message, shader).toBeUndefined();
        } else expect(message, shader).toMatch(/f16/);
      }
      device.destroy();
    }
  });
});

/** Relative to the sum over absolute values: two roundings to 11 bits; a split, a chain of truncations, a sum in f32. */
const bounds = {f16: 2 ** -10 * 1.02, f16x3: 2 ** -19};
/** Relative to the largest products of a sample: what f16 denormals lose. */
const floors = {f16: 2 ** -38, f16x3: 2 ** -49};

/** Values of A and D. */
const kinds = {
  normal: (random: () => number) => [random(), random()],
  positive: (random: () => number) => [Math.abs(random()), Math.abs(random())],
  'mixed samples': (random: () => number, sample: number) => scaled(random, 10 ** (sample % 2 ? 12 : -12)),
  'ends of f32': (random: () => number, sample: number) =>
    scaled(() => Math.sign(random()), 2 ** (sample % 2 ? 124 : -124)), // beside them are denormals, which may become 0
  small: (random: () => number) => [random() * 2 ** -60, random() * 2 ** -54],
  large: (random: () => number) => [random() * 2 ** 60, random() * 2 ** 54],
  'mixed values': (random: () => number) => [random() * 2 ** (40 * random()), random() * 2 ** (40 * random())],
  sparse: (random: () => number, sample: number) => (sample === 1 ? [0, 0] : [Math.max(0, random()), random()]),
} satisfies Record<string, (random: () => number, sample: number) => number[]>;
const scaled = (random: () => number, by: number) => [random() * by, random() / by];
type Kind = keyof typeof kinds;

const worst = {f16: {error: 0, share: 0, cases: 0}, f16x3: {error: 0, share: 0, cases: 0}};
const reached = new Set<string>();

describeGpu('grad_moment by matrices', () => {
  const real = hasMatrices(device);

  function data(call: Call, kind: Kind) {
    const sizeA = call.uses * call.inDepth * call.inHeight * call.inWidth * call.inChannels;
    const sizeD = call.uses * call.outDepth * call.outHeight * call.outWidth * call.fanOut;
    const random = randomNumbers(sizeA + 7 * sizeD + call.samples);
    const filled = (size: number, operand: 0 | 1) =>
      Float32Array.from({length: call.samples * size}, (_, i) => {
        return kinds[kind](random, Math.floor(i / size))[operand];
      });
    const sums = call.filterDepth * call.filterHeight * call.filterWidth * call.inChannels * call.fanOut;
    return {
      arrays: {
        activations: filled(sizeA, 0),
        deltas: filled(sizeD, 1),
        moment: new Float32Array(sums).fill(kind === 'sparse' ? 0.25 : 0),
      },
      sizeA,
      sizeD,
    };
  }

  async function check(precision: Precision, call: Call, kind: Kind): Promise<void> {
    const {arrays, sizeA, sizeD} = data(call, kind);
    const plan = planOf(precision, call)!;
    for (const name of ['vectorA', 'vectorD', 'tileP', 'tileQ']) {
      reached.add(`${name} ${plan.stages[1].constants[name]}`);
    }
    reached.add(plan.stages[1].workgroups[2] > 1 ? 'slices' : 'one slice');
    reached.add(plan.stages[0].constants.parts > 1 ? 'parts' : 'one part');
    const actual = await runPlan(device, plan, real ? (shader) => shader : withoutMatrices, arrays);
    const asDoubles = (edit: (x: number) => number) => ({
      activations: Float64Array.from(arrays.activations, edit),
      deltas: Float64Array.from(arrays.deltas, edit),
      moment: new Float64Array(arrays.moment.length),
    });
    const truth = asDoubles((x) => x);
    const scale = asDoubles(Math.abs);
    for (const values of [truth, scale]) (bodies.grad_moment as (p: Call, b: typeof truth) => void)(call, values);
    const largest = (values: Float32Array, size: number, b: number) =>
      values.subarray(b * size, (b + 1) * size).reduce((most, x) => Math.max(most, Math.abs(x)), 0);
    let floor = 1e-37;
    for (let b = 0; b < call.samples; b++) {
      floor +=
        (floors[precision] * largest(arrays.activations, sizeA, b) * largest(arrays.deltas, sizeD, b) * sizeD) /
        call.fanOut;
    }
    // (g + e)^2 is off by 2 g e, and e^2.
    const bound = bounds[precision] * (call.phi === 'square' ? 2.01 : 1);
    const [before] = arrays.moment;
    const record = worst[precision];
    record.cases++;
    for (let i = 0; i < actual.length; i++) {
      const error = Math.abs(actual[i] - before - truth.moment[i]);
      // What was in `moment` takes part in one addition.
      const allowed = bound * scale.moment[i] + floor + 2 ** -23 * (before + Math.abs(truth.moment[i]));
      if (!(error <= allowed)) {
        expect.fail(`${precision} ${kind} ${JSON.stringify(call)}[${i}]: off by ${error}, allowed ${allowed}`);
      }
      record.share = Math.max(record.share, error / allowed);
      const plain = call.phi !== 'square' && before === 0 && scale.moment[i] > 1e6 * floor;
      if (plain) record.error = Math.max(record.error, error / scale.moment[i]);
    }
  }

  afterAll(() => {
    for (const precision of precisions) {
      const {cases, error, share} = worst[precision];
      console.log(
        `${precision} ${real ? 'on tensor cores' : 'as written out for any adapter'}: ${cases} cases, largest error ` +
          `2^${Math.log2(error).toFixed(1)} of the sum over absolute values, ${share.toFixed(3)} of the allowed`,
      );
    }
  });

  it('patches, within the bounds of each precision', async () => {
    const table = pairwise({
      phi: ['abs', 'square', 'identity'],
      kind: ['normal', 'mixed samples', 'ends of f32', 'small', 'large', 'sparse'],
      samples: [1, 4],
      uses: [1, 3],
      ...patchFactors,
      inChannels: [1, 4, 20],
      fanOut: [1, 8, 17],
    });
    for (const {kind, size, filter, stride, dilation, pad, ...rest} of table) {
      const call = {...rest, ...patchGeometry({size, filter, stride, dilation, pad})};
      // Where squares leave f32, f32 has no result either.
      const safe = kind === 'large' && rest.phi === 'square' ? 'normal' : kind;
      for (const precision of precisions) if (planOf(precision, call)) await check(precision, call, safe);
    }
  });

  it('many positions, several tiles, slices of samples, values of all magnitudes', async () => {
    const sized = (samples: number, positions: number, inChannels: number, fanOut: number) =>
      ({phi: 'abs', samples, uses: 1, inChannels, fanOut, ...geometry({in: positions, filter: 1})}) as const;
    for (const precision of precisions) {
      await check(precision, sized(2, 777, 33, 31), 'normal');
      await check(precision, sized(1, 2049, 5, 3), 'positive');
      await check(precision, sized(1, 257, 129, 70), 'normal');
      await check(precision, sized(1, 1300, 4, 36), 'mixed values');
      await check(precision, sized(40, 49, 31, 33), 'normal');
      await check(precision, {...sized(16, 100, 8, 4), phi: 'identity'}, 'mixed samples');
      await check(precision, {...volumes[0], phi: 'abs'}, 'normal');
      await check(precision, {...volumes[1], phi: 'square'}, 'normal');
    }
  });

  it('the calls above reach every way through the shaders', () => {
    for (const way of ['vectorA', 'vectorD'].flatMap((name) => [`${name} 0`, `${name} 1`])) {
      expect(reached).toContain(way);
    }
    for (const way of ['slices', 'one slice', 'parts', 'one part', 'tileP 32', 'tileP 64', 'tileQ 32', 'tileQ 64']) {
      expect(reached).toContain(way);
    }
  });

  it('a sample with NaN or Infinity makes the moment non-finite, wherever it is', async () => {
    const call: Call = {...image, phi: 'abs', samples: 3, inChannels: 5, fanOut: 7};
    for (const precision of precisions) {
      for (const bad of [Number.NaN, Number.POSITIVE_INFINITY]) {
        for (const name of ['activations', 'deltas'] as const) {
          const {arrays} = data(call, 'normal');
          arrays[name][arrays[name].length - 1] = bad;
          const plan = planOf(precision, call)!;
          const result = await runPlan(device, plan, real ? (shader) => shader : withoutMatrices, arrays);
          expect(result.filter(Number.isFinite), `${precision} ${bad} in ${name}`).toHaveLength(0);
        }
      }
    }
  });

  it('the same input gives the same bits', async () => {
    const call: Call = {...image, phi: 'abs', samples: 40, inChannels: 5, fanOut: 7};
    for (const precision of precisions) {
      const {arrays} = data(call, 'normal');
      const run = () => runPlan(device, planOf(precision, call)!, real ? (shader) => shader : withoutMatrices, arrays);
      expect(await run()).toEqual(await run());
    }
  });
});
