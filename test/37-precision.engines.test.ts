/** `precision` where samples are read: what an engine cannot compute in is refused, and `auto` never is. */
import * as tf from '@tensorflow/tfjs';
import {afterAll, expect, it} from 'vitest';
import {Accumulation, estimateImportance, MemoryAwareSynapses, type Precision} from '../dist/index.js';
import {tensorEngine} from '../dist/kernels/tensors.js';
import {hasMatrices} from '../dist/kernels/webgpu-matrices.js';
import {describeEngine, deviation, engineName} from './engine.js';

describeEngine(`precision on the ${engineName} engine`, () => {
  /** 144 positions, 72 x 64 weights: large enough for tensor cores. */
  const model = tf.sequential({
    layers: [
      tf.layers.conv2d({inputShape: [14, 14, 8], filters: 64, kernelSize: 3, activation: 'relu'}),
      tf.layers.globalAveragePooling2d({}),
      tf.layers.dense({units: 3}),
    ],
  });
  const x = tf.randomNormal([6, 14, 14, 8], 0, 1, 'float32', 1);
  afterAll(() => {
    model.dispose();
    x.dispose();
  });
  const device = engineName === 'webgpu' ? (tf.backend() as unknown as {device: GPUDevice}).device : undefined;
  const matrices = device !== undefined && hasMatrices(device);

  async function omega(precision?: Precision): Promise<number[][]> {
    const {importance} = await estimateImportance(model, x, {batchSize: 3, ...(precision && {precision})});
    const values = await Promise.all([...importance.values()].map(async (tensor) => [...(await tensor.data())]));
    tf.dispose([...importance.values()]);
    return values;
  }

  it('auto and f32 compute what is computed without it', async () => {
    const before = await omega();
    expect(await omega('f32')).toEqual(before);
    const auto = await omega('auto');
    if (!matrices) expect(auto).toEqual(before);
    auto.forEach((values, i) => void expect(deviation(values, before[i])).toBeLessThan(1e-4));
  });

  it('f16 and f16x3 are computed on tensor cores, and refused without, before anything is changed', async () => {
    const before = await omega();
    const mas = new MemoryAwareSynapses(model, {lambda: 1});
    const accumulation = new Accumulation(model);
    const code = engineName === 'webgpu' ? 'DEVICE' : 'BACKEND';
    for (const precision of ['f16', 'f16x3'] as const) {
      if (matrices) {
        const bound = precision === 'f16' ? 1e-2 : 1e-4;
        for (const [i, values] of (await omega(precision)).entries()) {
          expect(deviation(values, before[i])).toBeLessThan(bound);
        }
        continue;
      }
      const refusal = {code, remedy: expect.stringContaining("'auto'")};
      await expect(omega(precision)).rejects.toMatchObject(refusal);
      await expect(mas.consolidate(x, {precision})).rejects.toMatchObject(refusal);
      await expect(accumulation.add(x, {precision})).rejects.toMatchObject(refusal);
    }
    expect(mas.importance.size).toBe(0);
    expect(accumulation.samples).toBe(0);
    mas.dispose();
    accumulation.dispose();
  });

  it('reaches the convolutions and no other kernel', async () => {
    const engine = tensorEngine();
    const {run, checkPrecision} = engine;
    const seen: string[] = [];
    engine.checkPrecision = () => {};
    engine.run = ((...[kernel, params, inputs, outputs, options]: Parameters<typeof run>) => {
      if (options?.precision) seen.push(`${kernel} ${options.precision}`);
      return run.call(engine, kernel, params, inputs, outputs);
    }) as typeof run;
    try {
      await omega('f16');
    } finally {
      Object.assign(engine, {run, checkPrecision});
    }
    expect(seen).toEqual(['grad_moment f16', 'grad_moment f16']); // two batches of one convolution
  });

  it('anything else is refused with what there is', async () => {
    await expect(omega('f64' as Precision)).rejects.toMatchObject({
      code: 'ARGUMENT',
      expected: expect.stringContaining('f32, f16, f16x3, auto'),
    });
  });
});
