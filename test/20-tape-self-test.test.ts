// Before the tape is trusted it is tried; where TensorFlow.js does not work as it expects, the definition takes over.
import {execFile} from 'node:child_process';
import {promisify} from 'node:util';
import * as tf from '@tensorflow/tfjs';
import {beforeAll, expect, it} from 'vitest';
import {selfTest} from '../dist/tape/index.js';
import {definition, deviation, exact, measure, normal, type Tensors, tapeOf} from './tape.js';

beforeAll(() => tf.setBackend('cpu'));

/** Runs a script in a process of its own, where other modules or gradients are registered. */
async function run(script: string): Promise<string> {
  const cwd = new URL('..', import.meta.url);
  return (await promisify(execFile)(process.execPath, ['--input-type=module', '-e', script], {cwd})).stdout;
}

it('names the import where tfjs-core has no gradients', async () => {
  const output = await run(`
    import * as tf from '@tensorflow/tfjs-core';
    import {selfTest} from './dist/tape/index.js';
    try { selfTest(); } catch (error) { console.log(error.code, error.remedy); }`);
  expect(output).toMatch(/^NO_GRADIENTS .*'@tensorflow\/tfjs-layers'/);
});

it('misses fields of the engine by name', async () => {
  const output = await run(`
    import * as tf from '@tensorflow/tfjs';
    import {selfTest} from './dist/tape/index.js';
    tf.engine().state.kernelDepth = undefined;
    console.log(selfTest());`);
  expect(output).toMatch(/no kernelDepth/);
});

it('sends everything to the fallback when a dense layer is not recognised', async () => {
  // As correct as before, but no longer ending in a matrix product.
  const original = tf.getGradient('BatchMatMul');
  tf.unregisterGradient('BatchMatMul');
  tf.registerGradient({
    ...original,
    gradFunc: (dy, saved) => ({
      a: () => tf.matMul(dy as tf.Tensor, saved[1], false, true),
      b: () =>
        tf
          .abs(tf.add(tf.matMul(saved[0], dy as tf.Tensor, true, false), 0))
          .mul(tf.sign(tf.matMul(saved[0], dy as tf.Tensor, true))),
    }),
  });
  expect(selfTest()).toMatch(/a 2x2 dense layer is not recognised: BatchMatMul.b/);
  const [weights, idle] = [tf.variable(normal([3, 2], 1)), tf.variable(normal([3], 1))];
  const forward = (x: Tensors) => tf.softmax(tf.matMul(x as tf.Tensor, weights));
  const x = normal([5, 3], 2);
  const {sums, fallback, rules} = await measure(tapeOf({forward, variables: [weights, idle]}), [x]);
  expect(rules).toEqual({});
  expect(fallback[weights.name]).toMatch(/^the tape cannot be trusted: a 2x2 dense layer/);
  const logits = (one: Tensors) => tf.matMul(one as tf.Tensor, weights);
  expect(deviation(sums, definition(logits, [weights], [x]))).toBeLessThanOrEqual(exact);
});
