/** Seeds of several functions: each is measured by itself, all from one forward pass. */
import * as tf from '@tensorflow/tfjs';
import {expect, it} from 'vitest';
import {estimateImportance, estimateVectorImportance, type Seed} from '../dist/index.js';
import {describeEngine, deviation, engineName, exactness} from './engine.js';
import {own} from './owned.js';

let made = 0;
const normal = (...shape: number[]) => own(tf.randomNormal(shape, 0, 1, 'float32', ++made));
const variable = (...shape: number[]) => own(tf.variable(normal(...shape)));

interface Case {
  variables: tf.Variable[];
  forward: (x: tf.Tensor) => tf.Tensor[];
  x: tf.Tensor;
  /** What the report says of the first variable. */
  way: object;
}

const cases: Record<string, () => Case> = {
  'two outputs on one trunk': () => {
    const [trunk, first, second] = [variable(4, 5), variable(5, 2), variable(5, 3)];
    const forward = (x: tf.Tensor) => {
      const seen = tf.tanh(tf.matMul(x, trunk));
      return [tf.matMul(seen, first), tf.matMul(seen, second)];
    };
    return {variables: [trunk, first, second], forward, x: normal(7, 4), way: {rule: 'dense', fallback: null}};
  },
  'a weight that is computed from weights': () => {
    const [root, bias] = [variable(4, 3), variable(3)];
    const forward = (x: tf.Tensor) => [tf.add(tf.matMul(x, tf.square(root)), bias)];
    const way = {rule: expect.stringContaining('in chunks'), fallback: null};
    return {variables: [root, bias], forward, x: normal(7, 4), way};
  },
  'time before samples, which no rule can take apart': () => {
    const weight = variable(3, 2);
    const forward = (x: tf.Tensor) => {
      const rows = tf.matMul(tf.reshape(tf.transpose(x, [1, 0, 2]), [-1, 3]), weight);
      return [tf.reshape(tf.transpose(tf.reshape(tf.tanh(rows), [2, x.shape[0], 2]), [1, 0, 2]), [-1, 4])];
    };
    const way = {rule: null, fallback: expect.stringContaining('not sorted by sample')};
    return {variables: [weight], forward, x: normal(7, 2, 3), way};
  },
};

/** (1/N) sum_b sum_k |dF_k(x_b)/dtheta| by tf.variableGrads, one sample and one output after the other. */
async function definition({forward, variables, x}: Case): Promise<Map<string, Float64Array>> {
  const total = new Map(variables.map(({name, size}) => [name, new Float64Array(size)]));
  const [count] = x.shape;
  const sample = (b: number) => tf.slice(x, b, 1);
  const widths = tf.tidy(() => forward(sample(0)).map(({size}) => size));
  for (let b = 0; b < count; b++) {
    for (const [output, width] of widths.entries()) {
      for (let k = 0; k < width; k++) {
        const one = () => tf.sum(tf.slice(forward(sample(b))[output], [0, k], [1, 1])) as tf.Scalar;
        const {value, grads} = tf.tidy(() => tf.variableGrads(one, variables));
        for (const [name, gradient] of Object.entries(grads)) {
          for (const [i, g] of (await gradient.data()).entries()) total.get(name)![i] += Math.abs(g) / count;
        }
        tf.dispose([value, grads]);
      }
    }
  }
  return total;
}

async function expectValues(importance: Map<string, tf.Tensor>, expected: Map<string, Float64Array>) {
  expect([...importance.keys()]).toEqual([...expected.keys()]);
  for (const [name, omega] of importance) {
    expect(deviation(await omega.data(), expected.get(name)!), name).toBeLessThan(exactness);
  }
  tf.dispose([...importance.values()]);
}

/** dF_k/dF for every k, by hand. */
function* unitSeeds(F: tf.Tensor): Generator<tf.Tensor> {
  const [samples, width] = F.shape;
  for (let k = 0; k < width!; k++) yield tf.tile(tf.oneHot([k], width!, 1, 0, 'float32'), [samples, 1]);
}

