/** What an accumulation counts besides its sums, and the report that comes of it. */
import type {VariableId} from './match.js';

/** How one parameter was measured. */
export interface ParameterReport {
  name: string;
  shape: number[];
  /** The rule that gave exact per-sample gradients from one backward pass, or null. */
  rule: string | null;
  /** Why the batch-of-one loop was used, or null. */
  fallback: string | null;
}

/** What a measurement took, and how each parameter was measured. */
export interface ImportanceReport {
  samples: number;
  batches: number;
  /** Time of everything, certificate and finish included; shards that were merged add up. */
  seconds: number;
  samplesPerSecond: number;
  /** Forward passes over a batch, or over a single sample in certificate and fallback. */
  forwardPasses: number;
  /** Time spent proving that the network treats samples one by one. */
  certificateSeconds: number;
  /** Time spent turning sums into importance. */
  finishSeconds: number;
  /** One row for every variable that was asked for; neither rule nor fallback: not on the path to the outputs. */
  parameters: ParameterReport[];
}

/** The counts of a {@link Tally}, which all add up. */
export const counts = ['samples', 'batches', 'seconds', 'forwardPasses', 'certificateSeconds'] as const;
export type Counts = Record<(typeof counts)[number], number>;

/** How gradients of a variable were found so far. */
export type Ways = Pick<ParameterReport, 'rule' | 'fallback'>;

export class Tally implements Counts {
  samples = 0;
  batches = 0;
  seconds = 0;
  forwardPasses = 0;
  certificateSeconds = 0;
  private readonly ways = new Map<string, Ways>();

  waysOf(name: string): Ways {
    return this.ways.get(name) ?? {rule: null, fallback: null};
  }

  note(name: string, ways: Partial<Ways>): void {
    this.ways.set(name, {...this.waysOf(name), ...ways});
  }

  /** @param names this one's name of each of the other's variables; left out, they are the same */
  add(other: Tally, names?: ReadonlyMap<string, string>): void {
    for (const count of counts) this[count] += other[count];
    for (const [theirs, {rule, fallback}] of other.ways) {
      const name = names?.get(theirs) ?? theirs;
      const before = this.waysOf(name);
      this.ways.set(name, {rule: rule ?? before.rule, fallback: fallback ?? before.fallback});
    }
  }

  report(variables: readonly VariableId[], finishSeconds: number): ImportanceReport {
    const {samples, batches, forwardPasses, certificateSeconds} = this;
    const seconds = this.seconds + finishSeconds;
    return {
      samples,
      batches,
      seconds,
      samplesPerSecond: seconds > 0 ? samples / seconds : 0,
      forwardPasses,
      certificateSeconds,
      finishSeconds,
      parameters: variables.map(({name, shape}) => ({name, shape: [...shape], ...this.waysOf(name)})),
    };
  }
}
