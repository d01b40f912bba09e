/** Backbones of experiments: the layers that they say, the same weights for the same seed, importance by the rules. */
import * as tf from '@tensorflow/tfjs';
import {beforeAll, describe, expect, it} from 'vitest';
import {cnn} from '../dist/experiments/networks/cnn.js';
import {SeededDropout} from '../dist/experiments/networks/dropout.js';
import {mlp} from '../dist/experiments/networks/mlp.js';
import {estimateImportance} from '../dist/index.js';

beforeAll(async () => {
  await tf.setBackend('cpu');
});

const image = {height: 32, width: 32, channels: 3};
const sizeOf = ({weights}: tf.LayersModel) =>
  weights.reduce((sum, {shape}) => sum + tf.util.sizeFromShape(shape as number[]), 0);
const layersOf = ({layers}: tf.LayersModel) => layers.map(({name, outputShape}) => [name, outputShape]);
const weightsOf = (network: tf.LayersModel) => network.getWeights().map((tensor) => [...tensor.dataSync()]);
/** What a network is asked for, without its variables staying. */
function of<T>(network: tf.LayersModel, ask: (network: tf.LayersModel) => T): T {
  try {
    return ask(network);
  } finally {
    network.dispose();
  }
}

describe('mlp', () => {
  it('flattens the image and has the hidden layers asked for', () => {
    const small = {height: 4, width: 3, channels: 2};
    expect(of(mlp(small, {hidden: [7, 5]}, 1), layersOf)).toEqual([
      ['flatten', [null, 24]],
      ['hidden1', [null, 7]],
      ['hidden2', [null, 5]],
    ]);
    expect(of(mlp(small, {hidden: [7, 5]}, 1), sizeOf)).toBe(24 * 7 + 7 + 7 * 5 + 5);
  });

  it('without hidden layers gives the pixels, row by row', () => {
    const values = of(mlp({height: 2, width: 2, channels: 1}, {hidden: []}, 1), (network) =>
      tf.tidy(() => [...(network.predict(tf.tensor([1, 2, 3, 4], [1, 2, 2, 1])) as tf.Tensor).dataSync()]),
    );
    expect(values).toEqual([1, 2, 3, 4]);
  });

  it('refuses layers without units and images without pixels', () => {
    const argument = expect.objectContaining({code: 'ARGUMENT'});
    for (const hidden of [[0], [7, -1], [2.5], [Number.NaN]]) expect(() => mlp(image, {hidden}, 1)).toThrow(argument);
    for (const wrong of [{height: 0}, {width: 1.5}, {channels: Number.NaN}]) {
      expect(() => mlp({...image, ...wrong}, {hidden: [3]}, 1)).toThrow(argument);
    }
  });
});

describe('cnn', () => {
  it('has its named layers, and 155 552 parameters for colour images of 32x32', () => {
    expect(of(cnn(image, 1), layersOf)).toEqual([
      ['conv1', [null, 16, 16, 16]],
      ['conv2', [null, 16, 16, 32]],
      ['pool2', [null, 8, 8, 32]],
      ['conv3', [null, 8, 8, 64]],
      ['pool3', [null, 4, 4, 64]],
      ['flatten', [null, 1024]],
      ['hidden1', [null, 128]],
    ]);
    // 5·5·3·16 + 16, 3·3·16·32 + 32, 3·3·32·64 + 64, 1024·128 + 128
    expect(of(cnn(image, 1), sizeOf)).toBe(1216 + 4640 + 18496 + 131200);
    expect(of(cnn(image, 1), sizeOf)).toBeLessThanOrEqual(300_000);
  });

  it('takes any size from 16 pixels up, in grey too', () => {
    for (const [height, width, channels] of [
      [16, 16, 1],
      [17, 31, 3],
      [28, 28, 1],
      [65, 40, 4],
    ]) {
      const shape = of(cnn({height, width, channels}, 1), (network) =>
        tf.tidy(() => (network.predict(tf.ones([2, height, width, channels])) as tf.Tensor).shape),
      );
      expect(shape).toEqual([2, 128]);
    }
    for (const wrong of [{height: 15}, {width: 8}, {channels: 0}]) {
      expect(() => cnn({...image, ...wrong}, 1)).toThrow(expect.objectContaining({code: 'ARGUMENT'}));
    }
  });
});

