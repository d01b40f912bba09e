/** A recorded batch, walked back once for every function of the seed. */
import type * as tf from '@tensorflow/tfjs-core';
import type {Recording} from './graph.js';
import type {BatchRecord, VariableRecord} from './record.js';
import {type Seed, seedsOf} from './seed.js';
import {contained, disposeAll} from './tfjs.js';
import {disposeOperands, walk} from './walk.js';

export class WalkedBatch implements BatchRecord {
  readonly samples: number;
  readonly unreached: ReadonlySet<string>;
  readonly fallback: ReadonlyMap<string, string>;
  operands: ReadonlyMap<string, VariableRecord> = new Map();
  private readonly functions: Generator<tf.Tensor[], undefined>;
  /** Of the function that {@link advance} goes on to. */
  private upcoming: tf.Tensor[] | undefined;

  /**
   * Walks back for the first function.
   *
   * @param recording its trace is handed over, unless this throws
   * @param leaks variables that failed the certificate, and why
   * @throws whatever the seed and tfjs' gradient functions throw; nothing is left behind
   */
  constructor(
    private readonly recording: Recording,
    seed: Seed,
    leaks: ReadonlyMap<string, string>,
  ) {
    this.samples = recording.samples;
    this.unreached = recording.graph.unreached;
    this.functions = seedsOf(seed, recording.trace.outputs);
    try {
      this.upcoming = this.functions.next().value;
      this.fallback = this.walkBack(leaks);
    } catch (error) {
      this.end();
      throw error;
    }
  }

  advance(): boolean {
    if (!this.upcoming) return false;
    disposeOperands(this.operands);
    this.operands = new Map();
    // A variable keeps its way for all functions, or it would count twice or not at all.
    const other = [...this.walkBack(this.fallback)].find(([name]) => !this.fallback.has(name));
    if (other)
      throw new Error(`the seed's functions differ for ${other[0]}, which has operands for the first: ${other[1]}`);
    return true;
  }

  dispose(): void {
    disposeOperands(this.operands);
    this.end();
    this.recording.trace.dispose();
  }

  /** Takes up the operands of the upcoming function. @returns why there are none, by variable */
  private walkBack(without: ReadonlyMap<string, string>): ReadonlyMap<string, string> {
    const seeds = this.upcoming!;
    this.upcoming = undefined;
    try {
      this.upcoming = this.functions.next().value;
    } catch (error) {
      disposeAll(seeds);
      throw error;
    }
    const last = this.upcoming === undefined;
    const operands = new Map<string, VariableRecord>();
    const fallback = new Map<string, string>();
    for (const [name, found] of walk(this.recording, seeds, last)) {
      const reason = typeof found === 'string' ? found : without.get(name);
      if (reason !== undefined) fallback.set(name, reason);
      if (typeof found === 'string') continue;
      if (reason === undefined) operands.set(name, found);
      else disposeOperands(new Map([[name, found]]));
    }
    this.operands = operands;
    // Chunks may go back through computations on weights, later: what tfjs saved for that stays until then.
    if (last && ![...operands.values()].some(({kernel}) => kernel === 'chunks')) this.recording.trace.dispose();
    return fallback;
  }

  private end(): void {
    contained(() => this.functions.return(undefined));
    disposeAll(this.upcoming ?? []);
    this.upcoming = undefined;
  }
}
