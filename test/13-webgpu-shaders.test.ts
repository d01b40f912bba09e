/** The shaders as text: embedded as they are, named like the table, written by the rules, accepted by Dawn's compiler. */
import {readdirSync, readFileSync} from 'node:fs';
import {describe, expect, it} from 'vitest';
import {create, globals} from 'webgpu';
import {shaders} from '../dist/kernels/shaders.gen.js';
import {flatDepth, type KernelName, kernelNames, row} from '../dist/kernels/table.js';
import {makePlan, type Stage, shaderText} from '../dist/kernels/webgpu-plan.js';

const folder = new URL('../shaders/', import.meta.url);
const files = readdirSync(folder).filter((file) => file.endsWith('.wgsl'));
/** What 13-webgpu-matrix.test.ts compiles, on a device with more features. */
const onTensorCores = ['grad_moment.f16', 'grad_moment.f16x3', 'grad_moment.largest'];
const text = (file: string): string => readFileSync(new URL(file, folder), 'utf8');
const limits = {
  maxComputeInvocationsPerWorkgroup: 256,
  maxComputeWorkgroupStorageSize: 16384,
  maxComputeWorkgroupsPerDimension: 65535,
};

/** Sizes of an ordinary call of every kernel, and of one whose samples are split into slices. */
const image = {uses: 1, inHeight: 9, inWidth: 9, inChannels: 8, filterHeight: 3, filterWidth: 3, outHeight: 9};
const window = {strideHeight: 1, strideWidth: 1, dilationHeight: 1, dilationWidth: 1, padTop: 1, padLeft: 1};
const deep = {inDepth: 5, filterDepth: 3, outDepth: 2, strideDepth: 2, dilationDepth: 1, padFront: 0};
const step = {size: 300, penalized: 1, slotCount: 2, nesterov: 0};
const calls: [KernelName, Record<string, number>][] = [
  ['grad_moment', {phi: 0, samples: 2, ...flatDepth, ...image, outWidth: 9, fanOut: 16, ...window}],
  ['grad_moment', {phi: 1, samples: 64, ...flatDepth, ...image, outWidth: 9, fanOut: 7, ...window}],
  ['grad_moment', {phi: 2, samples: 2, ...deep, ...image, outWidth: 9, fanOut: 16, ...window}],
  ['grad_moment_dense', {phi: 0, samples: 32, fanIn: 1000, fanOut: 1000}],
  ['grad_moment_sum', {phi: 2, samples: 2048, positions: 49, fanOut: 10, scaled: 1}],
  ['grad_moment_depthwise', {phi: 0, samples: 4, ...image, outWidth: 9, multiplier: 2, ...window}],
  ['grad_moment_gather', {phi: 0, samples: 4, positions: 5, rows: 30, fanOut: 9}],
  ['output_norm', {samples: 3, outputs: 10}],
  ['count_nonfinite', {size: 300}],
  ['fold', {size: 300}],
  ['fold', {size: 301}],
  ['merge', {rule: 1, size: 300}],
  ['merge', {rule: 1, size: 301}],
  ['penalized_step', {rule: 2, penalty: 1, ...step}],
  ['penalized_step', {rule: 1, penalty: 0, ...step, size: 301, slotCount: 1}],
  ['penalty_value', {size: 300}],
];

Object.assign(globalThis, globals);
// Held by the module: a device whose `gpu` object is garbage-collected aborts the process.
const gpu = create(['backend=null']);

