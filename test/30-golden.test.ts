/** The golden file against the definition: float64 PyTorch and tfjs' own gradients, both one sample at a time, agree. */
import * as tf from '@tensorflow/tfjs';
import {beforeAll, describe, expect, it} from 'vitest';
import {goldenCases, goldenNetwork, logitsOf} from './golden.js';
import {definition, deviation, exact} from './tape.js';

beforeAll(() => tf.setBackend('cpu'));

describe('golden importance equals the batch-of-one loop', () => {
  it.each(goldenCases.map((golden) => [golden.name, golden] as const))('%s', (_, golden) => {
    const {forward, variables, samples, dispose} = goldenNetwork(logitsOf(golden));
    const sums = definition(forward, variables, [samples]);
    const expected = variables.map(({name}, i) => {
      const {shape, values} = golden.importance[i];
      expect(shape, name).toEqual(variables[i].shape);
      return [name, Float64Array.from(values, (omega) => omega * samples[0].shape[0])] as const;
    });
    expect(golden.importance.length).toBe(variables.length);
    expect(deviation(sums, new Map(expected))).toBeLessThanOrEqual(exact);
    dispose();
  });
});
