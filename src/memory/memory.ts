/** What a network must not forget: per parameter its importance Omega, its anchor theta* and the number of tasks. */
import * as tf from '@tensorflow/tfjs-core';
import {EngramError} from '../errors.js';
import {tensorEngine} from '../kernels/tensors.js';
import {checkChoice, checkVariableList} from './options.js';
import {checkTask, checkValues} from './task.js';
import {clonesOf} from './theta.js';

/**
 * How a finished task joins the memory: `sum` (the paper), `ema` (half old, half new; the first task whole), `mean`
 * (all tasks weigh equally) or `max`.
 */
export type MergeRule = (typeof mergeRules)[number];
export const mergeRules = ['sum', 'ema', 'mean', 'max'] as const;

/** A merge rule with numbers of its own: Omega <- decay * Omega + Omega', the anchor as {@link anchor} says. */
export interface DecayedSum {
  /** Weight of what is held: 1 adds up, 0 forgets it. */
  readonly decay: number;
  /**
   * `latest` (default): theta as it is now. `weighted`: the mean of the anchors, each weighted by its importance, so that
   * the one penalty equals the sum of the tasks' penalties around their own anchors, but for a constant. A parameter that
   * is not important yet is anchored where it is.
   */
  readonly anchor?: 'latest' | 'weighted';
}

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
function mergeWeights(rule: MergeRule | DecayedSum, tasks: number): {stored: number; incoming: number} {
  if (typeof rule === 'object') return {stored: rule.decay, incoming: 1};
  if (rule === 'ema') return {stored: 0.5, incoming: 0.5};
  if (rule === 'mean') return {stored: tasks / (tasks + 1), incoming: 1 / (tasks + 1)};
  return {stored: 1, incoming: 1};
}

/**
 * Importance, anchors and task counts by variable name. They have copies on the host, with which they outlive a GPU
 * device that is lost.
 *
 * ```ts
 * const memory = new Memory();
 * const {importance} = await estimateImportance(network, samples);
 * await memory.consolidate(importance, network.variables);
 * tf.dispose([...importance.values()]);
 * ```
 */
export class Memory {
  private entries: ReadonlyMap<string, Entry> = new Map();
  private waiting: readonly Elsewhere[] = [];
  private disposed = false;
  private copying: Promise<void> = Promise.resolve();

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

  /** Importance, anchor and tasks of one variable, or undefined where no task has used it. */
  get(name: string): Entry | undefined {
    this.throwIfDisposed();
    return this.entries.get(name);
  }

  /**
   * Everything held, by variable name of this process.
   *
   * @internal
   */
  all(): ReadonlyMap<string, Entry> {
    this.throwIfDisposed();
    return this.entries;
  }

  /**
   * What waits for its variable; see {@link Elsewhere}.
   *
   * @internal
   */
  get elsewhere(): readonly Elsewhere[] {
    this.throwIfDisposed();
    return this.waiting;
  }

  /**
   * Takes over other contents, whose tensors must be kept; what is no longer among them is freed.
   *
   * @internal
   */
  replace(entries: ReadonlyMap<string, Entry>, elsewhere: readonly Elsewhere[]): void {
    const before = [...this.all().values(), ...this.waiting.map(({entry}) => entry)];
    const after = new Set([...entries.values(), ...elsewhere.map(({entry}) => entry)]);
    this.entries = entries;
    this.waiting = elsewhere;
    for (const entry of before) if (!after.has(entry)) tf.dispose([entry.importance, entry.anchor]);
    const held = [...after].flatMap(({importance, anchor}) => [importance, anchor]);
    if (held.length === 0) return;
    // A device that fails meanwhile says so at its next use.
    this.copying = tensorEngine()
      .keepOnHost(held)
      .catch(() => undefined);
  }

  /**
   * Resolves when what is held outlives a lost device.
   *
   * @internal
   */
  async safe(): Promise<void> {
    await this.copying;
  }

