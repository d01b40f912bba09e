/** A callback for `model.fit` that consolidates what was learned as soon as training ends. */
import type {ImportanceReport} from '../memory/tally.js';

/**
 * What `mas.callback(data)` gives: the arguments of a `tf.CustomCallback`, which `model.fit` takes as they are. Only
 * the end of training is listened to, so that no batch waits for its loss to be read back.
 */
export class ConsolidationCallback {
  /** What the last `fit` consolidated; undefined before. */
  report: ImportanceReport | undefined;

  constructor(private readonly consolidate: () => Promise<ImportanceReport>) {}

  /** Called by tfjs, which does not bind it. A consolidation that fails makes `fit` reject. */
  readonly onTrainEnd = async (): Promise<void> => {
    this.report = await this.consolidate();
  };
}
