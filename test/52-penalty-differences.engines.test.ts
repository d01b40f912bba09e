/** Every method that holds by a penalty: the slope of its steps is that of differences of its written-out penalty. */
import * as tf from '@tensorflow/tfjs';
import {expect, it} from 'vitest';
import {
  BatchMasMethod,
  ElasticWeightConsolidation,
  IncrementalMomentMatching,
  LocalMasMethod,
  MasMethod,
  type Method,
  type PenaltyMethod,
  RiemannianWalk,
  SynapticIntelligence,
  VectorMasMethod,
} from '../dist/index.js';
import {describeEngine, engineName} from './engine.js';
import {golden, goldenMlp, learn, taskOf, toTensor} from './method-tasks.js';
import {own} from './owned.js';

const [lambda, step] = [0.7, 'explicit'] as const;
const values = async (tensor: tf.Tensor) => [...((await tensor.data()) as Float32Array)];

interface Held {
  readonly omega: readonly number[];
  readonly anchor: readonly number[];
}

/** Methods, and what lambda is multiplied by in the source of each. */
const methods: Record<string, {make: () => PenaltyMethod; factor: number}> = {
  MAS: {make: () => new MasMethod({lambda, step}), factor: 1},
  'MAS, vector output': {make: () => new VectorMasMethod({lambda, step}), factor: 1},
  'l-MAS': {make: () => new LocalMasMethod({lambda, step}), factor: 1},
  'MAS of the authors': {make: () => new BatchMasMethod({lambda, step, preset: 'official'}), factor: 1},
  'MAS of Avalanche': {make: () => new BatchMasMethod({lambda, step, preset: 'avalanche'}), factor: 1},
  'MAS of FACIL': {make: () => new BatchMasMethod({lambda, step, preset: 'facil', batchSize: 8}), factor: 1 / 2},
  'separate EWC': {make: () => new ElasticWeightConsolidation({lambda, step}), factor: 1 / 2},
  'online EWC': {make: () => new ElasticWeightConsolidation({lambda, step, penalties: 'online'}), factor: 1 / 2},
  SI: {make: () => new SynapticIntelligence({lambda, step}), factor: 1},
  RWalk: {make: () => new RiemannianWalk({lambda, step}), factor: 1},
};

/** Moves all variables, takes a step on no gradient at all, and gives by variable: where it was, and its slope there. */
async function slopes(method: Method, variables: tf.Variable[]) {
  const optimizer = method.optimizer(tf.train.sgd(1));
  const found = new Map<string, {theta: number[]; slope: number[]}>();
  for (const [i, variable] of variables.entries()) {
    tf.tidy(() => variable.assign(tf.add(variable, tf.randomUniform(variable.shape, -0.5, 0.5, 'float32', 20 + i))));
    found.set(variable.name, {theta: await values(variable), slope: []});
  }
  const still = variables.map((variable) => ({name: variable.name, tensor: own(tf.zerosLike(variable))}));
  optimizer.applyGradients(still);
  for (const variable of variables) {
    const {theta, slope} = found.get(variable.name)!;
    slope.push(...(await values(variable)).map((after, j) => theta[j] - after));
  }
  optimizer.dispose();
  return found;
}

/** Central differences of factor * lambda * Omega (theta - theta*)^2 in float64. */
function expectSlopes(
  found: Map<string, {theta: number[]; slope: number[]}>,
  held: Map<string, Held>,
  strength: number,
): void {
  let largest = 0;
  for (const [name, {theta, slope}] of found) {
    const parameters = held.get(name);
    theta.forEach((at, i) => {
      const term = (x: number) => (parameters ? strength * parameters.omega[i] * (x - parameters.anchor[i]) ** 2 : 0);
      const expected = (term(at + 1e-3) - term(at - 1e-3)) / 2e-3;
      largest = Math.max(largest, Math.abs(expected));
      // theta has 2^-24 of its own size, and the slope is a difference of two of them.
      expect(Math.abs(slope[i] - expected), `${name}[${i}]`).toBeLessThanOrEqual(
        1e-4 * Math.abs(expected) + 3e-7 * (1 + Math.abs(at)),
      );
    });
  }
  expect(largest, 'something is held').toBeGreaterThan(1e-3);
}

async function heldBy(memory: PenaltyMethod['memory'], variables: tf.Variable[]): Promise<Map<string, Held>> {
  const held = new Map<string, Held>();
  for (const {name} of variables) {
    const [omega, anchor] = [memory.importance.get(name), memory.anchor.get(name)];
    if (omega && anchor) held.set(name, {omega: await values(omega), anchor: await values(anchor)});
  }
  return held;
}

describeEngine(`penalties against differences on ${engineName}`, () => {
  for (const [title, {make, factor}] of Object.entries(methods)) {
    it(`${title}: ${factor} lambda Omega (theta - theta*)^2`, async () => {
      const {network, variables} = goldenMlp();
      variables.forEach(own);
      const method = own(make());
      for (const task of [0, 1]) await learn(method, network, task);
      const held = await heldBy(method.memory, variables);
      expectSlopes(await slopes(method, variables), held, factor * lambda);
    });
  }

  it('L2-transfer of IMM: transfer (theta - theta_(k-1))^2', async () => {
    const {network, variables} = goldenMlp();
    variables.forEach(own);
    const method = own(new IncrementalMomentMatching({merge: 'mean', transfer: lambda, step}));
    await learn(method, network, 0);
    const held = new Map<string, Held>();
    for (const variable of variables) {
      const anchor = await values(variable);
      held.set(variable.name, {omega: anchor.map(() => 1), anchor});
    }
    await method.beforeTask(taskOf(network, own(toTensor(golden.tasks[1].x)), {index: 1}));
    expectSlopes(await slopes(method, variables), held, lambda);
  });
});
