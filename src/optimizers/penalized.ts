/** Optimizers that hold parameters in proportion to their importance: the shared part and the choice between two ways. */
import * as tf from '@tensorflow/tfjs-core';
import {EngramError} from '../errors.js';
import type {Memory} from '../memory/memory.js';

export interface PenaltyOptions {
  /** Strength of the penalty lambda * sum Omega (theta - theta*)^2. Read at every step. */
  lambda: number;
  /**
   * `proximal` (default) neither overshoots nor diverges for any lambda; `explicit` adds the penalty's gradient, as
   * other implementations do, and diverges once lr * 2 * lambda * Omega > 2. Both have the same minimiser.
   */
  step?: 'proximal' | 'explicit';
}

export interface NamedGradient {
  name: string;
  tensor: tf.Tensor | null;
}

/** An optimizer around another: the base gives the rule and its settings, the memory what must be held. */
export abstract class PenalizedOptimizer extends tf.Optimizer {
  static get className(): string {
    return 'Penalized';
  }

  constructor(
    readonly base: tf.Optimizer,
    protected readonly memory: Memory,
    protected readonly options: Readonly<PenaltyOptions>,
  ) {
    super();
  }

  override applyGradients(gradients: tf.NamedTensorMap | {name: string; tensor: tf.Tensor}[]): void {
    const named: NamedGradient[] = Array.isArray(gradients)
      ? gradients
      : Object.entries(gradients).map(([name, tensor]) => ({name, tensor}));
    const present = named.filter(({tensor}) => tensor != null) as {name: string; tensor: tf.Tensor}[];
    for (const {name, tensor} of present) checkGradient(name, tensor);
    this.applyChecked(present);
    this.incrementIterations();
  }

  protected abstract applyChecked(gradients: {name: string; tensor: tf.Tensor}[]): void;

  getConfig(): ReturnType<tf.Optimizer['getConfig']> {
    return {...this.base.getConfig(), lambda: this.options.lambda, step: this.options.step ?? 'proximal'};
  }

  override dispose(): void {
    this.base.dispose();
  }
}

/** The variable that a gradient belongs to, found as tfjs' own optimizers find it. */
export function variableOf(name: string): tf.Variable {
  return tf.engine().registeredVariables[name];
}

function checkGradient(name: string, gradient: tf.Tensor): void {
  const variable = variableOf(name);
  if (!variable) {
    throw new EngramError('UNKNOWN_VARIABLE', {
      expected: 'gradients of registered variables',
      received: `one of "${name}"`,
      remedy: 'Compute gradients with optimizer.computeGradients or tf.variableGrads.',
    });
  }
  if (!tf.util.arraysEqual(variable.shape, gradient.shape)) {
    throw new EngramError('SHAPE', {
      expected: `a gradient of shape [${variable.shape.join(', ')}] for "${name}"`,
      received: `[${gradient.shape.join(', ')}]`,
      remedy: 'A gradient has the shape of its variable.',
    });
  }
  if (gradient.dtype !== 'float32' || variable.dtype !== 'float32') {
    throw new EngramError('DTYPE', {
      expected: `variable and gradient "${name}" to be float32`,
      received: `${variable.dtype} and ${gradient.dtype}`,
      remedy: 'Only float32 variables can be trained.',
    });
  }
}
