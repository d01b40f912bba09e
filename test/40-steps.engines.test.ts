/** A step with penalty: it goes where the loss says, never diverges, and without penalty it is tfjs' own step. */
import * as tf from '@tensorflow/tfjs';
import {expect, it} from 'vitest';
import {Memory} from '../dist/memory/memory.js';
import {AdamW} from '../dist/optimizers/adamw.js';
import {AdditiveOptimizer} from '../dist/optimizers/additive.js';
import {FusedOptimizer, fusedRule} from '../dist/optimizers/fused.js';
import {describeEngine, engineName} from './engine.js';
import {own} from './owned.js';

const bases: Record<string, () => tf.Optimizer> = {
  sgd: () => tf.train.sgd(0.1),
  momentum: () => tf.train.momentum(0.02, 0.8),
  nesterov: () => tf.train.momentum(0.02, 0.8, true),
  adam: () => tf.train.adam(0.02),
};
const withDecay = {...bases, adamw: () => new AdamW(0.02, 0.3)};

/** A memory that holds one variable with the given importance at its present value. */
function memoryOf(variable: tf.Variable, importance: number[]): Memory {
  const memory = own(new Memory());
  const omega = own(tf.tensor(importance, variable.shape));
  memory.merge(new Map([[variable.name, omega]]), new Map([[variable.name, variable]]), 'sum');
  return memory;
}

function fused(base: tf.Optimizer, memory: Memory, lambda: number, step: 'proximal' | 'explicit'): FusedOptimizer {
  return own(new FusedOptimizer(base, memory, {lambda, step}, fusedRule(base)!));
}