  /**
   * Merges the importance of a task, and takes the values that the variables have when this is called as anchors. All
   * or nothing.
   *
   * @param importance Omega of the task by variable name, not negative, of the shape of its variable; the tensors stay
   * the caller's
   * @param variables those that the importance is about, and perhaps others: what has no new importance keeps its own,
   * its anchor and its task count
   * @param rule default `sum`, as in the paper
   * @throws EngramError ARGUMENT, UNKNOWN_VARIABLE for importance of none of the variables, SHAPE, DTYPE, NON_FINITE,
   * DISPOSED
   */
  async consolidate(
    importance: ReadonlyMap<string, tf.Tensor>,
    variables: readonly tf.Variable[],
    rule: MergeRule | DecayedSum = 'sum',
  ): Promise<void> {
    this.throwIfDisposed();
    checkRule(rule);
    checkVariableList(variables);
    const named = new Map(variables.map((variable) => [variable.name, variable]));
    checkTask(importance, named, this.entries);
    const [omega, theta] = [clonesOf(importance), clonesOf(named)];
    try {
      await checkValues(omega);
      this.merge(omega, theta, rule);
      await this.safe();
    } finally {
      tf.dispose([...omega.values(), ...theta.values()]);
    }
  }

  /**
   * {@link consolidate} at once, for importance that is known to be finite and not negative.
   *
   * @param theta the variables' values by name, to which the importance belongs; the tensors stay the caller's
   * @internal
   */
  merge(
    importance: ReadonlyMap<string, tf.Tensor>,
    theta: ReadonlyMap<string, tf.Tensor>,
    rule: MergeRule | DecayedSum,
  ): void {
    this.throwIfDisposed();
    checkTask(importance, theta, this.entries);
    const next = new Map(this.entries);
    const created: tf.Tensor[] = [];
    const keep = (tensor: tf.Tensor): tf.Tensor => {
      created.push(tf.keep(tensor));
      return tensor;
    };
    try {
      for (const [name, values] of theta) {
        const incoming = importance.get(name);
        if (!incoming) continue;
        const entry = this.entries.get(name);
        const merged = keep(entry ? mergedImportance(entry, incoming, rule) : incoming.clone());
        const weighted = entry && typeof rule === 'object' && rule.anchor === 'weighted';
        const anchor = keep(weighted ? weightedAnchor(entry, incoming, values, rule.decay) : values.clone());
        next.set(name, {importance: merged, anchor, tasks: (entry?.tasks ?? 0) + 1});
      }
    } catch (error) {
      tf.dispose(created);
      throw error;
    }
    this.replace(next, this.waiting);
  }

  /** Frees all tensors; a second call does nothing. */
  dispose(): void {
    if (!this.disposed) this.replace(new Map(), []);
    this.disposed = true;
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

/** @throws EngramError ARGUMENT */
function checkRule(rule: MergeRule | DecayedSum): void {
  if (typeof rule !== 'object' || rule === null) {
    checkChoice('rule', rule, mergeRules);
    return;
  }
  checkChoice('rule.anchor', rule.anchor, ['latest', 'weighted']);
  if (Number.isFinite(rule.decay) && rule.decay >= 0) return;
  throw new EngramError('ARGUMENT', {
    expected: 'rule.decay to be a finite number of at least 0',
    received: String(rule.decay),
    remedy: 'Use 1 to add up, or less to let earlier tasks fade.',
  });
}

/** (a Omega theta* + Omega' theta) / (a Omega + Omega'), written so that it stays put where nothing is incoming. */
function weightedAnchor({importance, anchor}: Entry, incoming: tf.Tensor, theta: tf.Tensor, decay: number): tf.Tensor {
  return tf.tidy(() => {
    const total = tf.add(tf.mul(importance, decay), incoming);
    const share = tf.where(tf.greater(total, 0), tf.divNoNan(incoming, total), tf.onesLike(total));
    return tf.add(anchor, tf.mul(share, tf.sub(theta, anchor)));
  });
}

function mergedImportance(entry: Entry, incoming: tf.Tensor, rule: MergeRule | DecayedSum): tf.Tensor {
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
