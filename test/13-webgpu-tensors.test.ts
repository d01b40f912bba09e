/** Kernels on tfjs' webgpu tensors: the same buffers in the same command stream, and nobody's data touched. */
import * as tf from '@tensorflow/tfjs';
import {beforeAll, expect, it} from 'vitest';
import type {TensorEngine} from '../dist/kernels/tensor-engine.js';
import {tensorEngine} from '../dist/kernels/tensors.js';
import type {WebGpuBackendLike} from '../dist/kernels/tfjs-webgpu.js';
import {describeGpu} from './gpu.js';

const dense = (samples: number, fanIn: number, fanOut: number) => ({phi: 'abs', samples, fanIn, fanOut}) as const;
const code = (f: () => void): unknown => {
  try {
    f();
  } catch (error) {
    return (error as {code: string}).code;
  }
  return 'no error';
};

describeGpu('kernels on webgpu tensors', () => {
  let engine: TensorEngine;
  let backend: WebGpuBackendLike;
  beforeAll(async () => {
    await tf.setBackend('webgpu');
    engine = tensorEngine();
    backend = tf.backend() as unknown as WebGpuBackendLike;
  });
  const expectClose = (actual: ArrayLike<number>, expected: ArrayLike<number>): void => {
    expect(actual.length).toBe(expected.length);
    for (let i = 0; i < expected.length; i++) {
      expect(Math.abs(actual[i] - expected[i])).toBeLessThanOrEqual(1e-5 * Math.abs(expected[i]) + 1e-6);
    }
  };

  it('run on results that tfjs has not submitted yet, twice into the same cell', async () => {
    const cell = engine.cell(6 * 5);
    const [a, d] = [tf.relu(tf.randomNormal([40, 6])), tf.tanh(tf.randomNormal([40, 5]))];
    const before = backend.commandEncoder;
    expect(before).not.toBeNull();
    engine.run('grad_moment_dense', dense(40, 6, 5), {activations: a, deltas: d, moment: cell}, {});
    engine.run('grad_moment_dense', dense(40, 6, 5), {activations: a, deltas: d, moment: cell}, {});
    expect(backend.commandEncoder).toBe(before); // in tfjs' stream, not submitted by the engine
    const truth = tf.mul(2, tf.matMul(tf.abs(a), tf.abs(d), true));
    expectClose(await cell.read(), await truth.data());
    cell.dispose();
  });

  it('take tensors that are still on the CPU, and those of another backend', async () => {
    await tf.setBackend('cpu');
    const elsewhere = tf.tensor2d([[1, 2, 3]]);
    await tf.setBackend('webgpu');
    const cell = engine.cell(3);
    const inputs = {activations: tf.tensor2d([[2]]), deltas: elsewhere, moment: cell};
    engine.run('grad_moment_dense', dense(1, 1, 3), inputs, {});
    expect([...(await cell.read())]).toEqual([2, 4, 6]);
    cell.dispose();
  });

  it('make outputs that tidy tracks and tfjs computes with', async () => {
    const logits = tf.tensor2d([
      [1, -2],
      [3, 0],
    ]);
    const before = tf.memory().numTensors;
    const total = tf.tidy(() => {
      const {norms, seed} = engine.run(
        'output_norm',
        {samples: 2, outputs: 2},
        {outputs: logits},
        {norms: [2], seed: [2, 2]},
      );
      return tf.add(norms, seed.sum(1));
    });
    expect([...(await total.data())]).toEqual([5 - 2, 9 + 6]);
    total.dispose();
    expect(tf.memory().numTensors).toBe(before);
  });

  it('survive the disposal of inputs and cells in flight', async () => {
    const [cell, doomed] = [engine.cell(4), engine.cell(4)];
    const a = tf.relu(tf.tensor2d([[1], [2]]));
    const d = tf.relu(
      tf.tensor2d([
        [1, 2, 3, 4],
        [1, 1, 1, 1],
      ]),
    );
    engine.run('grad_moment_dense', dense(2, 1, 4), {activations: a, deltas: d, moment: doomed}, {});
    engine.run('grad_moment_dense', dense(2, 1, 4), {activations: a, deltas: d, moment: cell}, {});
    tf.dispose([a, d]);
    const recycled = [tf.relu(tf.fill([2, 4], 9)), tf.relu(tf.fill([2, 1], 9))]; // same sizes: tfjs' pool would give their buffers
    doomed.dispose();
    doomed.dispose();
    expect([...(await cell.read())]).toEqual([3, 4, 5, 6]);
    expect(
      code(() =>
        engine.run(
          'grad_moment_dense',
          dense(2, 1, 4),
          {activations: recycled[1], deltas: recycled[0], moment: doomed},
          {},
        ),
      ),
    ).toBe('DISPOSED');
    cell.dispose();
  });

  it('change no tensor of a user, read or not, and no array it was made from', async () => {
    const array = Float32Array.from({length: 300}, (_, i) => Math.sin(i));
    const theta = tf.variable(tf.tensor1d(array));
    const [snapshot, clone] = [array.slice(), theta.clone()];
    const gradient = tf.relu(tf.ones([300]));
    await gradient.data(); // tfjs now also keeps the values on the CPU
    const slots = engine.cell(300);
    const options = {
      rule: 'momentum',
      penalty: 'explicit',
      size: 300,
      penalized: 0,
      slotCount: 1,
      nesterov: 0,
      learningRate: 0.1,
      momentum: 0.9,
      beta1: 0,
      beta2: 0,
      epsilon: 0,
      correction1: 1,
      correction2: 1,
      weightDecay: 0,
      lambda: 0,
    } as const;
    for (let i = 0; i < 3; i++) {
      const {next} = engine.run(
        'penalized_step',
        options,
        {theta, gradient, importance: null, anchor: null, slots},
        {next: [300]},
      );
      theta.assign(next as tf.Tensor1D);
      next.dispose();
    }
    expect(array).toEqual(snapshot);
    expect(await clone.data()).toEqual(snapshot);
    expect([...(await gradient.data())]).toEqual(new Array(300).fill(1));
    expectClose(
      await theta.data(),
      snapshot.map((v) => v - 0.1 * (1 + 1.9 + 2.71)),
    );
    tf.dispose([theta, clone, gradient]);
    slots.dispose();
  });

  it('count NaN and Infinity by their bits', async () => {
    const count = engine.cell(1, 'u32');
    engine.run(
      'count_nonfinite',
      {size: 4},
      {values: tf.tensor1d([1, Number.NaN, Number.NEGATIVE_INFINITY, 0]), count},
      {},
    );
    expect(await count.read()).toEqual(Uint32Array.of(2));
    count.dispose();
  });

  it('leak neither tensors nor GPU memory of tfjs', async () => {
    const cell = engine.cell(20);
    const once = async (): Promise<void> => {
      const [a, d] = tf.tidy(() => [tf.relu(tf.randomNormal([8, 4])), tf.relu(tf.randomNormal([8, 5]))]);
      engine.run('grad_moment_dense', dense(8, 4, 5), {activations: a, deltas: d, moment: cell}, {});
      tf.dispose([a, d]);
      await cell.read();
    };
    await once();
    const before = tf.memory() as tf.MemoryInfo & {numBytesInGPU: number};
    for (let i = 0; i < 50; i++) await once();
    const after = tf.memory() as tf.MemoryInfo & {numBytesInGPU: number};
    expect(after.numTensors).toBe(before.numTensors);
    expect(after.numBytesInGPU).toBe(before.numBytesInGPU);
    cell.dispose();
  });

  it('refuse what is not theirs, and make nothing then', () => {
    const cell = engine.cell(1);
    const before = tf.memory().numTensors;
    const ints = tf.tensor2d([[1]], [1, 1], 'int32');
    const floats = tf.tensor2d([[1]]);
    const gone = tf.tensor2d([[1]]);
    gone.dispose();
    const foreign = {size: 1, read: async () => new Float32Array(1), dispose: () => {}};
    const run = (activations: never) => () => {
      engine.run('grad_moment_dense', dense(1, 1, 1), {activations, deltas: floats, moment: cell}, {});
    };
    expect(code(run(ints as never))).toBe('DTYPE');
    expect(code(run(gone as never))).toBe('DISPOSED');
    expect(code(run(foreign as never))).toBe('BACKEND');
    expect(code(run(tf.ones([2, 2]) as never))).toBe('SHAPE');
    expect(
      code(() => engine.run('output_norm', {samples: 1, outputs: 1}, {outputs: floats}, {norms: [1], seed: [3]})),
    ).toBe('SHAPE');
    expect(tf.memory().numTensors).toBe(before + 3);
    cell.dispose();
  });
});