describe('weights', () => {
  const makers: [string, (seed: number) => tf.LayersModel, number[]][] = [
    ['mlp', (seed) => mlp({height: 8, width: 8, channels: 1}, {hidden: [40, 30]}, seed), [64, 40]],
    ['cnn', (seed) => cnn({height: 16, width: 16, channels: 3}, seed), [75, 144, 288, 256]],
  ];
  for (const [name, make, fanIns] of makers) {
    it(`of ${name} are decided by the seed, and no two layers share one`, () => {
      const before = tf.memory().numTensors;
      const [first, again, other] = [1, 1, 2].map((seed) => of(make(seed), weightsOf));
      expect(first).toEqual(again);
      expect(first[0]).not.toEqual(other[0]);
      const starts = fanIns.map((fanIn, layer) => {
        const inLimits = first[2 * layer].slice(0, 3).map((weight) => weight / Math.sqrt(6 / fanIn));
        return inLimits.map((weight) => weight.toFixed(4)).join();
      });
      expect(new Set(starts).size).toBe(fanIns.length);
      expect(tf.memory().numTensors).toBe(before);
    });

    it(`of ${name} are uniform within sqrt(6 / fan-in) (He et al. 2015), biases 0`, () => {
      const weights = of(make(3), weightsOf);
      fanIns.forEach((fanIn, layer) => {
        const limit = Math.sqrt(6 / fanIn);
        const largest = Math.max(...weights[2 * layer].map(Math.abs));
        expect(largest).toBeLessThanOrEqual(limit * 1.000001);
        expect(largest).toBeGreaterThan(0.97 * limit);
        expect(weights[2 * layer + 1].every((bias) => bias === 0)).toBe(true);
      });
    });

    it(`of ${name} are all measured by a rule, none by the batch-of-one loop`, async () => {
      const network = make(1);
      const [, ...shape] = network.inputs[0].shape as number[];
      const x = tf.randomUniform([4, ...shape], 0, 1, 'float32', 5);
      const {importance, report} = await estimateImportance(network, x);
      expect(report.parameters).toHaveLength(2 * fanIns.length);
      for (const {name, rule, fallback} of report.parameters)
        expect([name, rule, fallback]).toEqual([name, expect.any(String), null]);
      tf.dispose([x, ...importance.values()]);
      network.dispose();
    });
  }
});

describe('dropout', () => {
  const make = (seed: string) => new SeededDropout('drop', 0.25, seed);
  const masks = (layer: SeededDropout, calls: number) =>
    Array.from({length: calls}, () =>
      tf.tidy(() => [...(layer.call(tf.ones([40, 50]), {training: true}) as tf.Tensor).dataSync()]),
    );

  it('does nothing in inference', () => {
    const before = tf.memory().numTensors;
    const x = tf.randomNormal([3, 4]);
    const y = make('1').call(x, {}) as tf.Tensor;
    expect(y.dataSync()).toEqual(x.dataSync());
    tf.dispose([x, y]);
    expect(tf.memory().numTensors).toBe(before);
  });

  it('in training drops its share and scales the rest, with a new mask every time', () => {
    const [first, second] = masks(make('1'), 2);
    const kept = first.filter((value) => value !== 0);
    for (const value of kept) expect(value).toBeCloseTo(4 / 3, 6);
    // 1500 of 2000 expected; the standard deviation is 19.
    expect(Math.abs(kept.length - 1500)).toBeLessThan(100);
    expect(first).not.toEqual(second);
  });

  it('repeats its masks for the same seed, and no other', () => {
    expect(masks(make('1'), 3)).toEqual(masks(make('1'), 3));
    expect(masks(make('1'), 1)).not.toEqual(masks(make('2'), 1));
  });
});
