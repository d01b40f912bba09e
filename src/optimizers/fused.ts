/** SGD, momentum and Adam with the penalty inside one kernel: task gradient, penalty and update in one pass. */
import type * as tf from '@tensorflow/tfjs-core';
import type {Params} from '../kernels/table.js';
import {type Cell, tensorEngine} from '../kernels/tensors.js';
import type {Memory} from '../memory/memory.js';
import {PenalizedOptimizer, type PenaltyOptions, variableOf} from './penalized.js';

type Rule = Params<'penalized_step'>['rule'];

/** Fields of tfjs' optimizers that its types call protected; public at run time, and read at every step. */
interface BaseFields {
  learningRate: number;
  momentum?: number;
  useNesterov?: boolean;
  beta1?: number;
  beta2?: number;
  epsilon?: number;
}

const ruleOf: Readonly<Record<string, Rule>> = {SGD: 'sgd', Momentum: 'momentum', Adam: 'adam'};
const slotCounts: Readonly<Record<Rule, number>> = {sgd: 0, momentum: 1, adam: 2};

/** The fused rule for a tfjs optimizer, or undefined if it has none. */
export function fusedRule(base: tf.Optimizer): Rule | undefined {
  return ruleOf[base.getClassName()];
}

/**
 * Takes rule and settings from `base`, whose own state stays unused. Without importance, and with lambda = 0, a step
 * equals the base's bit for bit on the CPU engines.
 *
 * New values go to fresh memory that is swapped into the variable: tensors that share the old memory keep it.
 */
export class FusedOptimizer extends PenalizedOptimizer {
  /** Momentum, or Adam's first and second moments, `[slotCount, size]` per variable name. */
  private readonly slots = new Map<string, Cell>();
  /** beta^t in 32 bits, multiplied up step by step as tfjs does. */
  private powers: {beta1: number; beta2: number} | undefined;

  constructor(
    base: tf.Optimizer,
    memory: Memory,
    options: Readonly<PenaltyOptions>,
    private readonly rule: Rule,
  ) {
    super(base, memory, options);
  }

  protected applyChecked(gradients: {name: string; tensor: tf.Tensor}[]): void {
    const engine = tensorEngine();
    const {
      learningRate,
      momentum = 0,
      useNesterov,
      beta1 = 0,
      beta2 = 0,
      epsilon = 0,
    } = this.base as unknown as BaseFields;
    const {fround} = Math;
    this.powers ??= {beta1: fround(beta1), beta2: fround(beta2)};
    const slotCount = slotCounts[this.rule];
    for (const {name, tensor: gradient} of gradients) {
      const theta = variableOf(name);
      const memory = this.options.lambda === 0 ? undefined : this.memory.get(name);
      const {next} = engine.run(
        'penalized_step',
        {
          rule: this.rule,
          penalty: this.options.step ?? 'proximal',
          size: theta.size,
          penalized: memory ? 1 : 0,
          slotCount,
          nesterov: useNesterov ? 1 : 0,
          learningRate,
          momentum,
          beta1,
          beta2,
          epsilon,
          correction1: fround(1 - this.powers.beta1),
          correction2: fround(1 - this.powers.beta2),
          lambda: this.options.lambda,
        },
        {
          theta,
          gradient,
          importance: memory?.importance ?? null,
          anchor: memory?.anchor ?? null,
          slots: slotCount > 0 ? this.slotsOf(name, slotCount * theta.size) : null,
        },
        {next: theta.shape},
      );
      theta.assign(next);
      next.dispose();
    }
    this.powers = {
      beta1: fround(this.powers.beta1 * fround(beta1)),
      beta2: fround(this.powers.beta2 * fround(beta2)),
    };
  }

  /**
   * Forgets momentum and Adam's moments. After a task is consolidated they still point away from its anchor.
   */
  reset(): void {
    for (const cell of this.slots.values()) cell.dispose();
    this.slots.clear();
    this.powers = undefined;
  }

  override dispose(): void {
    this.reset();
    super.dispose();
  }

  private slotsOf(name: string, size: number): Cell {
    let cell = this.slots.get(name);
    if (!cell) {
      cell = tensorEngine().cell(size);
      this.slots.set(name, cell);
    }
    return cell;
  }
}