describeEngine(`several functions of the outputs on ${engineName}`, () => {
  for (const [title, network] of Object.entries(cases)) {
    it(`every output by itself is the definition: ${title}`, async () => {
      const given = network();
      const expected = await definition(given);
      const before = tf.memory().numTensors;
      for (const batchSize of [1, 3, 7]) {
        await expectValues(await estimateVectorImportance(given, given.x, {batchSize}), expected);
      }
      const {importance, report} = await estimateImportance(given, given.x, {seed: unitSeeds});
      await expectValues(importance, expected);
      expect(report).toMatchObject({samples: 7, batches: 1});
      expect(report.parameters[0]).toMatchObject(given.way);
      expect(tf.memory().numTensors).toBe(before);
    });
  }

  it('a batch goes forward once, however many functions are measured', async () => {
    const {variables, forward, x} = cases['two outputs on one trunk']();
    let passes = 0;
    const counted = (batch: tf.Tensor | tf.Tensor[]) => {
      if ((batch as tf.Tensor).shape[0] > 1) passes++;
      return forward(batch as tf.Tensor);
    };
    tf.dispose([...(await estimateVectorImportance({variables, forward: counted}, x, {batchSize: 4})).values()]);
    expect(passes).toBe(2);
  });

  it('plain seeds of several outputs are one function, generators are each of their own output', async () => {
    const {variables, forward, x} = cases['two outputs on one trunk']();
    const [trunk] = variables;
    const network = {variables, forward: (batch: tf.Tensor | tf.Tensor[]) => forward(batch as tf.Tensor)};
    const omegaOf = async (seed: Seed, outputs?: number[]) => {
      const {importance} = await estimateImportance(network, x, {seed, ...(outputs && {outputs})});
      const values = await importance.get(trunk.name)!.data();
      tf.dispose([...importance.values()]);
      return values as Float32Array;
    };
    const plain: Seed = (F) => tf.fill(F.shape, F.shape[1] === 2 ? 1 : -1);
    const mixed: Seed = (F) => (F.shape[1] === 2 ? tf.onesLike(F) : unitSeeds(F));
    const sum = (parts: Float32Array[]) => parts[0].map((value, i) => value + parts[1][i]);
    const [first, second] = [await omegaOf(plain, [0]), await omegaOf(unitSeeds, [1])];
    expect(deviation(await omegaOf(mixed), sum([first, second]))).toBeLessThan(exactness);
    // |a + b| is not |a| + |b|.
    expect(deviation(await omegaOf(plain), sum([first, await omegaOf(plain, [1])]))).toBeGreaterThan(0.01);
  });

  it('an error, a wrong shape or an abort in a later function leaves nothing behind', async () => {
    for (const title of ['two outputs on one trunk', 'time before samples, which no rule can take apart']) {
      const network = cases[title]();
      const before = tf.memory().numTensors;
      let ended = 0;
      let controller = new AbortController();
      const failing = (fail: (F: tf.Tensor) => tf.Tensor): Seed =>
        function* (F) {
          try {
            yield tf.onesLike(F);
            yield fail(F);
            yield tf.onesLike(F);
          } finally {
            ended++;
          }
        };
      const seeds: [Seed, object][] = [
        [
          failing(() => {
            throw new RangeError('second function');
          }),
          new RangeError('second function'),
        ],
        [failing((F) => tf.slice(F, [0, 0], [1, 1])), {code: 'SHAPE', received: '[1,1]'}],
        [
          failing((F) => {
            controller.abort(new Error('enough'));
            return tf.onesLike(F);
          }),
          new Error('enough'),
        ],
        [function* () {}, {code: 'ARGUMENT', received: 'a seed that yields none'}],
      ];
      for (const [seed, expected] of seeds) {
        controller = new AbortController();
        const {signal} = controller;
        await expect(estimateImportance(network, network.x, {seed, signal})).rejects.toMatchObject(expected);
        expect(tf.memory().numTensors).toBe(before);
      }
      expect(ended, 'every generator that was begun is ended').toBeGreaterThanOrEqual(3);
    }
  });
});
