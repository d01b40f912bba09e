/** `engram/webgpu`: tfjs on WebGPU in Node, by one import. */
import * as tf from '@tensorflow/tfjs';
import {afterAll, beforeAll, expect, it} from 'vitest';
import {describeGpu, device} from './gpu.js';

describeGpu('the webgpu backend', () => {
  beforeAll(async () => {
    expect(await tf.setBackend('webgpu')).toBe(true);
  });
  afterAll(() => tf.removeBackend('webgpu'));

  it('has all limits of the adapter', async () => {
    const {device: own} = tf.backend() as unknown as {device: GPUDevice};
    for (const limits of [own.limits, device.limits]) {
      const adapter = await navigator.gpu.requestAdapter();
      expect(limits.maxStorageBufferBindingSize).toBe(adapter!.limits.maxStorageBufferBindingSize);
      expect(limits.maxComputeWorkgroupStorageSize).toBe(adapter!.limits.maxComputeWorkgroupStorageSize);
      expect(limits.maxStorageBuffersPerShaderStage).toBe(adapter!.limits.maxStorageBuffersPerShaderStage);
    }
  });

  it('multiplies matrices as the cpu backend does', async () => {
    const values = (n: number) => Float32Array.from({length: n}, (_, i) => Math.sin(i * 1.7));
    const product = async () =>
      (await tf
        .matMul(tf.tensor2d(values(33 * 70), [33, 70]), tf.tensor2d(values(70 * 21), [70, 21]))
        .data()) as Float32Array;
    const onGpu = await product();
    await tf.setBackend('cpu');
    const onCpu = await product();
    await tf.setBackend('webgpu');
    for (let i = 0; i < onCpu.length; i++) expect(Math.abs(onGpu[i] - onCpu[i])).toBeLessThan(1e-4);
  });

  it('trains layers', async () => {
    const model = tf.sequential();
    model.add(
      tf.layers.conv2d({
        inputShape: [6, 6, 1],
        filters: 2,
        kernelSize: 3,
        activation: 'relu',
        kernelInitializer: tf.initializers.glorotUniform({seed: 1}),
      }),
    );
    model.add(tf.layers.flatten());
    model.add(
      tf.layers.dense({units: 2, activation: 'softmax', kernelInitializer: tf.initializers.glorotUniform({seed: 2})}),
    );
    model.compile({optimizer: tf.train.adam(0.03), loss: 'categoricalCrossentropy'});
    const x = tf.randomNormal([32, 6, 6, 1], 0, 1, 'float32', 3);
    const y = tf.tidy(() => tf.oneHot(tf.cast(tf.greater(tf.sum(x, [1, 2, 3]), 0), 'int32'), 2));
    const {history} = await model.fit(x, y, {epochs: 8, batchSize: 16, verbose: 0, shuffle: false});
    expect(history.loss[7]).toBeLessThan(0.8 * (history.loss[0] as number));
  });

  it('says that a GPU tensor can only be read asynchronously in Node', () => {
    expect(() => tf.relu(tf.randomNormal([64, 64])).dataSync()).toThrow(/await tensor.data\(\)/);
  });

  it('rejects a reading from a lost device instead of giving zeros', async () => {
    const result = tf.relu(tf.randomNormal([64, 64]));
    const {device: own} = tf.backend() as unknown as {device: GPUDevice};
    own.destroy();
    await own.lost;
    await expect(result.data()).rejects.toMatchObject({code: 'DEVICE'});
  });
});
