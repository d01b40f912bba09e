/** Methods that hold parameters by lambda * sum Omega (theta - theta*)^2, and differ in where Omega comes from. */
import * as tf from '@tensorflow/tfjs-core';
import {type DecayedSum, type Entry, Memory, type MergeRule} from '../memory/memory.js';
import {normalize} from '../memory/task.js';
import {penalizedOptimizer} from '../optimizers/make.js';
import type {PenaltyOptions} from '../optimizers/penalized.js';
import {asNetwork, type NetworkLike} from '../tape/index.js';
import {checkLambda} from './checks.js';
import type {LearningTask, Method, MethodState} from './method.js';
import {missing, restoredTensors, storedTensors} from './stored-tensors.js';
import {chooseVariables, type VariableFilter} from './variables.js';

/** What all penalties take. */
export interface PenaltyMethodOptions extends PenaltyOptions {
  /** Divide each task's importance by its mean, so that lambda is comparable over tasks and networks. Default false. */
  normalize?: boolean;
  /** Variables that are left free. Default none. */
  exclude?: VariableFilter;
}

/** Omega of a task by variable name; the tensors belong to who asked. */
export type Importance = Map<string, tf.Tensor>;

/** The shared half of a penalty: a memory, the optimizers around it, and its way in and out of a process. */
export abstract class PenaltyMethod implements Method {
  /** Omega and theta* of what was learned. */
  readonly memory = new Memory();

  /**
   * @param rule how a task's importance joins the memory
   * @param factor what lambda is multiplied by: 1/2 for methods that are written with lambda / 2
   * @throws EngramError ARGUMENT
   */
  constructor(
    protected readonly options: Readonly<PenaltyMethodOptions>,
    private readonly rule: MergeRule | DecayedSum = 'sum',
    private readonly factor = 1,
  ) {
    checkLambda(options?.lambda);
  }

  /** Omega of the task that was just learned, not negative. */
  protected abstract importance(task: LearningTask): Promise<Importance>;

  optimizer(base: tf.Optimizer): tf.Optimizer {
    const {lambda, step} = this.options;
    return penalizedOptimizer(base, this.memory, {lambda: lambda * this.factor, ...(step && {step})});
  }

  async afterTask(task: LearningTask): Promise<void> {
    const held = this.variables(task.network);
    const names = new Set(held.map(({name}) => name));
    const measured = await this.importance(task);
    let omega = new Map([...measured].filter(([name]) => names.has(name)));
    try {
      if (this.options.normalize) omega = await normalize(omega);
      await this.memory.consolidate(omega, held, this.rule);
    } finally {
      tf.dispose([...measured.values(), ...omega.values()]);
    }
  }

  async state(): Promise<MethodState> {
    const {importance, anchor, tasks} = this.memory;
    const tensors = [await storedTensors('importance', importance), await storedTensors('anchor', anchor)];
    return {tensors: new Map(tensors.flatMap((part) => [...part])), json: {tasks: Object.fromEntries(tasks)}};
  }

  restore(state: MethodState): void {
    const {tasks} = (state.json ?? {}) as {tasks?: Record<string, number>};
    if (!tasks) throw missing('tasks');
    const names = Object.keys(tasks);
    const importance = restoredTensors('importance', names, state);
    let anchor: Map<string, tf.Tensor>;
    try {
      anchor = restoredTensors('anchor', names, state);
    } catch (error) {
      tf.dispose([...importance.values()]);
      throw error;
    }
    const entryOf = (name: string): Entry => {
      return {importance: importance.get(name)!, anchor: anchor.get(name)!, tasks: tasks[name]};
    };
    this.memory.replace(new Map(names.map((name) => [name, entryOf(name)])), []);
  }

  /** Frees the memory; a second call does nothing. */
  dispose(): void {
    this.memory.dispose();
  }

  /** The variables that are held. */
  protected variables(network: NetworkLike): tf.Variable[] {
    return chooseVariables(asNetwork(network).variables, undefined, this.options.exclude);
  }
}