describeEngine(`penalized steps on ${engineName}`, () => {
  for (const [name, base] of Object.entries(bases)) {
    it(`${name}: explicit and proximal reach the minimiser of a quadratic`, async () => {
      // Task loss sum a/2 (theta - t)^2, penalty lambda sum Omega (theta - anchor)^2.
      const a = [1, 2, 0.5, 1];
      const target = [1, -2, 3, 0.5];
      const anchor = [0.2, 0.1, -0.4, 0.5];
      const omega = [0.5, 0, 2, 1];
      const lambda = 1.5;
      const minimiser = a.map((ai, i) => {
        const hold = 2 * lambda * omega[i];
        return (ai * target[i] + hold * anchor[i]) / (ai + hold);
      });
      const [curvature, goal] = [own(tf.tensor1d(a)), own(tf.tensor1d(target))];
      for (const step of ['explicit', 'proximal'] as const) {
        const theta = own(tf.variable(tf.tensor1d(anchor)));
        const optimizer = fused(base(), memoryOf(theta, omega), lambda, step);
        const loss = () => tf.sum(tf.mul(curvature, tf.square(tf.sub(theta, goal)))).mul(0.5) as tf.Scalar;
        for (let i = 0; i < 600; i++) optimizer.minimize(loss, false, [theta]);
        const reached = await theta.data();
        for (const [i, value] of minimiser.entries())
          expect(Math.abs(reached[i] - value), `${step}, ${i}`).toBeLessThan(1e-4);
      }
    });
  }

  for (const [name, base] of Object.entries(withDecay)) {
    it(`${name}: a proximal step stays finite and near the anchor at lambda 1e6, where an explicit one explodes`, async () => {
      const run = async (step: 'explicit' | 'proximal') => {
        const theta = own(tf.variable(tf.tensor1d([0.5, -0.5])));
        const optimizer = fused(base(), memoryOf(theta, [3, 1e-3]), 1e6, step);
        const loss = () => tf.sum(tf.square(tf.sub(theta, 2))) as tf.Scalar;
        for (let i = 0; i < 50; i++) optimizer.minimize(loss, false, [theta]);
        return theta.data();
      };
      const held = await run('proximal');
      expect(Math.abs(held[0] - 0.5)).toBeLessThan(1e-3);
      expect(Number.isFinite(held[1])).toBe(true);
      expect(Math.abs(held[1] + 0.5)).toBeLessThan(0.1);
      if (name === 'sgd') expect(Math.abs((await run('explicit'))[0])).not.toBeLessThan(10);
    });

    it(`${name}: with lambda 0 it is the step without penalty bit for bit, and the base's own`, async () => {
      const values = Float32Array.from({length: 37}, (_, i) => Math.sin(i * 1.7) * 2);
      const goal = own(tf.tensor1d(Float32Array.from({length: 37}, (_, i) => Math.cos(i))));
      const train = async (make: (theta: tf.Variable) => tf.Optimizer) => {
        const theta = own(tf.variable(tf.tensor1d(values.slice())));
        const optimizer = make(theta);
        for (let i = 0; i < 10; i++) {
          optimizer.minimize(() => tf.sum(tf.square(tf.sub(theta, goal))) as tf.Scalar, false, [theta]);
        }
        return (await theta.data()).slice();
      };
      const tfjs = await train(() => own(base()));
      const withoutMemory = await train(() => fused(base(), own(new Memory()), 1, 'proximal'));
      const lambdaZero = await train((theta) => fused(base(), memoryOf(theta, Array(37).fill(2)), 0, 'proximal'));
      const explicitZero = await train((theta) => fused(base(), memoryOf(theta, Array(37).fill(2)), 0, 'explicit'));
      expect(lambdaZero).toEqual(withoutMemory);
      expect(explicitZero).toEqual(withoutMemory);
      if (engineName === 'webgpu') {
        for (const [i, value] of tfjs.entries()) expect(Math.abs(withoutMemory[i] - value)).toBeLessThan(2e-6);
      } else {
        expect(withoutMemory).toEqual(tfjs);
      }
    });
  }

  it.each(['explicit', 'proximal'] as const)(
    'AdamW, %s: the whole step decays, then the memory pulls',
    async (step) => {
      const [start, anchor, omega] = [
        [1, -2, 0.5, 3],
        [0.5, -1, 2, 3],
        [0.5, 0, 2, 1e-3],
      ];
      const [rate, decay, beta1, beta2, epsilon, lambda] = [0.02, 0.3, 0.9, 0.999, 1e-7, 1.5];
      const expected = start.map((value, i) => {
        let [theta, m, v] = [value, 0, 0];
        for (let t = 1; t <= 10; t++) {
          const slope = 2 * lambda * omega[i];
          const g = 2 * (theta - 1) + (step === 'explicit' ? slope * (theta - anchor[i]) : 0);
          m = beta1 * m + (1 - beta1) * g;
          v = beta2 * v + (1 - beta2) * g * g;
          const eta = rate / (Math.sqrt(v / (1 - beta2 ** t)) + epsilon);
          theta = (1 - rate * decay) * theta - (eta * m) / (1 - beta1 ** t);
          const k = step === 'proximal' ? eta * slope : 0;
          theta -= (theta - anchor[i]) * (k / (1 + k));
        }
        return theta;
      });
      const theta = own(tf.variable(tf.tensor1d(anchor)));
      const memory = memoryOf(theta, omega);
      theta.assign(own(tf.tensor1d(start)));
      const optimizer = fused(new AdamW(rate, decay, beta1, beta2, epsilon), memory, lambda, step);
      const loss = () => tf.sum(tf.square(tf.sub(theta, 1))) as tf.Scalar;
      const {numTensors} = tf.memory();
      for (let i = 0; i < 10; i++) optimizer.minimize(loss, false, [theta]);
      expect(tf.memory().numTensors).toBe(numTensors);
      for (const [i, value] of (await theta.data()).entries()) expect(Math.abs(value - expected[i])).toBeLessThan(1e-5);
    },
  );

  it('works around any other optimizer by adding the gradient of the penalty', async () => {
    const theta = own(tf.variable(tf.tensor1d([0.3, -0.2])));
    const memory = memoryOf(theta, [1, 0]);
    const optimizer = own(new AdditiveOptimizer(tf.train.rmsprop(0.01), memory, {lambda: 2, step: 'explicit'}));
    const loss = () => tf.sum(tf.square(tf.sub(theta, 1))) as tf.Scalar;
    for (let i = 0; i < 500; i++) optimizer.minimize(loss, false, [theta]);
    const reached = await theta.data();
    expect(Math.abs(reached[0] - (1 + 2 * 0.3) / 3)).toBeLessThan(1e-2);
    expect(Math.abs(reached[1] - 1)).toBeLessThan(1e-2);
  });

  it('reads the learning rate of its base at every step', async () => {
    const theta = own(tf.variable(tf.scalar(0)));
    const base = tf.train.sgd(1);
    const optimizer = fused(base, own(new Memory()), 1, 'proximal');
    const loss = () => tf.mul(theta, 1) as tf.Scalar;
    optimizer.minimize(loss, false, [theta]);
    (base as unknown as {setLearningRate(rate: number): void}).setLearningRate(0.25);
    optimizer.minimize(loss, false, [theta]);
    expect((await theta.data())[0]).toBe(-1.25);
  });
});
