/** A learning run: repeatable, fair to every method, restricted to the task's classes, without leaks, stoppable. */
import '@tensorflow/tfjs-backend-cpu';
import * as tf from '@tensorflow/tfjs-core';
import {beforeAll, describe, expect, it} from 'vitest';
import {loadDigits} from '../dist/scenarios/digits.js';
import {fineTuning, type LearningNetwork, learnSequence, type Method} from '../dist/scenarios/run.js';
import {permutedTasks, splitTasks, type TaskSequence} from '../dist/scenarios/sequences.js';

const settings = {hidden: [16], learningRate: 0.05, momentum: 0.9, batchSize: 64, epochs: 1};
let permuted: TaskSequence;
let split: TaskSequence;
beforeAll(async () => {
  tf.enableProdMode();
  await tf.setBackend('cpu');
  const digits = await loadDigits();
  permuted = permutedTasks('permuted', digits, 2, 1);
  split = splitTasks('split', {train: digits, test: digits}, 2, 'task-incremental');
});

const variablesOf = (network: LearningNetwork): tf.Variable[] =>
  'forward' in network ? [...network.variables] : network.trainableWeights.map((w) => w.read() as tf.Variable);

describe('a learning run', () => {
  it('is repeatable by its seed, and another seed gives another', async () => {
    const run = async (seed: number) => (await learnSequence(permuted, () => fineTuning, settings, {seed})).accuracy;
    const first = await run(1);
    expect(await run(1)).toEqual(first);
    expect(await run(0)).toEqual(await run(0));
    expect(await run(2)).not.toEqual(first);
    expect(first.map((row) => row.length)).toEqual([2, 2]);
    expect(first[1][1]).toBeGreaterThan(0.5);
  });

  it('gives every method the same start, the same steps and one fresh optimizer a task', async () => {
    const initial: number[][] = [];
    const calls: string[] = [];
    const method = (network: LearningNetwork): Method => {
      initial.push([...variablesOf(network)[0].dataSync()]);
      return {
        optimizer: (base) => {
          calls.push('optimizer');
          return base;
        },
        afterTask: async (inputs) => {
          calls.push(`afterTask ${inputs.shape.join('x')}`);
        },
      };
    };
    const steps: number[] = [];
    const onProgress = ({step}: {step: number}) => steps.push(step);
    await learnSequence(permuted, method, settings, {seed: 4, onProgress});
    await learnSequence(permuted, method, settings, {seed: 4});
    expect(initial[0]).toEqual(initial[1]);
    const perSequence = ['optimizer', 'afterTask 1348x64', 'optimizer', 'afterTask 1348x64'];
    expect(calls).toEqual([...perSequence, ...perSequence]);
    const perTask = [...Array.from({length: 22}, (_, i) => i + 1), 22];
    expect(steps).toEqual([...perTask, ...perTask]);
  });

  it('of split classes never moves the head of other classes, and asks only about the task’s own', async () => {
    const heads: Float32Array[] = [];
    let outputs: Float32Array | undefined;
    const method = (network: LearningNetwork): Method => {
      const head = variablesOf(network).at(-2)!;
      heads.push(head.dataSync().slice() as Float32Array);
      return {
        ...fineTuning,
        afterTask: async (inputs) => {
          heads.push(head.dataSync().slice() as Float32Array);
          if (!('forward' in network)) throw new Error('a task-incremental network restricts its outputs');
          outputs = tf.tidy(
            () =>
              network
                .forward(tf.slice(inputs, 0, 1))
                .dataSync()
                .slice() as Float32Array,
          );
        },
      };
    };
    const {accuracy} = await learnSequence(split, method, settings, {seed: 1});
    const moved = (before: Float32Array, after: Float32Array) =>
      [...new Set([...before.keys()].filter((i) => before[i] !== after[i]).map((i) => i % 10))].toSorted();
    expect(moved(heads[0], heads[1])).toEqual([0, 1]);
    expect(moved(heads[1], heads[2])).toEqual([2, 3]);
    expect([...outputs!.keys()].filter((i) => outputs![i] !== 0)).toEqual([2, 3]);
    // With two classes to choose from, an untrained head is near one half, not near one tenth.
    expect(accuracy[0][0]).toBeGreaterThan(0.95);
    expect(accuracy[0][1]).toBeGreaterThan(0.2);
  });

  it('leaks no tensor, also when it is stopped, fails or diverges', async () => {
    const before = tf.memory().numTensors;
    await learnSequence(permuted, () => fineTuning, settings, {seed: 1});
    expect(tf.memory().numTensors).toBe(before);

    const stop = new AbortController();
    const reason = new Error('enough');
    const onProgress = ({task, step}: {task: number; step: number}) => {
      if (task === 1 && step === 3) stop.abort(reason);
    };
    const stopped = learnSequence(permuted, () => fineTuning, settings, {seed: 1, signal: stop.signal, onProgress});
    await expect(stopped).rejects.toBe(reason);
    expect(tf.memory().numTensors).toBe(before);

    const failing: Method = {
      ...fineTuning,
      afterTask: () => Promise.reject(new Error('failed')),
    };
    await expect(learnSequence(permuted, () => failing, settings, {seed: 1})).rejects.toThrow('failed');
    expect(tf.memory().numTensors).toBe(before);

    const wild = {...settings, learningRate: 1e30};
    const diverged = learnSequence(permuted, () => fineTuning, wild, {seed: 1});
    await expect(diverged).rejects.toMatchObject({code: 'NON_FINITE', received: expect.stringContaining('1e+30')});
    expect(tf.memory().numTensors).toBe(before);
  });
});
