/** Which calls of grad_moment go to tensor cores, in which tiles; and which devices have them. */
import {describe, expect, it} from 'vitest';
import type {Precision} from '../dist/kernels/precision.js';
import type {Params} from '../dist/kernels/table.js';
import {WebGpuEngine} from '../dist/kernels/webgpu.js';
import {hasMatrices, matrixFeatures, noteMatrices} from '../dist/kernels/webgpu-matrices.js';
import {matrixPlan} from '../dist/kernels/webgpu-matrix-plan.js';
import {constantsOf, type Plan} from '../dist/kernels/webgpu-plan.js';
import {matrixInfo, nullDevice} from './subgroup-matrix.js';
import {geometry} from './volumes.js';

type Call = Params<'grad_moment'>;
/** What Dawn offers on an H100 or H200. */
const hopper = {
  maxComputeInvocationsPerWorkgroup: 1024,
  maxComputeWorkgroupStorageSize: 49152,
  maxComputeWorkgroupsPerDimension: 65535,
};
const precisions = ['f16', 'f16x3'] as const;
type MatrixPrecision = (typeof precisions)[number];

const conv = (samples: number, size: number, filter: number, inChannels: number, fanOut: number): Call => {
  const axis = {in: size, filter, before: (filter - 1) / 2, after: (filter - 1) / 2};
  return {phi: 'abs', samples, uses: 1, inChannels, fanOut, ...geometry(axis, axis)};
};
const rows = (positions: number, samples = 64, inChannels = 768, fanOut = 3072): Call => ({
  ...{phi: 'abs', samples, uses: 1, inChannels, fanOut},
  ...geometry({in: positions, filter: 1}),
});
const planOf = (precision: MatrixPrecision, call: Call, own = {}): Plan | undefined =>
  matrixPlan(precision, constantsOf('grad_moment', call), {...hopper, ...own});
const takes = (call: Call): string => precisions.filter((precision) => planOf(precision, call)).join(' ');

describe('the plan of matrices', () => {
  it('takes many positions of large moments, and leaves the rest to f32', () => {
    // Layers of ResNet-18 on ImageNet, at 256 samples.
    expect(takes(conv(256, 56, 3, 64, 64))).toBe('f16 f16x3');
    expect(takes(conv(256, 14, 3, 256, 256))).toBe('f16 f16x3');
    expect(takes(conv(256, 7, 3, 512, 512))).toBe('');
    // A moment so small that reading for its scales costs more than its products.
    expect(takes(conv(256, 32, 3, 3, 8))).toBe('');
    // One sample does not fill the GPU.
    expect(takes(conv(1, 56, 3, 64, 64))).toBe('');
  });

  it('wants the positions to pay for the way through workgroup memory', () => {
    expect([64, 65, 96, 97].map((positions) => takes(rows(positions)))).toEqual(['', 'f16x3', 'f16x3', 'f16 f16x3']);
  });

  it('takes nothing where nothing changes', () => {
    for (const empty of ['samples', 'uses', 'outHeight', 'fanOut', 'inChannels', 'inHeight'] as const) {
      expect(takes({...conv(256, 56, 3, 64, 64), [empty]: 0}), empty).toBe('');
    }
  });

  it('keeps its tiles in the device, and takes none where none fits', () => {
    for (const precision of precisions) {
      for (const call of [conv(256, 56, 3, 64, 64), conv(256, 14, 3, 256, 256), rows(197, 8), rows(300, 64, 27, 40)]) {
        for (const room of [49152, 32768, 16384, 4096]) {
          for (const threads of [1024, 256, 128]) {
            const own = {maxComputeWorkgroupStorageSize: room, maxComputeInvocationsPerWorkgroup: threads};
            const plan = matrixPlan(
              precision,
              constantsOf('grad_moment', call),
              {...hopper, ...own},
              {onlyIfFaster: false},
            );
            expect(plan === undefined).toBe(room === 4096);
            if (!plan) continue;
            const c = plan.stages[1].constants;
            const halves = precision === 'f16' ? 1 : 2;
            const staged = 2 * halves * c.tileK * (c.tileP + c.padding + c.tileQ + c.padding);
            const subgroups = (c.tileP / 32) * (c.tileQ / 32);
            expect(staged + subgroups * 512 * 4).toBeLessThanOrEqual(room);
            expect(32 * subgroups).toBeLessThanOrEqual(threads);
            expect((c.tileP % 32) + (c.tileQ % 32) + (c.tileK % 16)).toBe(0);
            // Rows of matrices begin at multiples of 16 bytes.
            expect(((c.tileP + c.padding) % 8) + ((c.tileQ + c.padding) % 8)).toBe(0);
          }
        }
      }
    }
  });

  it('gives an H100 tiles that its cache can feed', () => {
    for (const [precision, area] of [
      ['f16', 96 * 128],
      ['f16x3', 64 * 128],
    ] as const) {
      const {tileP, tileQ} = planOf(precision, conv(256, 14, 3, 256, 256))!.stages[1].constants;
      expect(tileP * tileQ).toBeGreaterThanOrEqual(area);
    }
  });

  it('gives every sample and every sum a place', () => {
    for (const precision of precisions) {
      for (const call of [conv(256, 56, 3, 64, 64), conv(255, 14, 3, 256, 250), rows(197, 9)]) {
        const plan = planOf(precision, call)!;
        const [largest, moment, reduce] = plan.stages;
        const {samplesPerSlice, tileP, tileQ, largestAt, parts} = moment.constants;
        const [x, y, slices] = moment.workgroups;
        const fanIn = call.filterHeight * call.filterWidth * call.inChannels;
        expect(x * y).toBe(Math.ceil(fanIn / tileP) * Math.ceil(call.fanOut / tileQ));
        expect(slices * samplesPerSlice).toBeGreaterThanOrEqual(call.samples);
        expect((slices - 1) * samplesPerSlice).toBeLessThan(call.samples);
        expect(largestAt).toBe(fanIn * call.fanOut * slices);
        expect(reduce.constants).toEqual({size: fanIn * call.fanOut, accumulate: 1, slices});
        expect(plan.scratchLength).toBe(largestAt + 2 * parts * call.samples);
        expect(largest.workgroups[0] * largest.workgroups[1]).toBe(2 * parts * call.samples);
      }
    }
  });
});

