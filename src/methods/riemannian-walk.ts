/** Riemannian Walk: a moving Fisher information and a path integral measured by it, together. */
import * as tf from '@tensorflow/tfjs-core';
import {checkCount, checkPositive, checkShare} from './checks.js';
import {KeptTensors} from './kept-tensors.js';
import type {LearningTask, MethodState} from './method.js';
import {type Move, PathIntegral, PathIntegralOptimizer} from './path-integral.js';
import {type Importance, PenaltyMethod, type PenaltyMethodOptions} from './penalty-method.js';
import {missing, restoredTensors, storedTensors} from './stored-tensors.js';

/** Strength, and how Fisher information and score are followed. */
export interface RiemannianWalkOptions extends PenaltyMethodOptions {
  /** Weight of the newest interval in the moving Fisher information, above 0 and at most 1. Default 0.9, as in the paper. */
  alpha?: number;
  /** Steps over which Fisher information and score are taken together (the paper's Delta t). Default 10. */
  interval?: number;
  /** Added to the distance by which the score divides. Default 1e-3, as in the authors' code. */
  epsilon?: number;
}

/**
 * Penalty lambda * sum (F~ + s~) (theta - theta*)^2 (Chaudhry, Dokania, Ajanthan and Torr, ECCV 2018, section 4):
 *
 * - F, the diagonal Fisher information of EWC++: at the end of every interval F <- alpha F_interval + (1 - alpha) F, over
 *   all tasks without a break;
 * - s, the score of a task: at the end of every interval it gains max(0, w / (F Delta^2 / 2 + epsilon)), w the path
 *   integral over the interval and Delta the way from its first step to its last;
 * - after a task the score is averaged with that of the tasks before, s <- (s + s_task) / 2, the first task's being whole;
 * - F~ and s~ are F and s scaled to [0, 1], each over all parameters that are held together.
 *
 * Where the paper leaves a choice, this follows the authors' code (facebookresearch/agem, model/model.py and
 * conv_split_cifar.py): F_interval is the mean over the interval's steps of the squared gradient of a *batch*; the score
 * divides by the F of before the interval, and is made non-negative interval by interval; epsilon is 1e-3. Where code and
 * paper differ, this follows the paper: the code leaves out the 1/2 before F, adds half of the sum to the score instead of
 * averaging (s <- s + (s + s_task) / 2), and drops the steps after a task's last whole interval, which are a shorter
 * interval here. The first interval of a variable has no F before it and takes its own; the code starts from F = 0.
 */
export class RiemannianWalk extends PenaltyMethod {
  private readonly alpha: number;
  private readonly interval: number;
  private readonly epsilon: number;
  /** Path, sum of squared gradients and steps of the present interval. */
  private readonly path = new PathIntegral();
  private readonly squares = new KeptTensors();
  private steps = 0;
  private readonly fisher = new KeptTensors();
  /** Score of the present task; of all tasks before. */
  private readonly taskScore = new KeptTensors();
  private readonly score = new KeptTensors();

  /** @throws EngramError ARGUMENT */
  constructor(options: RiemannianWalkOptions) {
    super(options, {decay: 0});
    const {alpha = 0.9, interval = 10, epsilon = 1e-3} = options;
    checkShare('alpha', alpha);
    checkPositive('epsilon', epsilon);
    checkCount('interval', interval);
    this.alpha = alpha;
    this.interval = interval;
    this.epsilon = epsilon;
  }

  override optimizer(base: tf.Optimizer): tf.Optimizer {
    return new PathIntegralOptimizer(super.optimizer(base), (moves) => this.observe(moves));
  }

  /** Forgets what a task that was not finished left. */
  async beforeTask(): Promise<void> {
    this.beginInterval();
    this.taskScore.clear();
  }

