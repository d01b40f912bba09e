/** Optimizers that hold parameters in proportion to their importance: what the two ways of doing it share. */
import * as tf from '@tensorflow/tfjs-core';
import {EngramError} from '../errors.js';
import type {Memory} from '../memory/memory.js';
import {type NamedGradient, type NamedGradients, namedGradients, WrappingOptimizer} from './wrapping.js';

/** How the penalty enters a step. */
export interface PenaltyOptions {
  /** Strength of the penalty lambda * sum Omega (theta - theta*)^2. Read at every step. */
  lambda: number;
  /**
   * `proximal` (default) neither overshoots nor diverges for any lambda; `explicit` adds the penalty's gradient, as
   * other implementations do, and diverges once lr * 2 * lambda * Omega > 2. Both have the same minimiser.
   */
  step?: 'proximal' | 'explicit';
}

/** State of an optimizer under the name that tfjs gives it. */
export interface NamedTensor {
  name: string;
  tensor: tf.Tensor;
}

/** A tfjs optimizer in words: its registered class and its own settings. */
interface OptimizerDescription {
  className: string;
  config: tf.serialization.ConfigDict;
}
/** What `getConfig()` gives and `fromConfig` takes. */
export interface PenalizedConfig extends PenaltyOptions {
  base: OptimizerDescription;
}

/**
 * An optimizer around another: the base gives the rule and its settings, the memory what must be held.
 *
 * It keeps the contract of tfjs optimizers: `model.save(url, {includeOptimizer: true})` stores it, and
 * `tf.loadLayersModel` brings it back, without the memory: `mas.optimizer(model.optimizer)` gives it that again.
 */
export abstract class PenalizedOptimizer extends WrappingOptimizer {
  private exported: tf.Tensor[] = [];
  protected disposed = false;

  /** @param memory null for an optimizer read from a file, which refuses to step until {@link hold} is called */
  constructor(
    base: tf.Optimizer,
    private memory: Memory | null,
    protected options: Readonly<PenaltyOptions>,
  ) {
    super(base);
  }

  /** True for an optimizer read from a file that no memory was given to yet. */
  get detached(): boolean {
    return this.memory === null;
  }

  /** Gives a detached optimizer the memory to hold. */
  hold(memory: Memory, options: Readonly<PenaltyOptions>): void {
    this.memory = memory;
    this.options = options;
  }

  /** @throws EngramError UNKNOWN_VARIABLE, SHAPE, DTYPE; ARGUMENT if it is detached; no variable is changed then */
  override applyGradients(gradients: NamedGradients): void {
    const {memory} = this;
    if (!memory) {
      throw new EngramError('ARGUMENT', {
        expected: 'an optimizer with a memory to hold',
        received: 'one that was read from a file',
        remedy: 'Load the memory, then call mas.optimizer(model.optimizer) before training goes on.',
      });
    }
    const named = namedGradients(gradients);
    for (const {name, tensor} of named) if (tensor) checkGradient(name, tensor);
    this.applyChecked(named, memory);
    this.incrementIterations();
  }

  /** `null` stands for variables that the loss did not reach: they keep their place in the list. */
  protected abstract applyChecked(gradients: readonly NamedGradient[], memory: Memory): void;

  /**
   * Begins anew: momentum and moments are zero and `iterations` is 0, as if just made. The base keeps its settings.
   */
  abstract reset(): void;

  getConfig(): PenalizedConfig & tf.serialization.ConfigDict {
    const {base, options} = this;
    return {
      base: {className: base.getClassName(), config: base.getConfig()},
      lambda: options.lambda,
      step: options.step ?? 'proximal',
    } as unknown as PenalizedConfig & tf.serialization.ConfigDict;
  }

  /** Frees state and base; a second call does nothing. */
  override dispose(): void {
    if (this.disposed) return;
    this.disposed = true;
    tf.dispose(this.exported);
    this.base.dispose();
  }

  /** Keeps account of tensors handed out by getWeights(): tfjs' own `model.save` does not dispose them. */
  protected handOut(created: tf.Tensor[]): void {
    tf.dispose(this.exported);
    this.exported = created;
  }
}

/** The base that a config describes; any optimizer that is registered with tfjs. */
export function baseOf({base}: PenalizedConfig): tf.Optimizer {
  const known = tf.serialization.SerializationMap.getMap().classNameMap[base?.className];
  if (!known) {
    throw new EngramError('ARGUMENT', {
      expected: 'the config of an optimizer whose class is registered with tf.serialization.registerClass',
      received: String(base?.className),
      remedy: 'Register the class of the base before the model is loaded.',
    });
  }
  const [cls, fromConfig] = known;
  return fromConfig(cls, base.config) as tf.Optimizer;
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
