/** The GPU benchmark without a GPU: the layers that it measures, what its timestamps mean, and how it judges a run. */
import {describe, expect, it} from 'vitest';
import {architectures, tabled, whole} from '../bench/gpu/architectures.mjs';
import {judge} from '../bench/gpu/judge.mjs';
import {peersTask} from '../bench/gpu/peers.mjs';
import {layersOf, totals} from '../bench/gpu/shapes.mjs';
import {constantsOf, makePlan} from '../dist/kernels/webgpu-plan.js';
import {intervals} from '../dist/kernels/webgpu-timing.js';

const networks = architectures();
type Network = keyof typeof networks;

describe('the layers of the GPU benchmark', () => {
  it.each([
    // Weights in millions and operations in 10^12 at B = 256, as published for these networks.
    ['alexnet', 61.09, 0.366],
    ['resnet18_32', 11.16, 0.284],
    ['resnet18_224', 11.68, 0.929],
    ['vit', 86.29, 8.626],
    ['mlp', 1.86, 0.001],
  ] as const)('%s has %f million weights', (name, millions, tera) => {
    const {parameters, flops} = totals(networks[name], 256);
    expect(parameters / 1e6).toBeCloseTo(millions, 2);
    expect(flops / 1e12).toBeCloseTo(tera, 3);
  });

  it('meet convolutions where the networks have them', () => {
    const rows = layersOf(networks.resnet18_224, 256);
    const shape = ({name, count, L, P, Q}: (typeof rows)[number]) => [name, count, L, P, Q];
    expect(rows.filter(({weight}) => weight).map(shape)).toEqual([
      ['conv 7x7/2 3>64', 1, 112 * 112, 147, 64],
      ['conv 3x3 64>64', 4, 56 * 56, 576, 64],
      ['conv 3x3/2 64>128', 1, 28 * 28, 576, 128],
      ['conv 3x3 128>128', 3, 28 * 28, 1152, 128],
      ['conv 1x1/2 64>128', 1, 28 * 28, 64, 128],
      ['conv 3x3/2 128>256', 1, 14 * 14, 1152, 256],
      ['conv 3x3 256>256', 3, 14 * 14, 2304, 256],
      ['conv 1x1/2 128>256', 1, 14 * 14, 128, 256],
      ['conv 3x3/2 256>512', 1, 7 * 7, 2304, 512],
      ['conv 3x3 512>512', 3, 7 * 7, 4608, 512],
      ['conv 1x1/2 256>512', 1, 7 * 7, 256, 512],
      ['dense 512>1000', 1, 1, 512, 1000],
    ]);
    const tokens = layersOf(networks.vit, 1).find(({name}) => name === 'dense 768>2304');
    expect(tokens).toMatchObject({kernel: 'grad_moment', L: 197, count: 12});
  });

  it('are calls that the engine has plans for, quick ones too', () => {
    const limits = {
      maxComputeInvocationsPerWorkgroup: 256,
      maxComputeWorkgroupStorageSize: 16384,
      maxComputeWorkgroupsPerDimension: 65535,
    };
    for (const quick of [false, true]) {
      for (const name of tabled as Network[]) {
        for (const {kernel, params} of layersOf(architectures({quick})[name], 2)) {
          const {stages} = makePlan(kernel as 'grad_moment', constantsOf(kernel as 'grad_moment', params), limits);
          expect(stages.length, `${name} ${JSON.stringify(params)}`).toBeGreaterThan(0);
        }
      }
    }
  });
});

describe('times from timestamps', () => {
  it('count what two passes share for the first of them', () => {
    expect(intervals([0n, 2_000_000n, 1_000_000n, 5_000_000n, 6_000_000n, 7_000_000n])).toEqual([2, 3, 1]);
  });
});

