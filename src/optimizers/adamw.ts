/** Adam with decoupled weight decay (Loshchilov and Hutter, ICLR 2019), which TensorFlow.js lacks. */
import * as tf from '@tensorflow/tfjs-core';
import {type NamedGradients, namedGradients} from './wrapping.js';

/**
 * theta <- (1 - learningRate * weightDecay) theta, then Adam's step on the task gradient: PyTorch's AdamW. It works by
 * itself, and as base of `mas.optimizer`, whose kernel makes the same step, bit for bit on the CPU engines where nothing
 * is held. The memory pulls after the decay: what is held firmly does not shrink.
 */
export class AdamW extends tf.AdamOptimizer {
  static override get className(): string {
    return 'EngramAdamW';
  }

  static override fromConfig<T extends tf.serialization.Serializable>(
    cls: tf.serialization.SerializableConstructor<T>,
    config: tf.serialization.ConfigDict,
  ): T {
    const {learningRate, weightDecay, beta1, beta2, epsilon} = config as Record<string, number>;
    return new (cls as unknown as typeof AdamW)(learningRate, weightDecay, beta1, beta2, epsilon) as unknown as T;
  }

  constructor(
    learningRate = 0.001,
    /** Share of a parameter that a step at learning rate 1 takes away. Read at every step. */
    public weightDecay = 0.01,
    beta1 = 0.9,
    beta2 = 0.999,
    epsilon?: number,
  ) {
    super(learningRate, beta1, beta2, epsilon);
  }

  /** One step on the gradients, as TensorFlow.js calls it. */
  override applyGradients(gradients: NamedGradients): void {
    for (const {name, tensor} of namedGradients(gradients)) {
      if (tensor == null) continue;
      const theta: tf.Variable = tf.engine().registeredVariables[name];
      tf.tidy(() => theta.assign(tf.mul(theta, 1 - this.learningRate * this.weightDecay)));
    }
    super.applyGradients(gradients as {name: string; tensor: tf.Tensor}[]);
  }

  /** Settings from which `fromConfig` makes the same optimizer. */
  override getConfig(): tf.serialization.ConfigDict {
    return {...super.getConfig(), weightDecay: this.weightDecay};
  }
}

tf.serialization.registerClass(
  AdamW as unknown as tf.serialization.SerializableConstructor<tf.serialization.Serializable>,
);