describe('a device with tensor cores', () => {
  /** The null device with other words about itself; `made` gets the names of the shaders that it compiles. */
  const saying = (device: GPUDevice, info: object, made: string[] = []) =>
    new Proxy(device, {
      get: (target, name) => {
        if (name === 'adapterInfo') return info;
        if (name === 'createShaderModule') {
          return (descriptor: GPUShaderModuleDescriptor) => {
            made.push(descriptor.label!);
            return device.createShaderModule(descriptor);
          };
        }
        const value = Reflect.get(target, name, target);
        return typeof value === 'function' ? value.bind(target) : value;
      },
    });

  it('has the features, the shape, and subgroups of 32', async () => {
    const device = await nullDevice(matrixFeatures);
    expect(hasMatrices(saying(device, matrixInfo))).toBe(true);
    const [config] = matrixInfo.subgroupMatrixConfigs;
    for (const other of [
      {subgroupMinSize: 16},
      {subgroupMaxSize: 64},
      {subgroupMatrixConfigs: []},
      {subgroupMatrixConfigs: undefined},
      ...[{componentType: 'i8'}, {resultComponentType: 'f16'}, {M: 8}, {N: 8}, {K: 32}].map((edit) => ({
        subgroupMatrixConfigs: [{...config, ...edit}],
      })),
    ]) {
      expect(hasMatrices(saying(device, {...matrixInfo, ...other})), JSON.stringify(other)).toBe(false);
    }
    // Node's devices know no shapes, so the adapter's word is kept.
    expect(hasMatrices(device)).toBe(false);
    noteMatrices(device, {...matrixInfo, subgroupMatrixConfigs: []} as unknown as GPUAdapterInfo);
    expect(hasMatrices(device)).toBe(false);
    noteMatrices(device, matrixInfo as unknown as GPUAdapterInfo);
    expect(hasMatrices(device)).toBe(true);
    const without = await nullDevice(['shader-f16', 'subgroups']);
    expect(hasMatrices(saying(without, matrixInfo))).toBe(false);
    for (const one of [device, without]) one.destroy();
  });

  it('uses them where they are asked for and pay', async () => {
    const device = await nullDevice(matrixFeatures);
    const shadersOf = (call: Call, precision: Precision | undefined, info: object = matrixInfo) => {
      const made: string[] = [];
      const engine = new WebGpuEngine(saying(device, info, made));
      const memory = {
        activations: engine.allocate(call.samples * call.inHeight * call.inWidth * call.inChannels),
        deltas: engine.allocate(call.samples * call.outHeight * call.outWidth * call.fanOut),
        moment: engine.allocate(call.filterHeight * call.filterWidth * call.inChannels * call.fanOut),
      };
      engine.run('grad_moment', call, memory, {precision});
      return made.join(' ');
    };
    const many = rows(200, 64, 256, 256);
    const few = rows(40, 64, 256, 256);
    const ordinary = 'grad_moment grad_moment.reduce';
    for (const precision of [undefined, 'f32'] as const) expect(shadersOf(many, precision)).toBe(ordinary);
    for (const precision of precisions) {
      expect(shadersOf(many, precision)).toBe(`grad_moment.largest grad_moment.${precision} grad_moment.reduce`);
      expect(shadersOf(few, precision)).toBe(ordinary);
    }
    expect(shadersOf(many, 'auto')).toBe(shadersOf(many, 'f16x3'));
    expect(shadersOf(many, 'auto', {...matrixInfo, subgroupMatrixConfigs: []})).toBe(ordinary);
    device.destroy();
  });

  it('keeps the plans of precisions apart', async () => {
    const device = await nullDevice(matrixFeatures);
    const made: string[] = [];
    const engine = new WebGpuEngine(saying(device, matrixInfo, made));
    const call = rows(200, 64, 256, 256);
    const memory = {
      activations: engine.allocate(64 * 200 * 256),
      deltas: engine.allocate(64 * 200 * 256),
      moment: engine.allocate(256 * 256),
    };
    for (const precision of ['f32', 'f16', 'f16x3'] as const) engine.run('grad_moment', call, memory, {precision});
    expect(made).toEqual([
      ...['grad_moment', 'grad_moment.reduce', 'grad_moment.largest', 'grad_moment.f16', 'grad_moment.f16x3'],
    ]);
    device.destroy();
  });
});
