/** The path integral of a task's loss along the steps of an optimizer, and the optimizer that lets it be summed. */
import * as tf from '@tensorflow/tfjs-core';
import {type NamedTensor, variableOf} from '../optimizers/penalized.js';
import {type NamedGradients, namedGradients, WrappingOptimizer} from '../optimizers/wrapping.js';
import {KeptTensors} from './kept-tensors.js';

/** What one step did to one variable, which has its new values by now. */
export interface Move {
  readonly variable: tf.Variable;
  /** Gradient of the task's loss alone, at {@link before}. */
  readonly gradient: tf.Tensor;
  /** The values before the step. */
  readonly before: tf.Tensor;
}

/** The path of one variable since a sum began. */
export interface Path {
  readonly variable: tf.Variable;
  /** w = -sum over steps of g * (theta_after - theta_before): by how much the variable's own moves lowered the loss. */
  readonly integral: tf.Tensor;
  /** The values before the first step. */
  readonly start: tf.Tensor;
}

/**
 * Path integrals by variable (Zenke, Poole and Ganguli, ICML 2017, equation 3; Chaudhry et al., ECCV 2018, section 4.2).
 * Variables that no step moved have none.
 */
export class PathIntegral {
  private readonly variables = new Map<string, tf.Variable>();
  private readonly integrals = new KeptTensors();
  private readonly starts = new KeptTensors();

  /** Adds one step. */
  add(moves: readonly Move[]): void {
    for (const {variable, gradient, before} of moves) {
      const {name} = variable;
      if (!this.variables.has(name)) this.starts.update(name, () => before);
      this.variables.set(name, variable);
      this.integrals.update(name, (w) => {
        const gain = tf.mul(gradient, tf.sub(before, variable));
        return w ? tf.add(w, gain) : gain;
      });
    }
  }

  /** The paths so far, whose tensors live until the next step or {@link clear}. */
  all(): Path[] {
    return [...this.variables].map(([name, variable]) => ({
      variable,
      integral: this.integrals.get(name)!,
      start: this.starts.get(name)!,
    }));
  }

  /** Begins anew and frees everything. */
  clear(): void {
    this.variables.clear();
    this.integrals.clear();
    this.starts.clear();
  }
}

/**
 * An optimizer that steps as its base does and tells what every step did. The gradients that it is given are the
 * task's alone; the penalty is added inside. A model saved with it holds the base.
 */
export class PathIntegralOptimizer extends WrappingOptimizer {
  /**
   * @param base what `PenaltyMethod.optimizer(base)` made; disposed with this one
   * @param observe called after every step with the variables that had a gradient; it keeps clones of what it needs
   */
  constructor(
    base: tf.Optimizer,
    private readonly observe: (moves: readonly Move[]) => void,
  ) {
    super(base);
  }

  /** @throws what the base throws, and nothing is observed then */
  override applyGradients(gradients: NamedGradients): void {
    const moves: Move[] = [];
    for (const {name, tensor: gradient} of namedGradients(gradients)) {
      const variable = variableOf(name);
      // A clone shares the memory of the variable, which a step then does not write over.
      if (gradient && variable) moves.push({variable, gradient, before: tf.clone(variable)});
    }
    try {
      this.base.applyGradients(gradients);
      this.observe(moves);
    } finally {
      tf.dispose(moves.map(({before}) => before));
    }
  }

  /** The steps of the base. */
  override get iterations(): number {
    return this.base.iterations;
  }

  override getClassName(): string {
    return this.base.getClassName();
  }

  getConfig(): tf.serialization.ConfigDict {
    return this.base.getConfig();
  }

  override getWeights(): Promise<NamedTensor[]> {
    return this.base.getWeights();
  }

  override setWeights(weights: NamedTensor[]): Promise<void> {
    return this.base.setWeights(weights);
  }

  /** Frees the base. What was observed is the observer's. */
  override dispose(): void {
    this.base.dispose();
  }
}
