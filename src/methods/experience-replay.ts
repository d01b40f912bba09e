/** Experience replay: some samples of earlier tasks are kept, and learned again beside the present task's. */
import type * as tf from '@tensorflow/tfjs-core';
import {EngramError} from '../errors.js';
import {checkCount} from './checks.js';
import {drawRows} from './draw.js';
import type {LearningTask, Method, MethodState, Rehearsal} from './method.js';
import {missing} from './stored-tensors.js';

/** How much is kept and rehearsed. */
export interface ExperienceReplayOptions {
  /** Samples in the buffer, of all tasks together. */
  capacity: number;
  /** Samples of the buffer that join every step; fewer if it holds fewer. Default 64. */
  samplesPerStep?: number;
}

/**
 * A buffer of samples drawn at random, from which every step learns a random few beside its own (Chaudhry et al., "On
 * tiny episodic memories in continual learning", arXiv:1902.10486, ER with an evenly filled buffer in place of their
 * reservoir and ring buffers).
 *
 * With T tasks behind it, a task keeps `capacity / T` samples, the remainder going to the first tasks, or all if it has
 * fewer. Which ones is decided once: what a later task pushes out is never back. The buffer holds places among the
 * training samples, not the samples themselves.
 */
export class ExperienceReplay implements Method {
  private readonly capacity: number;
  private readonly samplesPerStep: number;
  /** Rows of each task in the order in which they were drawn: the last are the first to go. */
  private buffer: readonly Rehearsal[] = [];

  /** @throws EngramError ARGUMENT */
  constructor({capacity, samplesPerStep = 64}: ExperienceReplayOptions) {
    checkCount('capacity', capacity);
    checkCount('samplesPerStep', samplesPerStep);
    this.capacity = capacity;
    this.samplesPerStep = samplesPerStep;
  }

  /** What is kept of each task so far. */
  get kept(): readonly Rehearsal[] {
    return this.buffer;
  }

  get heldSamples(): number {
    return this.buffer.reduce((sum, {rows}) => sum + rows.length, 0);
  }

  optimizer(base: tf.Optimizer): tf.Optimizer {
    return base;
  }

  /** @throws EngramError ARGUMENT for more tasks behind it than the buffer has places */
  async beforeTask({index}: LearningTask): Promise<void> {
    if (index <= this.capacity) return;
    throw new EngramError('ARGUMENT', {
      expected: `a capacity of at least ${index}, a sample for every earlier task`,
      received: String(this.capacity),
      remedy: 'Use a larger buffer: a task without samples in it is not rehearsed.',
    });
  }

  /** Rows of earlier tasks, grouped by task in their order; each at most once a step. */
  rehearse({index, seed}: LearningTask, step: number): readonly Rehearsal[] {
    const earlier = this.buffer.filter(({task}) => task < index);
    const held = earlier.reduce((sum, {rows}) => sum + rows.length, 0);
    const drawn = drawRows(held, this.samplesPerStep, `${seed}/task ${index}/step ${step}`);
    let first = 0;
    const groups = earlier.map(({task, rows}) => {
      const places = drawn.filter((place) => place >= first && place < first + rows.length);
      const group = {task, rows: places.map((place) => rows[place - first])};
      first += rows.length;
      return group;
    });
    return groups.filter(({rows}) => rows.length > 0);
  }

  /** Makes room for the task and keeps some of its samples. */
  async afterTask({index, count, seed}: LearningTask): Promise<void> {
    const others = this.buffer.filter(({task}) => task !== index);
    const rows = drawRows(count, this.capacity, `${seed}/buffer/task ${index}`);
    const all = [...others, {task: index, rows}].sort((a, b) => a.task - b.task);
    this.buffer = all.map((kept, place) => ({
      task: kept.task,
      rows: kept.rows.slice(0, this.quota(place, all.length)),
    }));
  }

  async state(): Promise<MethodState> {
    return {tensors: new Map(), json: {buffer: this.buffer.map(({task, rows}) => ({task, rows: [...rows]}))}};
  }

  restore({json}: MethodState): void {
    const stored = (json as {buffer?: unknown} | undefined)?.buffer;
    if (!Array.isArray(stored)) throw missing('buffer');
    this.buffer = stored.map((entry: {task?: unknown; rows?: unknown}) => {
      if (!Number.isSafeInteger(entry?.task) || !Array.isArray(entry.rows)) throw missing('buffer');
      return {task: entry.task as number, rows: Uint32Array.from(entry.rows as number[])};
    });
  }

  /** Holds no tensor: nothing to free. */
  dispose(): void {}

  /** Places of the task at `place` among `tasks`: ceil((capacity - place) / tasks), which never grows with `tasks`. */
  private quota(place: number, tasks: number): number {
    return Math.max(0, Math.ceil((this.capacity - place) / tasks));
  }
}
