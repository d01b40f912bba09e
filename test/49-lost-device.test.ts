/** A GPU device that is lost, or runs out of memory, in the middle of the work: what is told, what is left, how it goes on. */
import * as tf from '@tensorflow/tfjs';
import {MemoryAwareSynapses} from 'engram';
import {afterAll, beforeAll, beforeEach, expect, it} from 'vitest';
import {DeviceHealth} from '../dist/kernels/webgpu-health.js';
import {describeGpu, freshDevice} from './gpu.js';

const presentDevice = (): GPUDevice => (tf.backend() as unknown as {device: GPUDevice}).device;
async function lose(): Promise<void> {
  const device = presentDevice();
  device.destroy();
  await device.lost;
}
const valuesOf = async (tensors: ReadonlyMap<string, tf.Tensor>): Promise<[string, number[]][]> =>
  Promise.all(
    [...tensors].map(async ([name, tensor]): Promise<[string, number[]]> => [name, [...(await tensor.data())]]),
  );

describeGpu('a lost device', () => {
  beforeAll(async () => void expect(await tf.setBackend('webgpu')).toBe(true));
  beforeEach(async () => void (await tf.setBackend('webgpu')));
  afterAll(() => tf.removeBackend('webgpu'));

  const network = () =>
    tf.sequential({
      layers: [
        tf.layers.conv2d({inputShape: [6, 6, 1], filters: 3, kernelSize: 3, activation: 'relu'}),
        tf.layers.flatten(),
        tf.layers.dense({units: 4, activation: 'softmax'}),
      ],
    });
  /** On the host, as a caller's data are. */
  const samples = (seed: number) =>
    Array.from({length: 12}, (_, b) =>
      Array.from({length: 6}, (_, y) => Array.from({length: 6}, (_, x) => [Math.sin(seed + b * 36 + y * 6 + x)])),
    );
  const labels = Array.from({length: 12}, (_, b) => [0, 1, 2, 3].map((q) => Number(q === b % 4)));

  async function learned() {
    const model = network();
    const mas = new MemoryAwareSynapses(model, {lambda: 1});
    model.compile({optimizer: mas.optimizer(tf.train.adam(0.01)), loss: 'categoricalCrossentropy'});
    const [x, y] = [tf.tensor4d(samples(1)), tf.tensor2d(labels)];
    await model.fit(x, y, {epochs: 1, verbose: 0});
    await mas.consolidate(samples(1));
    tf.dispose([x, y]);
    return {model, mas, importance: await valuesOf(mas.importance), anchor: await valuesOf(mas.anchor)};
  }

  it('in the middle of a consolidation: told as DEVICE with a remedy, importance and anchors are as they were', async () => {
    const {mas, importance, anchor} = await learned();
    const losing = mas.consolidate(samples(2), {batchSize: 4, onProgress: () => presentDevice().destroy()});
    await expect(losing).rejects.toMatchObject({code: 'DEVICE', remedy: expect.stringContaining('mas.restore()')});
    expect(await valuesOf(mas.importance)).toEqual(importance);
    expect(await valuesOf(mas.anchor)).toEqual(anchor);
    expect([...mas.tasks.values()].every((tasks) => tasks === 1)).toBe(true);
    mas.dispose();
  });

  it('is replaced by restore(): the network is what was consolidated, and consolidates and trains on', async () => {
    const {model, mas, importance, anchor} = await learned();
    const before = presentDevice();
    await lose();
    expect(await valuesOf(mas.importance)).toEqual(importance);
    await mas.restore();
    expect(presentDevice()).not.toBe(before);
    const now = new Map(model.trainableWeights.map((weight) => [weight.name, weight.read()]));
    expect(await valuesOf(now)).toEqual(anchor);

    // The same samples at the same parameters once more: importance of two tasks is twice that of one.
    await mas.consolidate(samples(1));
    for (const [name, values] of await valuesOf(mas.importance)) {
      const once = new Map(importance).get(name)!;
      values.forEach((value, i) => void expect(value).toBeCloseTo(2 * once[i], 4));
    }
    const [x, y] = [tf.tensor4d(samples(2)), tf.tensor2d(labels)];
    const {history} = await model.fit(x, y, {epochs: 2, verbose: 0});
    expect(history.loss.every((loss) => Number.isFinite(loss as number) && (loss as number) > 0)).toBe(true);
    tf.dispose([x, y]);
    mas.dispose();
  });

  it('does not stop the next consolidation where the parameters are still those of the last one', async () => {
    const {mas, importance} = await learned();
    await lose();
    await mas.consolidate(samples(1)); // on a new device, without another word
    for (const [name, values] of await valuesOf(mas.importance)) {
      values.forEach((value, i) => void expect(value).toBeCloseTo(2 * new Map(importance).get(name)![i], 4));
    }
    mas.dispose();
  });

  it('with parameters that were on it alone: told as DEVICE, until restore()', async () => {
    const {model, mas} = await learned();
    const [x, y] = [tf.tensor4d(samples(2)), tf.tensor2d(labels)];
    await model.fit(x, y, {epochs: 1, verbose: 0});
    tf.dispose([x, y]);
    await lose();
    const optimizer = model.optimizer as tf.Optimizer;
    const gradients = tf.variableGrads(() => tf.sum(model.getWeights()[0].square()) as tf.Scalar).grads;
    expect(() => optimizer.applyGradients(gradients)).toThrow(expect.objectContaining({code: 'DEVICE'}));
    await expect(mas.consolidate(samples(2))).rejects.toMatchObject({code: 'DEVICE'});
    await mas.restore();
    await mas.consolidate(samples(2));
    expect([...mas.tasks.values()]).toEqual([2, 2, 2, 2]);
    mas.dispose();
  });

  it('that refused work: told as DEVICE, is given back, and gives way to a new one', async () => {
    const before = presentDevice();
    const kept = tf.tensor1d([1, 2, 3]);
    before.createBuffer({size: 16, usage: 0}); // no usage at all: an error that no scope catches
    const health = DeviceHealth.of(before);
    while (!health.faulty) await new Promise((resolve) => setTimeout(resolve, 5)); // Dawn tells of it in its own time
    expect(() => health.check()).toThrow(expect.objectContaining({code: 'DEVICE'}));
    await before.lost;
    expect(await tf.setBackend('webgpu')).toBe(true);
    expect(presentDevice()).not.toBe(before);
    expect([...(await tf.add(kept, 1).data())]).toEqual([2, 3, 4]);
    kept.dispose();
  });

  it('gives way to a new one by tf.setBackend', async () => {
    const before = presentDevice();
    const kept = tf.tensor1d([1, 2, 3]);
    await lose();
    expect(await tf.setBackend('webgpu')).toBe(true);
    expect(presentDevice()).not.toBe(before);
    expect([...(await tf.add(kept, 1).data())]).toEqual([2, 3, 4]);
    kept.dispose();
  });

  it('keeps a memory that came from a file', async () => {
    const {model, mas, importance} = await learned();
    let bytes = new Uint8Array();
    const place = {
      write: async (written: Uint8Array) => {
        bytes = Uint8Array.from(written);
      },
      read: async () => bytes,
    };
    await mas.save(place);
    const loaded = new MemoryAwareSynapses(model, {lambda: 1});
    await loaded.load(place);
    await lose();
    expect(await valuesOf(loaded.importance)).toEqual(importance);
    await loaded.restore();
    await loaded.consolidate(samples(1));
    mas.dispose();
    loaded.dispose();
  });

  it('out of memory: told as DEVICE with what to do', async () => {
    const device = await freshDevice();
    // No software adapter runs out of memory within the limits of a buffer: what Dawn would answer is put in its place.
    device.popErrorScope = async () => new GPUOutOfMemoryError('no memory left');
    const health = DeviceHealth.of(device);
    health.guard('4096 bytes of memory', () => device.createBuffer({size: 4096, usage: 0x80}));
    await expect(health.settled()).rejects.toMatchObject({
      code: 'DEVICE',
      expected: expect.stringContaining('4096 bytes'),
      remedy: expect.stringContaining('smaller batch'),
    });
    expect(health.faulty).toBe(true);
    device.destroy();
  });
});
