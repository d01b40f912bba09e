/** Synaptic Intelligence: importance is what each parameter's own moves contributed to learning a task. */
import * as tf from '@tensorflow/tfjs-core';
import {checkPositive} from './checks.js';
import type {LearningTask} from './method.js';
import {PathIntegral, PathIntegralOptimizer} from './path-integral.js';
import {type Importance, PenaltyMethod, type PenaltyMethodOptions} from './penalty-method.js';

/** Strength (the paper's c is `lambda`) and damping. */
export interface SynapticIntelligenceOptions extends PenaltyMethodOptions {
  /** Damping xi, in squared units of the parameters, which bounds the importance of what hardly moved. Default 0.1. */
  xi?: number;
}

/**
 * Omega = sum over tasks of max(0, w) / ((theta_end - theta_start)^2 + xi), w = -sum over steps of g (theta_after -
 * theta_before), g the gradient of the task's loss on the step's batch (Zenke, Poole and Ganguli, ICML 2017, equations 3
 * to 5). Needs no data after training. The paper does not say what becomes of a negative w, a move that raised the loss;
 * it counts as 0 here, since a negative importance would drive a parameter away from its anchor.
 */
export class SynapticIntelligence extends PenaltyMethod {
  private readonly path = new PathIntegral();
  private readonly xi: number;

  /** @throws EngramError ARGUMENT */
  constructor(options: SynapticIntelligenceOptions) {
    super(options);
    const {xi = 0.1} = options;
    checkPositive('xi', xi);
    this.xi = xi;
  }

  override optimizer(base: tf.Optimizer): tf.Optimizer {
    return new PathIntegralOptimizer(super.optimizer(base), (moves) => this.path.add(moves));
  }

  /** The path of each variable starts where its first step of the task does. */
  async beforeTask(): Promise<void> {
    this.path.clear();
  }

  protected async importance(_task: LearningTask): Promise<Importance> {
    const omega = ({variable, integral, start}: ReturnType<PathIntegral['all']>[number]) =>
      tf.tidy(() => tf.div(tf.relu(integral), tf.add(tf.square(tf.sub(variable, start)), this.xi)));
    return new Map(this.path.all().map((path) => [path.variable.name, omega(path)]));
  }

  override async afterTask(task: LearningTask): Promise<void> {
    await super.afterTask(task);
    this.path.clear();
  }

  override dispose(): void {
    this.path.clear();
    super.dispose();
  }
}
