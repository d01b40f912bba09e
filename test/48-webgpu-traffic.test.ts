/** What consolidation and training ask of a GPU, batch by batch: dispatches, submissions, readings, memory. */
import * as tf from '@tensorflow/tfjs';
import {MemoryAwareSynapses} from 'engram';
import {afterAll, beforeAll, expect, it} from 'vitest';
import {describeGpu} from './gpu.js';

const counts = {dispatches: 0, submits: 0, readings: 0, bytes: 0, peak: 0};

/** Counts the calls of a method of a WebGPU class. */
function watch<T extends object>(prototype: T, name: keyof T & string, note: (result: unknown, self: T) => void): void {
  const original = prototype[name] as (...all: unknown[]) => unknown;
  const counted = function (this: T, ...all: unknown[]): unknown {
    const result = original.apply(this, all);
    note(result, this);
    return result;
  };
  Object.defineProperty(prototype, name, {value: counted, configurable: true, writable: true});
}

describeGpu('traffic of the webgpu engine', () => {
  beforeAll(async () => {
    watch(GPUComputePassEncoder.prototype, 'dispatchWorkgroups', () => counts.dispatches++);
    watch(GPUQueue.prototype, 'submit', () => counts.submits++);
    watch(GPUBuffer.prototype, 'mapAsync', () => counts.readings++);
    watch(GPUDevice.prototype, 'createBuffer', (buffer) => {
      counts.bytes += (buffer as GPUBuffer).size;
      counts.peak = Math.max(counts.peak, counts.bytes);
    });
    watch(GPUBuffer.prototype, 'destroy', (_, buffer) => {
      counts.bytes -= buffer.size;
    });
    expect(await tf.setBackend('webgpu')).toBe(true);
  });
  afterAll(() => tf.removeBackend('webgpu'));

  const network = () =>
    tf.sequential({
      layers: [
        tf.layers.conv2d({inputShape: [12, 12, 1], filters: 8, kernelSize: 5, activation: 'relu'}),
        tf.layers.maxPooling2d({poolSize: 2}),
        tf.layers.conv2d({filters: 16, kernelSize: 3, activation: 'relu'}),
        tf.layers.flatten(),
        tf.layers.dense({units: 10, activation: 'softmax'}),
      ],
    });

  /** What a batch more costs: of 6 batches, without what 2 take. `bytes` are what 6 leave behind the second time, `peak` what they take meanwhile. */
  async function perBatch(run: (batches: number) => Promise<void>) {
    await run(2); // compiles
    const of = async (batches: number) => {
      const before = {...counts};
      counts.peak = counts.bytes;
      await run(batches);
      return {
        dispatches: counts.dispatches - before.dispatches,
        submits: counts.submits - before.submits,
        readings: counts.readings - before.readings,
        bytes: counts.bytes - before.bytes,
        peak: counts.peak - before.bytes,
      };
    };
    const [few, many, again] = [await of(2), await of(6), await of(6)];
    return {
      dispatches: (many.dispatches - few.dispatches) / 4,
      submits: (many.submits - few.submits) / 4,
      readings: (many.readings - few.readings) / 4,
      bytes: again.bytes,
      peak: again.peak,
    };
  }

  it('of consolidation: nothing is read back, nothing is submitted beyond what tfjs batches, memory stays', async () => {
    const model = network();
    const data = tf.randomNormal([8 * 6, 12, 12, 1], 0, 1, 'float32', 1);
    const traffic = await perBatch(async (batches) => {
      const mas = new MemoryAwareSynapses(model, {lambda: 1});
      const part = tf.slice(data, 0, 8 * batches);
      await mas.consolidate(part, {batchSize: 8});
      mas.dispose();
      part.dispose();
    });
    expect(traffic).toMatchObject({dispatches: 29, readings: 0, bytes: 0});
    expect(traffic.peak).toBeLessThanOrEqual(32 * 1024); // the cells of a memory: tensors' buffers are used again
    expect(traffic.submits).toBeLessThanOrEqual(Math.ceil(traffic.dispatches / 15)); // tfjs' own rhythm
    data.dispose();
    model.dispose();
  });

  it('of training with the penalty: the same', async () => {
    const model = network();
    const mas = new MemoryAwareSynapses(model, {lambda: 1});
    const [x, y] = [tf.randomNormal([8, 12, 12, 1], 0, 1, 'float32', 1), tf.randomUniform([8, 10], 0, 1, 'float32', 2)];
    await mas.consolidate(x, {batchSize: 8});
    const optimizer = mas.optimizer(tf.train.adam(1e-3));
    const loss = () => tf.losses.softmaxCrossEntropy(y, model.apply(x) as tf.Tensor).asScalar();
    const traffic = await perBatch(async (batches) => {
      for (let i = 0; i < batches; i++) optimizer.minimize(loss);
      await model.getWeights()[0].data();
    });
    expect(traffic).toMatchObject({dispatches: 58, readings: 0, bytes: 0});
    expect(traffic.peak).toBeLessThanOrEqual(1024);
    expect(traffic.submits).toBeLessThanOrEqual(Math.ceil(traffic.dispatches / 15));
    mas.dispose();
    model.dispose();
    tf.dispose([x, y]);
  });
});
