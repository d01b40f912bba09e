/** Elastic Weight Consolidation: the Fisher information as importance. */
import {checkChoice} from '../memory/options.js';
import {estimateFisher, type FisherKind, type Likelihood} from './fisher.js';
import type {LearningTask} from './method.js';
import {type Importance, PenaltyMethod, type PenaltyMethodOptions} from './penalty-method.js';

/** What EWC takes beside lambda. */
export interface ElasticWeightConsolidationOptions extends PenaltyMethodOptions {
  /** Which labels the Fisher information is of; default `empirical`. */
  fisher?: FisherKind;
  /** What the outputs stand for; default `categorical`. */
  likelihood?: Likelihood;
  /**
   * `separate` (default): a penalty for every task around its own optimum (Kirkpatrick et al., PNAS 2017, equation 3, and
   * Huszar's note to it, arXiv:1712.03847, on what it adds up to). `online`: one, around the last optimum (Schwarz et al.,
   * "Progress and compress", ICML 2018).
   */
  penalties?: 'separate' | 'online';
  /** Of `online`: what is left of the earlier tasks' information after each new one. Default 1. */
  decay?: number;
}

/**
 * lambda / 2 * sum_t sum_i F_t,i (theta_i - theta_t,i*)^2 with the exact per-sample diagonal Fisher information F_t.
 *
 * The separate penalties are held as one: their sum is, but for a constant, the penalty of the summed information around
 * the mean of the optima weighted by it. So the memory does not grow with the tasks.
 */
export class ElasticWeightConsolidation extends PenaltyMethod {
  /** @throws EngramError ARGUMENT */
  constructor(private readonly ewc: ElasticWeightConsolidationOptions) {
    const {penalties = 'separate', decay = 1} = ewc ?? {};
    super(ewc, penalties === 'separate' ? {decay: 1, anchor: 'weighted'} : {decay}, 1 / 2);
    checkChoice('penalties', penalties, ['separate', 'online']);
  }

  protected importance(task: LearningTask): Promise<Importance> {
    const {fisher = 'empirical', likelihood = 'categorical'} = this.ewc;
    const {network, seed, signal} = task;
    const unlabelled = async function* () {
      for await (const x of task.unlabelled()) yield {x};
    };
    const data = fisher === 'empirical' ? task.samples() : unlabelled();
    return estimateFisher(network, data, {kind: fisher, likelihood, seed, ...(signal && {signal})});
  }
}
