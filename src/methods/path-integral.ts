/** The path integral of a task's loss along the steps of an optimizer, and the optimizer that lets it be summed. */
import * as tf from '@tensorflow/tfjs-core';
import {type NamedGradient, type NamedTensor, variableOf} from '../optimizers/penalized.js';
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
 * An optimizer that steps as the one inside does and tells what every step did. The gradients that it is given are the
 * task's alone; the penalty is added inside. A model saved with it holds the optimizer inside.
 */
export class PathIntegralOptimizer extends tf.Optimizer {
  /**
   * @param inner what `PenaltyMethod.optimizer(base)` made; disposed with this one
   * @param observe called after every step with the variables that had a gradient; it keeps clones of what it needs
   */
  constructor(
    readonly inner: tf.Optimizer,
    private readonly observe: (moves: readonly Move[]) => void,
  ) {
    super();
  }

  /** @throws what the optimizer inside throws, and nothing is observed then */
  override applyGradients(gradients: tf.NamedTensorMap | {name: string; tensor: tf.Tensor}[]): void {
    const named: NamedGradient[] = Array.isArray(gradients)
      ? gradients
      : Object.entries(gradients).map(([name, tensor]) => ({name, tensor}));
    const moves: Move[] = [];
    for (const {name, tensor: gradient} of named) {
      const variable = variableOf(name);
      // A clone shares the memory of the variable, which a step then does not write over.
      if (gradient && variable) moves.push({variable, gradient, before: tf.clone(variable)});
    }
    try {
      this.inner.applyGradients(gradients);
      this.observe(moves);
    } finally {
      tf.dispose(moves.map(({before}) => before));
    }
  }

  /** The steps of the optimizer inside. */
  override get iterations(): number {
    return this.inner.iterations;
  }

  /** That of the optimizer inside, read at every step. */
  get learningRate(): number {
    return (this.inner as unknown as {learningRate: number}).learningRate;
  }
  /** Sets that of the optimizer inside. */
  set learningRate(learningRate: number) {
    this.setLearningRate(learningRate);
  }

  /** As assigning `learningRate`: what the callbacks of TensorFlow.js call. */
  setLearningRate(learningRate: number): void {
    const inner = this.inner as unknown as {learningRate: number; setLearningRate?(rate: number): void};
    if (typeof inner.setLearningRate === 'function') inner.setLearningRate(learningRate);
    else inner.learningRate = learningRate;
  }

  override getClassName(): string {
    return this.inner.getClassName();
  }

  getConfig(): tf.serialization.ConfigDict {
    return this.inner.getConfig();
  }

  override getWeights(): Promise<NamedTensor[]> {
    return this.inner.getWeights();
  }

  override setWeights(weights: NamedTensor[]): Promise<void> {
    return this.inner.setWeights(weights);
  }

  /** Frees the optimizer inside. What was observed is the observer's. */
  override dispose(): void {
    this.inner.dispose();
  }
}
