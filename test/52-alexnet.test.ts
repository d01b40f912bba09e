/** AlexNet: torchvision's outputs from torchvision's weights, and files that do not hold them refused by name. */
import {mkdtempSync, rmSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import * as tf from '@tensorflow/tfjs';
import {afterAll, beforeAll, describe, expect, it} from 'vitest';
import '../dist/backends/native.js';
import {alexnet} from '../dist/experiments/networks/alexnet.js';
import {writeSafetensors} from '../dist/memory/safetensors.js';
import {alexnetFile, golden, hashed} from './alexnet-weights.js';
import {describeAddon} from './native.js';

const image = {height: 224, width: 224, channels: 3};

describeAddon('AlexNet with the weights of a file', () => {
  beforeAll(async () => {
    await tf.setBackend('native');
  });

  it('makes the weights of the golden script, digit by digit', () => {
    for (const [name, values] of Object.entries(golden.first)) {
      const scale = name.endsWith('bias') ? 0.1 : (6 / 363) ** 0.5;
      expect([...hashed(name, 3, scale)]).toEqual(values);
    }
  });

  it("gives torchvision's activations at every layer, and its 1000 logits", async () => {
    const before = tf.memory().numTensors;
    const network = await alexnet(image, {weights: alexnetFile(), classifier: true}, 1);
    const names = ['conv1', 'conv2', 'conv3', 'conv4', 'conv5', 'fc6', 'fc7', 'fc8'];
    const parameters = network.weights.reduce((sum, {shape}) => sum + tf.util.sizeFromShape(shape as number[]), 0);
    expect(parameters).toBe(61_100_840); // as torchvision says

    const stages: Float64Array[] = [];
    tf.tidy(() => {
      const outputs = names.map((name) => network.getLayer(name).output as tf.SymbolicTensor);
      const image = tf.tensor(hashed('image', 3 * 224 * 224, 2), [1, 3, 224, 224]);
      const x = tf.transpose(image, [0, 2, 3, 1]);
      for (const y of tf.model({inputs: network.inputs, outputs}).predict(x) as tf.Tensor[]) {
        const inTorchvisionsOrder = y.rank === 4 ? tf.transpose(y, [0, 3, 1, 2]) : y;
        stages.push(Float64Array.from(inTorchvisionsOrder.dataSync()));
      }
    });
    network.dispose();
    expect(tf.memory().numTensors).toBe(before);

    for (const [at, {name, shape, mean, norm, places, values}] of golden.stages.entries()) {
      const stage = stages[at];
      expect([name, stage.length]).toEqual([name, tf.util.sizeFromShape(shape)]);
      const scale = norm / Math.sqrt(stage.length); // the stage's root mean square
      const near = (value: number, truth: number) => Math.abs(value - truth) / scale;
      const average = stage.reduce((sum, value) => sum + value, 0) / stage.length;
      expect(near(average, mean), `mean of ${name}`).toBeLessThan(1e-4);
      const length = Math.sqrt(stage.reduce((sum, value) => sum + value ** 2, 0));
      expect(Math.abs(length / norm - 1), `norm of ${name}`).toBeLessThan(1e-4);
      const worst = Math.max(...places.map((place, i) => near(stage[place], values[i])));
      expect(worst, name).toBeLessThan(1e-4);
    }
  });
});

describe('files that are not AlexNet', () => {
  let folder: string;
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'engram-'));
    await tf.setBackend('cpu');
  });
  afterAll(() => rmSync(folder, {recursive: true}));

  const first = {shape: [64, 3, 11, 11], values: new Float32Array(64 * 363)};
  const bias = {shape: [64], values: new Float32Array(64)};
  const raw = (header: object, bytes: number) => {
    const text = new TextEncoder().encode(JSON.stringify(header));
    const file = new Uint8Array(8 + text.length + bytes);
    new DataView(file.buffer).setBigUint64(0, BigInt(text.length), true);
    file.set(text, 8);
    return file;
  };
  const halves = {dtype: 'F16', shape: first.shape, data_offsets: [0, 2 * 64 * 363]};
  const files: [string, Uint8Array, {expected: string; received: string}][] = [
    ['an empty file', new Uint8Array(0), {expected: 'at least 8 bytes', received: '0 bytes'}],
    ['nothing', writeSafetensors(new Map(), new Map()), {expected: '"features.0.weight"', received: '0 others'}],
    [
      'a kernel without its bias',
      writeSafetensors(new Map([['features.0.weight', first]]), new Map()),
      {expected: '"features.0.bias"', received: '1 others'},
    ],
    [
      'a kernel in the layout of TensorFlow',
      writeSafetensors(new Map([['features.0.weight', {...first, shape: [11, 11, 3, 64]}]]), new Map()),
      {expected: '"features.0.weight" of shape [64,3,11,11]', received: '[11,11,3,64]'},
    ],
    [
      'a convolution without the others',
      writeSafetensors(
        new Map([
          ['features.0.weight', first],
          ['features.0.bias', bias],
        ]),
        new Map(),
      ),
      {expected: '"features.3.weight"', received: '2 others'},
    ],
    [
      'half precision',
      raw({'features.0.weight': halves}, 2 * 64 * 363),
      {expected: '"features.0.weight" to be of dtype F32', received: 'F16'},
    ],
  ];
  for (const [what, bytes, {expected, received}] of files) {
    it(`are refused with file and tensor: ${what}`, async () => {
      const path = join(folder, 'weights.safetensors');
      writeFileSync(path, bytes);
      const before = tf.memory().numTensors;
      for (const [weights, name] of [
        [path, path],
        [bytes, 'the weights'],
      ] as const) {
        await expect(alexnet(image, {weights}, 1)).rejects.toMatchObject({
          name: 'EngramError',
          code: 'DATA_FILE',
          expected: expect.stringContaining(`${name}: `),
          received: expect.stringContaining(received),
          remedy: expect.stringContaining('state_dict'),
        });
        await expect(alexnet(image, {weights}, 1)).rejects.toMatchObject({expected: expect.stringContaining(expected)});
      }
      expect(tf.memory().numTensors).toBe(before);
    });
  }

  it('are refused with the path where there is none, and images of another size before any file is read', async () => {
    const nowhere = join(folder, 'nowhere.safetensors');
    const missing = {code: 'DATA_FILE', expected: expect.stringContaining(nowhere)};
    await expect(alexnet(image, {weights: nowhere}, 1)).rejects.toMatchObject(missing);
    for (const wrong of [
      {...image, height: 32, width: 32},
      {...image, channels: 1},
    ]) {
      await expect(alexnet(wrong, {weights: nowhere}, 1)).rejects.toMatchObject({code: 'ARGUMENT'});
    }
  });
});