describe('the shader files', () => {
  it('are embedded unchanged', () => {
    expect(
      Object.keys(shaders)
        .map((name) => `${name}.wgsl`)
        .sort(),
    ).toEqual([...files].sort());
    for (const file of files) expect((shaders as Record<string, string>)[file.slice(0, -5)]).toBe(text(file));
  });

  it('are the kernels of the table and their declared variants', () => {
    const variants = ['grad_moment.reduce', 'penalty_value.total', ...onTensorCores];
    expect(files.map((file) => file.slice(0, -5)).sort()).toEqual([...kernelNames, ...variants].sort());
  });

  it('declare the sizes, choices and scalars of their row, under the same names', () => {
    for (const name of kernelNames) {
      const source = text(`${name}.wgsl`);
      // The second stage of penalty_value is the one that needs its scalar.
      const scalars = name === 'penalty_value' ? text('penalty_value.total.wgsl') : source;
      for (const [param, {kind}] of Object.entries(row(name).params)) {
        if (kind === 'scalar') expect(scalars, `${name}.${param}`).toMatch(new RegExp(`^  ${param}: f32,`, 'm'));
        else expect(source, `${name}.${param}`).toMatch(new RegExp(`^override ${param}: u32;`, 'm'));
      }
    }
  });

  it('bind the buffers of their row first, in its order', () => {
    for (const name of kernelNames) {
      const bound = [...text(`${name}.wgsl`).matchAll(/@binding\((\d+)\) var<([^>]+)> (\w+):/g)];
      Object.entries(row(name).buffers).forEach(([buffer, {access}], i) => {
        const [, binding, kind, variable] = bound[i];
        expect(Number(binding)).toBe(i);
        expect(variable.replace('outputValues', 'outputs'), `${name}: binding ${i}`).toBe(buffer);
        expect(kind, `${name}.${buffer}`).toBe(access === 'read' ? 'storage, read' : 'storage, read_write');
      });
    }
  });

  it('initialise every variable: inside a loop a compiler may keep the value of the last round', () => {
    for (const file of files) {
      for (const line of text(file).split('\n')) {
        if (/^\s+(for \()?var \w+/.test(line)) expect(line, file).toContain('=');
      }
    }
  });

  it('are open to every override that a plan sets, and valid for Dawn', async () => {
    const adapter = await gpu.requestAdapter();
    const device = await adapter!.requestDevice();
    const stages: Stage[] = calls.flatMap(([kernel, constants]) => [...makePlan(kernel, constants, limits).stages]);
    expect(new Set(stages.map(({shader}) => shader)).size).toBe(files.length - onTensorCores.length);
    for (const stage of stages) {
      const {shader, constants} = stage;
      device.pushErrorScope('validation');
      const module = device.createShaderModule({code: shaderText(stage)});
      device.createComputePipeline({layout: 'auto', compute: {module, entryPoint: 'main', constants}});
      expect((await device.popErrorScope())?.message, shader).toBeUndefined();
    }
    device.destroy();
  });
});

describe('the plan of a call', () => {
  const plan = (kernel: KernelName, constants: Record<string, number>, own = {}) =>
    makePlan(kernel, constants, {...limits, ...own});
  const dense = (samples: number, fanIn: number, fanOut: number) =>
    plan('grad_moment_dense', {phi: 0, samples, fanIn, fanOut}).stages;

  it('gives big moments 8x8 sums a thread, small ones 4x4', () => {
    expect(dense(256, 4096, 4096)[0].constants.micro).toBe(8);
    expect(dense(16, 64, 10)[0].constants.micro).toBe(4);
  });

  it('splits the samples where the moment alone cannot fill a GPU, and never a sample', () => {
    const stages = plan('grad_moment', calls[1][1]).stages;
    expect(stages.map(({shader}) => shader)).toEqual(['grad_moment', 'grad_moment.reduce']);
    const [, , slices] = stages[0].workgroups;
    expect(slices).toBeGreaterThan(1);
    expect(slices * stages[0].constants.samplesPerSlice).toBeGreaterThanOrEqual(64);
    expect((slices - 1) * stages[0].constants.samplesPerSlice).toBeLessThan(64);
    expect(plan('grad_moment', calls[0][1]).stages).toHaveLength(1);
  });

  it('stays within workgroup memory and threads', () => {
    for (const size of [10, 100, 1000, 4096]) {
      for (const room of [16384, 32768, 49152]) {
        const own = {maxComputeWorkgroupStorageSize: room, maxComputeInvocationsPerWorkgroup: 128};
        const [{constants: c}] = plan(
          'grad_moment_dense',
          {phi: 0, samples: 100, fanIn: size, fanOut: size},
          own,
        ).stages;
        expect(4 * c.tileK * (c.tileP + c.tileQ)).toBeLessThanOrEqual(room);
        expect((c.tileP * c.tileQ) / c.micro ** 2).toBeLessThanOrEqual(128);
      }
    }
  });

  it('lays more workgroups than a dimension holds out in two', () => {
    const [{workgroups}] = plan('fold', {size: 256 * 4000}, {maxComputeWorkgroupsPerDimension: 300}).stages;
    expect(workgroups).toEqual([250, 4, 1]);
  });

  it('takes vectors of four where the size allows it', () => {
    const [four, one] = [300, 301].map((size) => plan('fold', {size}).stages[0]);
    expect([four.constants.width, one.constants.width]).toEqual([4, 1]);
    expect([four.workgroups[0], one.workgroups[0]]).toEqual([1, 2]);
    expect(shaderText(four)).toContain('alias Value = vec4f;');
    expect(shaderText(one)).toBe(shaders.fold);
  });

  it('dispatches nothing where nothing changes', () => {
    expect(plan('fold', {size: 0}).stages).toEqual([]);
    expect(dense(0, 5, 5)).toEqual([]);
    expect(plan('grad_moment_sum', {phi: 0, samples: 5, positions: 0, fanOut: 3, scaled: 0}).stages).toEqual([]);
    expect(plan('penalty_value', {size: 0}).stages).toHaveLength(1);
  });
});