/** A run in which everything takes `ours` milliseconds here, and `theirs` in PyTorch and tfjs. */
function run(ours: number, theirs: number) {
  const samples = 256;
  const task = peersTask({quick: false, samples, device: 'cuda'});
  const kernels = task.layers.flatMap((layer: {network: string; layer: string; count: number}) =>
    ['f32', 'f16'].map((precision) => ({...layer, precision, weight: true, B: samples, ms: ours, L: 1})),
  );
  const both = [false, true];
  const ways = ['expert', 'opacus', 'vmap', 'loop'];
  const rulesOf = (network: string) => ['sgd', 'momentum', 'adam'].map((rule) => ({network, rule}));
  const steps = Object.keys(task.steps).flatMap(rulesOf);
  return {
    gpu: {software: false},
    options: {quick: false, samples},
    kernels: {rows: kernels},
    steps: {rows: steps.map((step) => ({...step, way: 'by variable', ms: ours, copyShare: 0.9}))},
    passes: {rows: whole.map((network) => ({network, B: samples, consolidation: ours, step: ours, ratio: 1.1}))},
    gradients: {rows: ['resnet18_32', 'resnet18_224'].map((network) => ({network, count: 1, ours, theirs}))},
    peers: {
      device: 'cuda',
      layers: task.layers.flatMap((layer: object) => both.map((tf32) => ({...layer, tf32, B: samples, ms: theirs}))),
      passes: whole.flatMap((network) =>
        ways.flatMap((way) => both.map((tf32) => ({network, way, tf32, B: samples, ms: theirs as number | null}))),
      ),
      steps: steps.map((step) => ({...step, ms: theirs})),
    },
  };
}
const statuses = (results: object) => new Set(judge(results).map(({status}: {status: string}) => status));
const row = (results: object, what: string) => judge(results).find((judged: {what: string}) => judged.what === what);

describe('the judged ratios', () => {
  const loop = 'consolidation / batch-of-one loop of PyTorch, mlp';
  const omega = 'Omega in fp32 / expert PyTorch in fp32, alexnet';

  it('are all met by a run fast enough, and missed by one that is not', () => {
    expect(statuses(run(1, 100))).toEqual(new Set(['met']));
    const slow = run(100, 100);
    expect(row(slow, omega)).toMatchObject({status: 'missed', value: 1});
    expect(row(slow, loop)).toMatchObject({status: 'missed', value: 1});
    expect(row(slow, 'gradients of filters / those of tfjs, resnet18_32')).toMatchObject({status: 'missed'});
    slow.steps.rows[0].copyShare = 0.84;
    expect(row(slow, 'penalized sgd step, share of copy bandwidth, alexnet')).toMatchObject({status: 'missed'});
  });

  it('compare times of a sample where a peer had to take a smaller batch', () => {
    const results = run(1, 100);
    for (const peer of results.peers.layers) Object.assign(peer, {B: 128, ms: 50});
    expect(row(results, omega)?.value).toBeCloseTo(0.01, 9);
  });

  it('take layers without f16 kernels in f32', () => {
    const results = run(1, 100);
    const before = row(results, 'Omega in f16 / expert PyTorch in TF32, alexnet')?.value;
    results.kernels.rows = results.kernels.rows.filter(
      ({layer, precision}: {layer: string; precision: string}) => precision === 'f32' || !layer.startsWith('dense'),
    );
    expect(row(results, 'Omega in f16 / expert PyTorch in TF32, alexnet')?.value).toBeCloseTo(before as number, 9);
    results.kernels.rows = results.kernels.rows.filter(({precision}: {precision: string}) => precision === 'f32');
    expect(row(results, 'Omega in f16 / expert PyTorch in TF32, alexnet')).toMatchObject({
      status: 'not measured',
      why: 'the engine has no f16 here',
    });
  });

  it('are not measured, with the reason, where there is nothing to compare or nothing to hold to a limit', () => {
    const results = run(1, 100);
    expect(row({...results, peers: {missing: 'no PyTorch'}}, loop)).toMatchObject({
      status: 'not measured',
      why: 'no peer: no PyTorch',
    });
    expect(row({...results, kernels: undefined}, omega)?.why).toBe('the part kernels did not run');
    expect(row({...results, passes: {rows: [], error: 'lost'}}, loop)?.why).toBe('passes: lost');
    for (const peer of results.peers.passes) peer.ms = null;
    expect(row(results, loop)?.status).toBe('not measured');
    expect(statuses({...run(1, 100), gpu: {software: true}})).toEqual(new Set(['not measured']));
    expect(statuses({...run(1, 100), options: {quick: true}})).toEqual(new Set(['not measured']));
    expect(statuses({})).toEqual(new Set(['not measured']));
  });
});
