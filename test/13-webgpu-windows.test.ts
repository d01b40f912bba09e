/** Buffers beyond what a device can bind: calls on windows of them. */
import {describe, expect, it} from 'vitest';
import {bodies} from '../dist/kernels/reference/engine.js';
import {buffersOf, flatDepth, type KernelName, type Params} from '../dist/kernels/table.js';
import {WebGpuEngine} from '../dist/kernels/webgpu.js';
import {windowsOf} from '../dist/kernels/webgpu-windows.js';
import {describeGpu, device} from './gpu.js';
import {type Arrays, filled} from './gpu-parity.js';

const step: Omit<Params<'penalized_step'>, 'size'> = {
  ...({rule: 'momentum', penalty: 'proximal', penalized: 1, slotCount: 1, nesterov: 0, learningRate: 0.1} as const),
  ...{momentum: 0.9, beta1: 0, beta2: 0, epsilon: 0, correction1: 1, correction2: 1, weightDecay: 0, lambda: 3},
};

describe('windows of a call', () => {
  const elements = (size: number) => ({stored: size, incoming: size, merged: size});
  const merge = (size: number) => ({rule: 'max', size, storedWeight: 1, incomingWeight: 1}) as const;

  it('are whole, in order, and begin where a binding may begin', () => {
    const windows = windowsOf('merge', merge(1000), elements(1000), 300)!;
    expect(windows.map(({params}) => params.size)).toEqual([256, 256, 256, 232]);
    expect(windows.map(({offsets}) => offsets.merged)).toEqual([0, 256, 512, 768]);
  });

  it('of samples keep every buffer of them within the limit', () => {
    const params = {phi: 'abs', samples: 1000, fanIn: 24, fanOut: 5} as const;
    const windows = windowsOf('grad_moment_dense', params, {activations: 24_000, deltas: 5000, moment: 120}, 4000)!;
    expect(windows.map(({params: {samples}}) => samples)).toEqual([128, 128, 128, 128, 128, 128, 128, 104]);
    for (const {offsets} of windows) {
      expect(offsets.activations % 64).toBe(0);
      expect(offsets.deltas % 64).toBe(0);
      expect(offsets).not.toHaveProperty('moment');
    }
  });

  it('are not to be had where a buffer that is added to is too large itself, nor where slots lie side by side', () => {
    const params = {phi: 'abs', samples: 1, fanIn: 100, fanOut: 100} as const;
    expect(
      windowsOf('grad_moment_dense', params, {activations: 100, deltas: 100, moment: 10_000}, 4000),
    ).toBeUndefined();
    const adam = {...step, rule: 'adam', slotCount: 2, size: 5000} as const;
    const lengths = Object.fromEntries(buffersOf('penalized_step').map(([name]) => [name, 5000]));
    expect(windowsOf('penalized_step', adam, {...lengths, slots: 10_000}, 4000)).toBeUndefined();
    expect(windowsOf('penalized_step', {...step, size: 5000}, lengths, 4000)).toHaveLength(2);
    // One value for all: written, not added to.
    expect(windowsOf('penalty_value', {size: 5000, lambda: 1}, {...lengths, value: 1}, 4000)).toBeUndefined();
  });
});

describeGpu('a device whose bindings are small', () => {
  /** The device of this file, with a limit that no real one has. */
  const small = (bytes: number): GPUDevice =>
    new Proxy(device, {
      get(target, name) {
        const value = Reflect.get(target, name, target);
        if (name === 'limits') return new Proxy(value, {get: (limits, limit) => limitOf(limits, limit, bytes)});
        return typeof value === 'function' ? value.bind(target) : value;
      },
    });
  const limitOf = (limits: object, name: string | symbol, bytes: number) =>
    name === 'maxStorageBufferBindingSize' ? bytes : Reflect.get(limits, name, limits);

  const image = {...flatDepth, uses: 1, inHeight: 5, inWidth: 5, inChannels: 3, filterHeight: 3, filterWidth: 3};
  const conv = {
    ...image,
    ...{outHeight: 5, outWidth: 5, fanOut: 4, strideHeight: 1, strideWidth: 1},
    ...{dilationHeight: 1, dilationWidth: 1, padTop: 1, padLeft: 1},
  };
  const ids = Int32Array.from({length: 400 * 7}, (_, i) => (i * 31) % 40);
  const calls: [KernelName, object, Arrays][] = [
    ['grad_moment', {phi: 'abs', samples: 150, ...conv}, moments(150 * 75, 150 * 100, 108)],
    ['grad_moment_dense', {phi: 'square', samples: 1500, fanIn: 24, fanOut: 5}, moments(36_000, 7500, 120)],
    ['grad_moment_sum', {phi: 'abs', samples: 400, positions: 3, fanOut: 10, scaled: 1}, moments(12_000, 12_000, 10)],
    [
      'grad_moment_gather',
      {phi: 'abs', samples: 400, positions: 7, rows: 40, fanOut: 6},
      {ids, deltas: filled(16_800, 4), moment: filled(240, 5)},
    ],
    [
      'output_norm',
      {samples: 500, outputs: 20},
      {outputs: filled(10_000, 1), norms: filled(500, 2), seed: filled(10_000, 3)},
    ],
    ['count_nonfinite', {size: 9000}, {values: filled(9000, 1).fill(Number.NaN, 5000, 8000), count: Uint32Array.of(4)}],
    ['fold', {size: 9000}, {batch: filled(9000, 1), hi: filled(9000, 2), lo: filled(9000, 3)}],
    [
      'penalized_step',
      {...step, size: 9000},
      {
        ...{theta: filled(9000, 1), gradient: filled(9000, 2), importance: filled(9000, 3).map(Math.abs)},
        ...{anchor: filled(9000, 4), slots: filled(9000, 5), next: filled(9000, 6)},
      },
    ],
  ];

  it('gets what one of large bindings gets', async () => {
    const engine = new WebGpuEngine(small(32 * 1024));
    for (const [kernel, params, arrays] of calls) {
      expect(Math.max(...Object.values(arrays).map(({length}) => length)), kernel).toBeGreaterThan(8192);
      const truth = Object.fromEntries(Object.entries(arrays).map(([name, array]) => [name, array.slice()]));
      (bodies[kernel] as unknown as (params: object, buffers: Arrays) => void)(params, truth);
      await engine.runAsync(kernel, params as Params<typeof kernel>, arrays as never);
      for (const [name, {access}] of buffersOf(kernel)) {
        if (access === 'read') continue;
        const worst = Float64Array.from(arrays[name], (value, i) => Math.abs(value - truth[name][i])).reduce(
          (a, b) => Math.max(a, b),
          0,
        );
        expect(worst, `${kernel}.${name}`).toBeLessThanOrEqual(2e-4);
      }
    }
    engine.dispose();
  });

  it('refuses what cannot be cut, and changes nothing', async () => {
    const engine = new WebGpuEngine(small(32 * 1024));
    const moment = filled(10_000, 3);
    const before = moment.slice();
    const arrays = {activations: filled(100, 1), deltas: filled(100, 2), moment};
    await expect(
      engine.runAsync('grad_moment_dense', {phi: 'abs', samples: 1, fanIn: 100, fanOut: 100}, arrays),
    ).rejects.toMatchObject({code: 'DEVICE', message: expect.stringContaining('grad_moment_dense.moment')});
    expect(moment).toEqual(before);
    engine.dispose();
  });
});

function moments(activations: number, deltas: number, moment: number): Arrays {
  return {activations: filled(activations, 1), deltas: filled(deltas, 2), moment: filled(moment, 3)};
}
