/** The elementwise kernels of the addon: bit for bit the reference, and so bit for bit TensorFlow.js' own optimizers. */
import * as tf from '@tensorflow/tfjs';
import {afterAll, expect, it} from 'vitest';
import {AdamW} from '../dist/index.js';
import type {Params} from '../dist/kernels/table.js';
import {
  type Arrays,
  describeAddon,
  inDoubles,
  onAddon,
  onReference,
  randomArray,
  setups,
  use,
  useDefaults,
} from './native.js';

afterAll(useDefaults);

const sizes = [0, 1, 63, 64, 65, 257, 70_001];
/** Values where rounding, signs and overflow show. */
const special = [0, -0, 1e38, -1e38, 1e-40, -1e-45, Number.NaN, Number.POSITIVE_INFINITY, 16_777_216, 1];
function oddArray(size: number, seed: number): Float32Array {
  const array = randomArray(size, seed);
  for (let i = 0; i < size; i += 3) array[i] = special[(i * 7 + seed) % special.length];
  return array;
}

/** Compares bits, but for NaN, of which there are many. */
function expectSameBits(got: Arrays, truth: Arrays): void {
  for (const [name, array] of Object.entries(truth)) {
    const at = array.findIndex((value, i) => !Object.is(value, got[name][i]));
    expect(at, `${name}: ${got[name][at]}, not ${array[at]}`).toBe(-1);
  }
}

const step = (size: number, options: Partial<Params<'penalized_step'>>): Params<'penalized_step'> => ({
  rule: 'sgd',
  penalty: 'proximal',
  size,
  penalized: 1,
  slotCount: 0,
  nesterov: 0,
  learningRate: 0.0123,
  momentum: 0.9,
  beta1: 0.9,
  beta2: 0.999,
  epsilon: 1e-7,
  correction1: 0.1,
  correction2: 0.001,
  weightDecay: 0,
  lambda: 3.7,
  ...options,
});
const rules: Partial<Params<'penalized_step'>>[] = [
  {rule: 'sgd'},
  {rule: 'momentum', slotCount: 1},
  {rule: 'momentum', slotCount: 1, nesterov: 1},
  {rule: 'adam', slotCount: 2},
];
const decays = [0, 0.3, -2, 1e30];

describeAddon.each(setups)('steps and sums on %s with %i threads', (set, threads) => {
  it('penalized_step is the reference bit for bit', () => {
    use(set, threads);
    for (const size of sizes) {
      for (const rule of rules) {
        for (const penalty of ['explicit', 'proximal'] as const) {
          for (const [penalized, weightDecay] of [0, 1].flatMap((p) => decays.map((decay) => [p, decay]))) {
            const params = step(size, {...rule, penalty, penalized, weightDecay});
            const arrays = {
              theta: oddArray(size, 1),
              gradient: oddArray(size, 2),
              importance: oddArray(size * penalized, 3),
              anchor: oddArray(size * penalized, 4),
              slots: oddArray(size * params.slotCount, 5),
              next: new Float32Array(size),
            };
            expectSameBits(onAddon('penalized_step', params, arrays), onReference('penalized_step', params, arrays));
          }
        }
      }
    }
  });

  it('fold and merge are the reference bit for bit', () => {
    use(set, threads);
    for (const size of sizes) {
      const sums = {batch: oddArray(size, 1), hi: oddArray(size, 2), lo: oddArray(size, 3)};
      expectSameBits(onAddon('fold', {size}, sums), onReference('fold', {size}, sums));
      for (const rule of ['linear', 'max'] as const) {
        const params = {rule, size, storedWeight: 0.7, incomingWeight: 1 / 3};
        const arrays = {stored: oddArray(size, 4), incoming: oddArray(size, 5), merged: new Float32Array(size)};
        expectSameBits(onAddon('merge', params, arrays), onReference('merge', params, arrays));
      }
    }
  });

  it('counts, norms and the penalty agree with the reference', () => {
    use(set, threads);
    for (const size of sizes) {
      const count = {values: oddArray(size, 1), count: Uint32Array.of(5)};
      expectSameBits(onAddon('count_nonfinite', {size}, count), onReference('count_nonfinite', {size}, count));

      const params = {size, lambda: 0.3};
      const arrays = {
        theta: randomArray(size, 2),
        importance: randomArray(size, 3).map(Math.abs),
        anchor: randomArray(size, 4),
        value: new Float32Array(1),
      };
      const truth = Math.fround(inDoubles('penalty_value', params, arrays).value[0]);
      const got = onAddon('penalty_value', params, arrays).value[0];
      expect(Math.abs(got - truth)).toBeLessThanOrEqual(2 ** -23 * truth);

      for (const samples of [1, 3]) {
        const outputs = Math.min(size, 2000);
        const shape = {samples, outputs};
        const data = {
          outputs: randomArray(samples * outputs, 5),
          norms: new Float32Array(samples),
          seed: new Float32Array(samples * outputs),
        };
        const expected = onReference('output_norm', shape, data);
        const norms = onAddon('output_norm', shape, data);
        expect(norms.seed).toEqual(expected.seed);
        norms.norms.forEach((norm, i) => {
          expect(Math.abs(norm - expected.norms[i])).toBeLessThanOrEqual(2 ** -23 * expected.norms[i]);
        });
      }
    }
  });
});

describeAddon('a step without penalty', () => {
  it('is that of tf.train.sgd, momentum, adam and of AdamW bit for bit, over ten steps', async () => {
    useDefaults();
    await tf.setBackend('cpu');
    const size = 1000;
    const optimizers: [Partial<Params<'penalized_step'>>, () => tf.Optimizer][] = [
      [{rule: 'sgd'}, () => tf.train.sgd(0.0123)],
      [{rule: 'momentum', slotCount: 1}, () => tf.train.momentum(0.0123, 0.9)],
      [{rule: 'momentum', slotCount: 1, nesterov: 1}, () => tf.train.momentum(0.0123, 0.9, true)],
      [{rule: 'adam', slotCount: 2}, () => tf.train.adam(0.0123)],
      [{rule: 'adam', slotCount: 2, weightDecay: 0.3}, () => new AdamW(0.0123, 0.3)],
    ];
    for (const [rule, make] of optimizers) {
      const optimizer = make();
      const variable = tf.variable(tf.tensor1d(randomArray(size, 1)));
      let theta: Float32Array = randomArray(size, 1);
      let slots: Float32Array = new Float32Array(size * (rule.slotCount ?? 0));
      for (let t = 1; t <= 10; t++) {
        const gradient = randomArray(size, t + 1);
        optimizer.applyGradients({[variable.name]: tf.tensor1d(gradient)});
        const none = new Float32Array(0);
        // tf.train.adam keeps its powers of beta in 32 bits.
        const power = (beta: number) => {
          let product = Math.fround(1);
          for (let i = 0; i < t; i++) product = Math.fround(product * Math.fround(beta));
          return Math.fround(1 - product);
        };
        const params = step(size, {...rule, penalized: 0, correction1: power(0.9), correction2: power(0.999)});
        const arrays = {theta, gradient, importance: none, anchor: none, slots, next: new Float32Array(size)};
        const after = onAddon('penalized_step', params, arrays) as Record<string, Float32Array>;
        theta = after.next;
        slots = after.slots;
        expect(variable.dataSync()).toEqual(theta);
      }
      optimizer.dispose();
      variable.dispose();
    }
  });
});