  /** F~ + s~ of what the task moved; what it did not move stays in the memory as it was. */
  protected async importance({network}: LearningTask): Promise<Importance> {
    this.endInterval();
    const names = this.variables(network)
      .map(({name}) => name)
      .filter((name) => this.taskScore.get(name));
    const omega = tf.tidy(() => {
      const fisher = toUnitRange(names.map((name) => this.fisher.get(name)!));
      const score = toUnitRange(names.map((name) => this.averagedScore(name)));
      return names.map((_, i) => tf.add(fisher[i], score[i]));
    });
    return new Map(names.map((name, i) => [name, omega[i]]));
  }

  override async afterTask(task: LearningTask): Promise<void> {
    await super.afterTask(task);
    for (const name of this.taskScore.all().keys()) this.score.update(name, () => this.averagedScore(name));
    this.taskScore.clear();
  }

  override async state(): Promise<MethodState> {
    const {tensors, json} = await super.state();
    const fisher = await storedTensors('fisher', this.fisher.all());
    const score = await storedTensors('score', this.score.all());
    const names = {fisher: [...this.fisher.all().keys()], score: [...this.score.all().keys()]};
    return {tensors: new Map([...tensors, ...fisher, ...score]), json: {...(json as object), ...names}};
  }

  override restore(state: MethodState): void {
    const {fisher: withFisher, score: withScore} = (state.json ?? {}) as {fisher?: string[]; score?: string[]};
    if (!withFisher || !withScore) throw missing(withFisher ? 'score' : 'fisher');
    const restored: [KeptTensors, Map<string, tf.Tensor>][] = [];
    try {
      restored.push([this.fisher, restoredTensors('fisher', withFisher, state)]);
      restored.push([this.score, restoredTensors('score', withScore, state)]);
      super.restore(state);
      this.clear();
      for (const [own, tensors] of restored) for (const [name, tensor] of tensors) own.update(name, () => tensor);
    } finally {
      tf.dispose(restored.flatMap(([, tensors]) => [...tensors.values()]));
    }
  }

  override dispose(): void {
    this.clear();
    super.dispose();
  }

  private observe(moves: readonly Move[]): void {
    this.path.add(moves);
    for (const {variable, gradient} of moves) {
      this.squares.update(variable.name, (sum) => (sum ? tf.add(sum, tf.square(gradient)) : tf.square(gradient)));
    }
    this.steps++;
    if (this.steps === this.interval) this.endInterval();
  }

  private endInterval(): void {
    const {alpha, epsilon, steps} = this;
    for (const {variable, integral, start} of this.path.all()) {
      const {name} = variable;
      const present = () => tf.div(this.squares.get(name)!, steps);
      const before = this.fisher.get(name);
      if (!before) this.fisher.update(name, present);
      this.taskScore.update(name, (sum) => {
        const distance = tf.mul(tf.mul(this.fisher.get(name)!, 0.5), tf.square(tf.sub(variable, start)));
        const gain = tf.relu(tf.div(integral, tf.add(distance, epsilon)));
        return sum ? tf.add(sum, gain) : gain;
      });
      if (before) this.fisher.update(name, (old) => tf.add(tf.mul(present(), alpha), tf.mul(old!, 1 - alpha)));
    }
    this.beginInterval();
  }

  private beginInterval(): void {
    this.path.clear();
    this.squares.clear();
    this.steps = 0;
  }

  /** The score after the present task. */
  private averagedScore(name: string): tf.Tensor {
    const [before, present] = [this.score.get(name), this.taskScore.get(name)!];
    return before ? tf.mul(tf.add(before, present), 0.5) : present;
  }

  private clear(): void {
    this.beginInterval();
    for (const tensors of [this.fisher, this.taskScore, this.score]) tensors.clear();
  }
}

/** (v - min) / (max - min), min and max over all tensors; 0 where all values are the same. Call it in a tidy. */
function toUnitRange(values: readonly tf.Tensor[]): tf.Tensor[] {
  const filled = values.filter(({size}) => size > 0);
  if (filled.length === 0) return [...values];
  const least = tf.min(tf.stack(filled.map((v) => tf.min(v))));
  const range = tf.sub(tf.max(tf.stack(filled.map((v) => tf.max(v)))), least);
  return values.map((v) => tf.divNoNan(tf.sub(v, least), range));
}
