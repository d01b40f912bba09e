/** What `MemoryAwareSynapses` takes. */
import type {VariableNames} from '../memory/match.js';
import {type MergeRule, mergeRules} from '../memory/memory.js';
import {checkChoice, type EstimateOptions} from '../memory/options.js';
import type {OutputChoice} from '../memory/outputs.js';
import {checkLambda} from './checks.js';
import type {VariableFilter} from './variables.js';

/** What is measured and held, and how strongly. */
export interface MemoryAwareSynapsesOptions {
  /** Strength of the penalty lambda * sum Omega (theta - theta*)^2; the paper uses 1. */
  lambda: number;
  /** The function whose sensitivity is measured: `logits` (default, before a final softmax or sigmoid) or `output`. */
  output?: 'logits' | 'output';
  /** How the importance of several tasks is combined; default `sum`, as in the paper. */
  accumulate?: MergeRule;
  /** Divide each task's importance by its mean, so that lambda is comparable over tasks and networks. Default false. */
  normalize?: boolean;
  /** Variables that are held; default all trainable ones. */
  include?: VariableFilter;
  /** Variables that are left free, such as a head that every task has for itself. */
  exclude?: VariableFilter;
}

/** How a task is consolidated. */
export interface ConsolidateOptions extends EstimateOptions {
  /**
   * The outputs that this task is about, by index or, for a tf.LayersModel, name; default all. Parameters on the path
   * of others alone, such as heads of other tasks, keep importance, anchor and task count bit for bit.
   */
  outputs?: OutputChoice;
  /**
   * Let this object's optimizers begin anew: momentum, moments and `iterations` become zero. Default true, because the
   * moments still point the way the old task was learned: carried over, they push parameters off the new anchor before
   * the next task has said anything. False for a task that simply goes on.
   */
  resetOptimizer?: boolean;
}

/** How variables of another network are found in the memory. */
export interface AttachOptions {
  /** What names cannot tell: variable of the network -> held variable that it continues, or null for a new one. */
  names?: VariableNames;
  /** Variables of the network that are held; default the constructor's choice. */
  include?: VariableFilter;
  /** Variables of the network that are left free; default the constructor's choice. */
  exclude?: VariableFilter;
}

/** @throws EngramError ARGUMENT */
export function checkOptions(options: MemoryAwareSynapsesOptions): void {
  checkLambda(options?.lambda);
  checkChoice('output', options.output, ['logits', 'output']);
  checkChoice('accumulate', options.accumulate, mergeRules);
}
