/** SGD, momentum, Adam and AdamW with the penalty inside one kernel: task gradient, penalty and update in one pass. */
import * as tf from '@tensorflow/tfjs-core';
import {EngramError} from '../errors.js';
import type {Params} from '../kernels/table.js';
import {tensorEngine} from '../kernels/tensors.js';
import type {Memory} from '../memory/memory.js';
import {
  baseOf,
  type NamedTensor,
  type PenalizedConfig,
  PenalizedOptimizer,
  type PenaltyOptions,
  variableOf,
} from './penalized.js';
import {Slots} from './slots.js';
import type {NamedGradient} from './wrapping.js';

type Rule = Params<'penalized_step'>['rule'];

/** Fields of tfjs' optimizers that its types call protected; public at run time, and read at every step. */
interface BaseFields {
  learningRate: number;
  momentum?: number;
  useNesterov?: boolean;
  beta1?: number;
  beta2?: number;
  epsilon?: number;
  weightDecay?: number;
}

const ruleOf: Readonly<Record<string, Rule>> = {SGD: 'sgd', Momentum: 'momentum', Adam: 'adam', EngramAdamW: 'adam'};
/** The state of each rule, under the names that tfjs gives it. */
const suffixesOf: Readonly<Record<Rule, readonly string[]>> = {sgd: [], momentum: ['momentum'], adam: ['m', 'v']};
const {fround} = Math;

/** The fused rule for a tfjs optimizer, or undefined if it has none. */
export function fusedRule(base: tf.Optimizer): Rule | undefined {
  return ruleOf[base.getClassName()];
}

/**
 * Takes rule and settings from `base`, whose own state stays unused. Without importance, and with lambda = 0, a step
 * equals the base's bit for bit on the CPU engines.
 *
 * New values go to fresh memory that is swapped into the variable, or over the old ones where nobody shares them (on
 * `webgpu`): tensors that share the old memory keep it.
 */
export class FusedOptimizer extends PenalizedOptimizer {
  static get className(): string {
    return 'EngramFused';
  }

  static override fromConfig<T extends tf.serialization.Serializable>(
    cls: tf.serialization.SerializableConstructor<T>,
    config: tf.serialization.ConfigDict,
  ): T {
    const {base, lambda, step} = config as unknown as PenalizedConfig;
    const options: PenaltyOptions = step ? {lambda, step} : {lambda};
    const inner = baseOf({base, lambda});
    const rule = fusedRule(inner);
    if (!rule) throw noRule(inner);
    return new (cls as unknown as typeof FusedOptimizer)(inner, null, options, rule) as unknown as T;
  }

  private readonly slots: Slots;
  /** beta^t in 32 bits, multiplied up step by step as tfjs does; undefined: to be made from `iterations`. */
  private powers: {beta1: number; beta2: number} | undefined;

  constructor(
    base: tf.Optimizer,
    memory: Memory | null,
    options: Readonly<PenaltyOptions>,
    private readonly rule: Rule,
  ) {
    super(base, memory, options);
    this.slots = new Slots(suffixesOf[rule]);
  }

  protected applyChecked(gradients: readonly NamedGradient[], memory: Memory): void {
    const engine = tensorEngine();
    const {slots, options} = this;
    const {
      learningRate,
      momentum = 0,
      useNesterov,
      beta1 = 0,
      beta2 = 0,
      epsilon = 0,
      weightDecay = 0,
    } = this.base as unknown as BaseFields;
    const present = gradients.filter(({tensor}) => tensor != null);
    slots.match(present.map(({name}) => variableOf(name)));
    this.powers ??= {beta1: powerOf(beta1, this.iterations + 1), beta2: powerOf(beta2, this.iterations + 1)};
    for (const {name, tensor: gradient} of present) {
      const theta = variableOf(name);
      const held = options.lambda === 0 ? undefined : memory.get(name);
      engine.step(
        {
          rule: this.rule,
          penalty: options.step ?? 'proximal',
          size: theta.size,
          penalized: held ? 1 : 0,
          slotCount: slots.count,
          nesterov: useNesterov ? 1 : 0,
          learningRate,
          momentum,
          beta1,
          beta2,
          epsilon,
          correction1: fround(1 - this.powers.beta1),
          correction2: fround(1 - this.powers.beta2),
          weightDecay,
          lambda: options.lambda,
        },
        theta,
        {
          gradient,
          importance: held?.importance ?? null,
          anchor: held?.anchor ?? null,
          slots: slots.of(theta),
        },
      );
    }
    this.powers = {
      beta1: fround(this.powers.beta1 * fround(beta1)),
      beta2: fround(this.powers.beta2 * fround(beta2)),
    };
  }

  /**
   * The state as of this call, in tfjs' order and under its names: `iter`, then VARIABLE/momentum, or all VARIABLE/m
   * and all VARIABLE/v. The tensors are copies that live until the next call, or `dispose()`.
   */
  override async getWeights(): Promise<NamedTensor[]> {
    const {iterations} = this;
    const state = await this.slots.weights();
    const weights = [{name: 'iter', tensor: tf.scalar(iterations, 'int32')}, ...state];
    this.handOut(weights.map(({tensor}) => tensor));
    return weights;
  }

  /**
   * Takes over the state that getWeights() of such an optimizer, or of a tf.train one, gave. Training then goes on as
   * if it had never stopped. The tensors stay the caller's.
   *
   * @throws EngramError ARGUMENT, SHAPE, DTYPE; nothing is changed then
   */
  override async setWeights(weights: NamedTensor[]): Promise<void> {
    const iterations = weights.length > 0 && weights[0].tensor.size === 1 ? (await weights[0].tensor.data())[0] : -1;
    if (!Number.isSafeInteger(iterations) || iterations < 0) {
      throw new EngramError('ARGUMENT', {
        expected: 'the number of iterations as the first tensor',
        received:
          weights.length === 0 ? 'no tensor' : `"${weights[0].name}" of [${weights[0].tensor.shape.join(', ')}]`,
        remedy: 'Pass what getWeights() gave.',
      });
    }
    await this.slots.restore(weights.slice(1));
    this.iterations_ = iterations;
    this.powers = undefined;
  }

  reset(): void {
    this.slots.clear();
    this.powers = undefined;
    this.iterations_ = 0;
  }

  override dispose(): void {
    this.slots.clear();
    super.dispose();
  }
}

tf.serialization.registerClass(
  FusedOptimizer as unknown as tf.serialization.SerializableConstructor<tf.serialization.Serializable>,
);

/** beta^t by t - 1 multiplications in 32 bits, to the bit what as many steps arrive at. */
function powerOf(beta: number, t: number): number {
  const factor = fround(beta);
  let power = factor;
  for (let i = 1; i < t; i++) {
    const next = fround(power * factor);
    if (next === power) break; // 0, or the smallest numbers, where it stays
    power = next;
  }
  return power;
}

function noRule(base: tf.Optimizer): EngramError {
  return new EngramError('ARGUMENT', {
    expected: 'SGD, momentum, Adam or AdamW as base',
    received: base.getClassName(),
    remedy: 'Use mas.optimizer(base), which finds the way that fits the base.',
  });
}
