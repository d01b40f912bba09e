/** What is measured of a network: which function of which outputs, and what is summed of its per-sample gradients. */
import type * as tf from '@tensorflow/tfjs-core';
import {EngramError} from '../errors.js';
import {tensorEngine} from '../kernels/tensors.js';
import type {NetworkLike, Seed} from '../tape/index.js';
import {checkChoice} from './options.js';
import {chooseOutputs, type OutputChoice} from './outputs.js';
import type {Phi} from './sums.js';

/** What is measured, and of which variables. */
export interface AccumulationSettings {
  /** Variables whose importance is accumulated. Default: all trainable ones. */
  variables?: tf.Variable[];
  /** The function that is differentiated: the logits (before a final softmax or sigmoid), or the output as it is. */
  output?: 'logits' | 'output';
  /**
   * The outputs that count, by index or, for a tf.LayersModel, name; default all. The others are not differentiated:
   * parameters on their path alone take no part.
   */
  outputs?: OutputChoice;
  /**
   * dS/dF; default 2F, the gradient of ||F||^2 (MAS paper, section 4.1). A generator stands for several functions S, each
   * measured by itself.
   */
  seed?: Seed;
  /** phi of the sum over samples; default `abs`. */
  phi?: Phi;
}

/** What must be the same for sums to add up. */
export interface Measure {
  readonly phi: Phi;
  readonly output: 'logits' | 'output';
  /** Indices, ascending; undefined for all. */
  readonly outputs: readonly number[] | undefined;
  /** A function of the caller's cannot be compared: that it is the same one is the caller's word. */
  readonly seed: 'squared-norm' | 'custom';
}

/** @throws EngramError ARGUMENT for settings that make no sense */
export function measureOf(network: NetworkLike, settings: AccumulationSettings): Measure {
  const {phi = 'abs', output = 'logits', outputs, seed} = settings;
  checkChoice('phi', phi, ['abs', 'square', 'identity']);
  checkChoice('output', output, ['logits', 'output']);
  if (seed !== undefined && typeof seed !== 'function') {
    throw new EngramError('ARGUMENT', {
      expected: 'seed to be a function of the outputs, [B, ...] to [B, ...]',
      received: typeof seed,
      remedy: 'Leave it out for 2F, the gradient of the squared norm.',
    });
  }
  return {phi, output, outputs: chooseOutputs(network, outputs), seed: seed ? 'custom' : 'squared-norm'};
}

/** @throws EngramError ARGUMENT where two measures differ */
export function refuseOtherMeasure(expected: Measure, received: Measure): void {
  for (const key of ['phi', 'output', 'outputs', 'seed'] as const) {
    const [wanted, found] = [expected[key], received[key]].map((value) => `${value ?? 'all'}`);
    if (wanted === found) continue;
    throw new EngramError('ARGUMENT', {
      expected: `an accumulation with ${key}: ${wanted}`,
      received: `one with ${key}: ${found}`,
      remedy: 'Accumulate with the same settings: sums of different kinds do not add up.',
    });
  }
}

/** The seed of MAS: with S = sum_b ||F(x_b)||^2, dS/dF = 2F. */
export const squaredNormSeed: Seed = (outputs) => {
  const samples = outputs.shape[0];
  const {norms, seed} = tensorEngine().run(
    'output_norm',
    {samples, outputs: outputs.size / Math.max(samples, 1)},
    {outputs},
    {norms: [samples], seed: outputs.shape},
  );
  norms.dispose();
  return seed;
};
