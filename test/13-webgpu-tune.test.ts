/** Tuning: which tilings a call may have, that the fastest is used from then on, and that it travels as JSON. */
import * as tf from '@tensorflow/tfjs';
import {MemoryAwareSynapses} from 'engram';
import {type Params, type Tiling, tune, tuningOf, useTuning, WebGpuEngine} from 'engram/kernels';
import {autotune, useTuning as useTuningOfBackend} from 'engram/webgpu';
import {afterAll, beforeAll, expect, it} from 'vitest';
import {describeGpu, device} from './gpu.js';
import {filled} from './gpu-parity.js';

const params: Params<'grad_moment_dense'> = {phi: 'abs', samples: 40, fanIn: 70, fanOut: 33};
const arrays = () => ({activations: filled(40 * 70, 1), deltas: filled(40 * 33, 2), moment: new Float32Array(70 * 33)});
const tiling: Tiling = {micro: 4, tileP: 32, tileQ: 16, tileK: 5, samplesPerSlice: 20, prefetch: 1};

describeGpu('tuning', () => {
  it('measures, keeps the fastest, and computes the same', async () => {
    const engine = new WebGpuEngine(device);
    const before = arrays();
    await engine.runAsync('grad_moment_dense', params, before);
    const {milliseconds, byRule, candidates} = await tune(engine, 'grad_moment_dense', params, {
      candidates: 3,
      runs: 2,
    });
    expect(candidates).toBe(3);
    expect(milliseconds).toBeGreaterThan(0);
    expect(milliseconds).toBeLessThanOrEqual(byRule);
    expect([...engine.tilings]).toHaveLength(1);
    const after = arrays();
    await engine.runAsync('grad_moment_dense', params, after);
    after.moment.forEach((value, i) => void expect(value).toBeCloseTo(before.moment[i], 4));
    engine.dispose();
  });

  it('travels as JSON to an engine on the same adapter, and to no other', async () => {
    const engine = new WebGpuEngine(device);
    engine.useTiling('grad_moment_dense', params, tiling);
    const tuning = JSON.parse(JSON.stringify(tuningOf(engine)));
    const other = new WebGpuEngine(device);
    useTuning(other, tuning);
    expect([...other.tilings.values()]).toEqual([tiling]);
    const result = arrays();
    await other.runAsync('grad_moment_dense', params, result);
    expect(other.pipelineCount).toBe(2); // two slices are joined
    const refuses = (bad: unknown) =>
      expect(() => useTuning(new WebGpuEngine(device), bad as never)).toThrow(
        expect.objectContaining({code: 'ARGUMENT'}),
      );
    const [key] = Object.keys(tuning.tilings);
    refuses({...tuning, adapter: 'another'});
    refuses(null);
    refuses({adapter: tuning.adapter});
    refuses({...tuning, tilings: {'fold,100': tiling}});
    refuses({...tuning, tilings: {[`${key},1`]: tiling}});
    for (const wrong of [
      {tileK: 0},
      {tileK: 4000},
      {micro: 5},
      {tileP: 48},
      {samplesPerSlice: 0.5},
      {prefetch: 2},
      {tileK: 31},
    ]) {
      refuses({...tuning, tilings: {[key]: {...tiling, ...wrong}}});
    }
    engine.dispose();
    other.dispose();
  });

  it('refuses what it cannot measure', async () => {
    const engine = new WebGpuEngine(device);
    const code = {code: 'ARGUMENT'};
    await expect(tune(engine, 'grad_moment_dense', {...params, samples: 0})).rejects.toMatchObject(code);
    await expect(tune(engine, 'grad_moment_dense', params, {runs: 0})).rejects.toMatchObject(code);
    expect([...engine.tilings]).toEqual([]);
    engine.dispose();
  });

  describeGpu('of the webgpu backend', () => {
    beforeAll(async () => void (await tf.setBackend('webgpu')));
    afterAll(() => tf.removeBackend('webgpu'));

    it('covers the layers that were consolidated, and leaves importance as it is', async () => {
      const model = tf.sequential({
        layers: [
          tf.layers.conv2d({inputShape: [6, 6, 1], filters: 4, kernelSize: 3, activation: 'relu'}),
          tf.layers.flatten(),
          tf.layers.dense({units: 4}),
        ],
      });
      const x = tf.randomNormal([6, 6, 6, 1], 0, 1, 'float32', 1);
      const importance = async () => {
        const mas = new MemoryAwareSynapses(model, {lambda: 1});
        await mas.consolidate(x, {batchSize: 6});
        const values = await Promise.all([...mas.importance.values()].map(async (omega) => [...(await omega.data())]));
        mas.dispose();
        return values.flat();
      };
      const before = await importance();
      const tuning = await autotune({candidates: 2, runs: 1});
      const kernels = Object.keys(tuning.tilings).map((key) => key.split(',')[0]);
      expect(new Set(kernels)).toEqual(new Set(['grad_moment', 'grad_moment_dense']));
      useTuningOfBackend(tuning);
      (await importance()).forEach((value, i) => void expect(value).toBeCloseTo(before[i], 3));
      x.dispose();
      model.dispose();
    });

    it('is refused on another backend', async () => {
      await tf.setBackend('cpu');
      await expect(autotune()).rejects.toMatchObject({code: 'BACKEND'});
      await tf.setBackend('webgpu');
    });
  });
});
