/** Memory Aware Synapses as a method of a sequence, with the norm of the outputs or with every output by itself. */
import {estimateImportance} from '../memory/estimate.js';
import type {ImportanceReport} from '../memory/tally.js';
import type {LearningTask} from './method.js';
import {type Importance, PenaltyMethod} from './penalty-method.js';
import {estimateVectorImportance} from './vector-importance.js';

/** Omega = (1/N) sum_b |d||F(x_b)||^2/dtheta| (Aljundi et al., ECCV 2018, equations 2 and 4): exact, one pass. */
export class MasMethod extends PenaltyMethod {
  /** What was measured, for each task of this process. */
  readonly reports: ImportanceReport[] = [];

  protected async importance({network, unlabelled, signal}: LearningTask): Promise<Importance> {
    const {importance, report} = await estimateImportance(network, unlabelled(), signal ? {signal} : {});
    this.reports.push(report);
    return importance;
  }
}

/** Omega = (1/N) sum_b sum_k |dF_k(x_b)/dtheta|: what the norm stands in for, with one backward pass for each output. */
export class VectorMasMethod extends PenaltyMethod {
  protected importance({network, unlabelled, signal}: LearningTask): Promise<Importance> {
    return estimateVectorImportance(network, unlabelled(), signal ? {signal} : {});
  }
}
