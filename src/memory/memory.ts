/** What a network must not forget: per parameter its importance Omega, its anchor theta* and the number of tasks. */
import * as tf from '@tensorflow/tfjs-core';
import {EngramError} from '../errors.js';
import {tensorEngine} from '../kernels/tensors.js';

/**
 * How a finished task joins the memory: `sum` (the paper), `ema` (half old, half new; the first task whole), `mean`
 * (all tasks weigh equally) or `max`.
 */
export type MergeRule = 'sum' | 'ema' | 'mean' | 'max';

/** What is held for one variable. The tensors have its shape and belong to the memory. */
export interface Entry {
  readonly importance: tf.Tensor;
  readonly anchor: tf.Tensor;
  readonly tasks: number;
}

/** What a file holds for a variable that no network of this process has had yet. Its name is of another process. */
export interface Elsewhere {
  readonly name: string;
  readonly original: string;
  readonly entry: Entry;
}

/** Weights of stored and incoming importance when task number `tasks + 1` arrives. */
function mergeWeights(rule: MergeRule, tasks: number): {stored: number; incoming: number} {
  if (rule === 'ema') return {stored: 0.5, incoming: 0.5};
  if (rule === 'mean') return {stored: tasks / (tasks + 1), incoming: 1 / (tasks + 1)};
  return {stored: 1, incoming: 1};
}

export class Memory {
  private entries: ReadonlyMap<string, Entry> = new Map();
  private waiting: readonly Elsewhere[] = [];
  private disposed = false;

  /** Omega by variable name. The tensors belong to the memory and live until the next task is consolidated. */
  get importance(): ReadonlyMap<string, tf.Tensor> {
    return this.view('importance');
  }

  /** theta* by variable name; owned and living as {@link importance}. */
  get anchor(): ReadonlyMap<string, tf.Tensor> {
    return this.view('anchor');
  }

  /** Tasks consolidated, by variable name. */
  get tasks(): ReadonlyMap<string, number> {
    this.throwIfDisposed();
    return new Map([...this.entries].map(([name, entry]) => [name, entry.tasks]));
  }

  /** Importance and anchor of one variable, or undefined where no task has used it. */
  get(name: string): {importance: tf.Tensor; anchor: tf.Tensor} | undefined {
    this.throwIfDisposed();
    return this.entries.get(name);
  }

  /** Everything held, by variable name of this process. */
  all(): ReadonlyMap<string, Entry> {
    this.throwIfDisposed();
    return this.entries;
  }

  /** What waits for its variable; see {@link Elsewhere}. */
  get elsewhere(): readonly Elsewhere[] {
    this.throwIfDisposed();
    return this.waiting;
  }

  /** Takes over other contents, whose tensors must be kept; what is no longer among them is freed. */
  replace(entries: ReadonlyMap<string, Entry>, elsewhere: readonly Elsewhere[]): void {
    const before = [...this.all().values(), ...this.waiting.map(({entry}) => entry)];
    const after = new Set([...entries.values(), ...elsewhere.map(({entry}) => entry)]);
    this.entries = entries;
    this.waiting = elsewhere;
    for (const entry of before) if (!after.has(entry)) tf.dispose([entry.importance, entry.anchor]);
  }

  /**
   * Merges a finished importance and takes the variables' present values as anchors. All or nothing.
   *
   * @param importance Omega of the new task by variable name; the memory takes the tensors over
   * @param variables the network's variables; those without new importance keep theirs, and their anchor
   */
  consolidate(importance: ReadonlyMap<string, tf.Tensor>, variables: Iterable<tf.Variable>, rule: MergeRule): void {
    this.throwIfDisposed();
    const next = new Map(this.entries);
    const created: tf.Tensor[] = [];
    const replaced: tf.Tensor[] = [];
    try {
      for (const variable of variables) {
        const incoming = importance.get(variable.name);
        if (!incoming) continue;
        const entry = this.entries.get(variable.name);
        const merged = entry ? this.merge(entry, incoming, rule) : incoming;
        const anchor = tf.keep(variable.clone());
        created.push(anchor);
        if (entry) {
          created.push(merged);
          replaced.push(incoming, entry.importance, entry.anchor);
        }
        next.set(variable.name, {importance: tf.keep(merged), anchor, tasks: (entry?.tasks ?? 0) + 1});
      }
    } catch (error) {
      tf.dispose(created);
      throw error;
    }
    this.entries = next;
    tf.dispose(replaced);
  }

  /** Frees all tensors; a second call does nothing. */
  dispose(): void {
    if (!this.disposed) this.replace(new Map(), []);
    this.disposed = true;
  }

  private merge(entry: Entry, incoming: tf.Tensor, rule: MergeRule): tf.Tensor {
    const weights = mergeWeights(rule, entry.tasks);
    return tensorEngine().run(
      'merge',
      {
        rule: rule === 'max' ? 'max' : 'linear',
        size: incoming.size,
        storedWeight: weights.stored,
        incomingWeight: weights.incoming,
      },
      {stored: entry.importance, incoming},
      {merged: incoming.shape},
    ).merged;
  }

  private view(field: 'importance' | 'anchor'): ReadonlyMap<string, tf.Tensor> {
    this.throwIfDisposed();
    return new Map([...this.entries].map(([name, entry]) => [name, entry[field]]));
  }

  private throwIfDisposed(): void {
    if (!this.disposed) return;
    throw new EngramError('DISPOSED', {
      expected: 'a memory in use',
      received: 'one that was disposed',
      remedy: 'Make a new one, or dispose later.',
    });
  }
}

/**
 * Divides importance by its mean over all parameters, so that one lambda suits every task and network.
 * Importance that is zero everywhere, or too small for that, is returned unchanged, and so is none at all. The given
 * tensors are disposed.
 *
 * @throws EngramError NON_FINITE if the sum exceeds 32 bits
 */
export async function normalize(importance: Map<string, tf.Tensor>): Promise<Map<string, tf.Tensor>> {
  if (importance.size === 0) return importance; // no variable on the path to the outputs
  const total = tf.tidy(() => tf.addN([...importance.values()].map((omega) => tf.sum(omega))));
  const size = [...importance.values()].reduce((n, omega) => n + omega.size, 0);
  const [sum] = await total.data();
  total.dispose();
  const factor = Math.fround(size / sum);
  if (factor === Number.POSITIVE_INFINITY) return importance;
  try {
    if (!Number.isFinite(sum)) {
      throw new EngramError('NON_FINITE', {
        expected: 'importance whose sum is a finite 32-bit float',
        received: String(sum),
        remedy: 'Scale the outputs of the network down, or leave normalize out.',
      });
    }
    return new Map([...importance].map(([name, omega]) => [name, tf.mul(omega, factor)]));
  } finally {
    tf.dispose([...importance.values()]);
  }
}
