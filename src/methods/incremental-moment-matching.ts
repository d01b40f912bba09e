/** Incremental Moment Matching (Lee et al., NeurIPS 2017): the tasks' networks become one after they were learned. */
import * as tf from '@tensorflow/tfjs-core';
import {EngramError} from '../errors.js';
import {Memory} from '../memory/memory.js';
import {checkChoice} from '../memory/options.js';
import {penalizedOptimizer} from '../optimizers/make.js';
import type {PenaltyOptions} from '../optimizers/penalized.js';
import {checkPositive, checkWeight} from './checks.js';
import {estimateFisher} from './fisher.js';
import type {LearningTask} from './method.js';
import {type Importance, PenaltyMethod, type PenaltyMethodOptions} from './penalty-method.js';
import type {VariableFilter} from './variables.js';

/** How networks are merged, and kept near each other meanwhile. */
export interface IncrementalMomentMatchingOptions {
  /** `mean` weighs the parameters of every task alike, `mode` each by its task's Fisher information. Default `mode`. */
  merge?: 'mean' | 'mode';
  /** alpha_k, the share of each task, up to a common factor. Default equal shares. */
  shares?: readonly number[];
  /**
   * L2-transfer: lambda of lambda ||theta - theta_(k-1)||^2, which is added to the loss of task k for all parameters that
   * were learned before. Default 0: weight-transfer alone, which means that each task begins where the last one ended.
   */
  transfer?: number;
  /** How the L2-transfer enters a step. */
  step?: PenaltyOptions['step'];
  /**
   * Added to the Fisher information, so that what no task depends on is divided by something. Parameters far less
   * important than this are merged by their mean. Default 1e-8.
   */
  floor?: number;
  /** Variables that are not merged, but tested as they were trained last. Default none. */
  exclude?: VariableFilter;
}

/**
 * After task k was learned to theta_k, the networks so far are approximated by one Gaussian:
 *
 * - mean-IMM: theta = sum_k alpha_k theta_k / sum_k alpha_k (section 3.1);
 * - mode-IMM: theta = sum_k alpha_k F_k theta_k / sum_k alpha_k F_k, elementwise (section 3.2), F_k being the diagonal of
 *   the empirical Fisher information of task k, exact per sample.
 *
 * That is the network which is tested; training of the next task goes on from theta_k itself. Both sums run on, so that
 * two numbers a parameter are held however many tasks there are. A variable that one task alone has, such as its head,
 * keeps the value that this task gave it.
 */
export class IncrementalMomentMatching extends PenaltyMethod {
  /** Ones, and the theta_(k-1) that the next task is held near. */
  private readonly latest = new Memory();

  /** @throws EngramError ARGUMENT */
  constructor(private readonly matching: Readonly<IncrementalMomentMatchingOptions> = {}) {
    // What the memory holds is the Gaussian: its precision as importance, its mean as anchor.
    super(checked(matching), {decay: 1, anchor: 'weighted'});
  }

  override optimizer(base: tf.Optimizer): tf.Optimizer {
    const {lambda, step} = this.options;
    return lambda === 0 ? base : penalizedOptimizer(base, this.latest, {lambda, ...(step && {step})});
  }

  /** Takes theta_(k-1), where training now begins. */
  async beforeTask({network}: LearningTask): Promise<void> {
    if (this.options.lambda === 0) return;
    const learned = this.variables(network).filter(({name}) => this.memory.get(name) !== undefined);
    const ones = new Map(learned.map(({name, shape}) => [name, tf.ones(shape)]));
    try {
      if (ones.size > 0) await this.latest.consolidate(ones, learned, {decay: 0});
    } finally {
      tf.dispose([...ones.values()]);
    }
  }

  /** The merged values, also of variables that one task alone has. They live until the next task was learned. */
  testValues(): ReadonlyMap<string, tf.Tensor> {
    return this.memory.anchor;
  }

  /** alpha_k, or alpha_k (F_k + floor). */
  protected async importance(task: LearningTask): Promise<Importance> {
    const share = this.shareOf(task.index);
    if (this.matching.merge === 'mean') {
      return new Map(this.variables(task.network).map(({name, shape}) => [name, tf.fill(shape, share)]));
    }
    const fisher = await estimateFisher(task.network, task.samples(), task.signal ? {signal: task.signal} : {});
    const {floor = 1e-8} = this.matching;
    try {
      return new Map([...fisher].map(([name, F]) => [name, tf.tidy(() => tf.mul(tf.add(F, floor), share))]));
    } finally {
      tf.dispose([...fisher.values()]);
    }
  }

  override dispose(): void {
    super.dispose();
    this.latest.dispose();
  }

  /** @throws EngramError ARGUMENT where shares are given, but none for this task */
  private shareOf(index: number): number {
    const {shares} = this.matching;
    if (!shares) return 1;
    if (index < shares.length) return shares[index];
    throw new EngramError('ARGUMENT', {
      expected: 'a share for every task',
      received: `${shares.length} shares and a task ${index + 1}`,
      remedy: 'Give as many shares as there are tasks, or leave them out for equal ones.',
    });
  }
}

/**
 * The penalty of the L2-transfer.
 *
 * @throws EngramError ARGUMENT
 */
function checked(options: Readonly<IncrementalMomentMatchingOptions>): PenaltyMethodOptions {
  const {merge, shares = [], transfer = 0, step, floor = 1, exclude} = options;
  checkChoice('merge', merge, ['mean', 'mode']);
  checkChoice('step', step, ['proximal', 'explicit']);
  for (const share of shares) checkPositive('a share', share);
  checkWeight('transfer', transfer);
  checkPositive('floor', floor);
  return {lambda: transfer, ...(step && {step}), ...(exclude && {exclude})};
}
