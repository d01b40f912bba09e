/** Chooses how a tfjs optimizer is made to hold a memory: inside one fused kernel, or by adding to its gradients. */
import * as tf from '@tensorflow/tfjs-core';
import {EngramError} from '../errors.js';
import type {Memory} from '../memory/memory.js';
import {AdamW} from './adamw.js';
import {AdditiveOptimizer} from './additive.js';
import {FusedOptimizer, fusedRule} from './fused.js';
import type {PenalizedOptimizer, PenaltyOptions} from './penalized.js';

/** An optimizer's own settings, for those who have no tfjs optimizer at hand. */
export type OptimizerConfig =
  | {kind: 'sgd'; learningRate: number}
  | {kind: 'momentum'; learningRate: number; momentum: number; useNesterov?: boolean | undefined}
  | {
      kind: 'adam';
      learningRate?: number | undefined;
      beta1?: number | undefined;
      beta2?: number | undefined;
      epsilon?: number | undefined;
    }
  | {
      kind: 'adamw';
      learningRate?: number | undefined;
      weightDecay?: number | undefined;
      beta1?: number | undefined;
      beta2?: number | undefined;
      epsilon?: number | undefined;
    };

/**
 * An optimizer that trains like `base` and holds `memory`. One that was read from a file together with its model is
 * given the memory and returned itself, so the model stays compiled with it.
 *
 * @throws EngramError ARGUMENT for a proximal step around an optimizer that has none, or a base that holds a memory
 */
export function penalizedOptimizer(
  base: tf.Optimizer | OptimizerConfig,
  memory: Memory,
  {lambda, step}: PenaltyOptions,
): PenalizedOptimizer {
  const inner = base instanceof tf.Optimizer ? base : makeOptimizer(base);
  if (isPenalized(inner)) {
    if (!inner.detached) {
      throw new EngramError('ARGUMENT', {
        expected: 'an optimizer that holds no memory yet',
        received: 'one that mas.optimizer() made',
        remedy: 'Wrap the tf.train optimizer itself; two penalties would add up.',
      });
    }
    if (!fusedRule(inner.base)) refuseProximal(inner.base, step);
    const {step: own = 'proximal'} = inner.getConfig();
    inner.hold(memory, {lambda, step: step ?? own});
    return inner;
  }
  const rule = fusedRule(inner);
  if (rule) return new FusedOptimizer(inner, memory, {lambda, step: step ?? 'proximal'}, rule);
  refuseProximal(inner, step);
  return new AdditiveOptimizer(inner, memory, {lambda, step: 'explicit'});
}

function refuseProximal(base: tf.Optimizer, step: PenaltyOptions['step']): void {
  if (step !== 'proximal') return;
  throw new EngramError('ARGUMENT', {
    expected: 'SGD, momentum, Adam or AdamW for a proximal step',
    received: base.getClassName(),
    remedy: 'Use step: "explicit", which works with every optimizer.',
  });
}

/** By its methods: tfjs makes everything that can minimize an `instanceof` every class of optimizers. */
const isPenalized = (optimizer: tf.Optimizer): optimizer is PenalizedOptimizer => 'hold' in optimizer;

/** @throws EngramError ARGUMENT for an unknown kind */
export function makeOptimizer(config: OptimizerConfig): tf.Optimizer {
  switch (config?.kind) {
    case 'sgd':
      return tf.train.sgd(config.learningRate);
    case 'momentum':
      return tf.train.momentum(config.learningRate, config.momentum, config.useNesterov);
    case 'adam':
      return tf.train.adam(config.learningRate, config.beta1, config.beta2, config.epsilon);
    case 'adamw':
      return new AdamW(config.learningRate, config.weightDecay, config.beta1, config.beta2, config.epsilon);
    default:
      throw new EngramError('ARGUMENT', {
        expected: 'a tf.train optimizer or {kind: "sgd" | "momentum" | "adam" | "adamw", ...}',
        received: JSON.stringify(config) ?? String(config),
        remedy: 'For example mas.optimizer(tf.train.adam(1e-3)).',
      });
  }
}
