/** Any tfjs optimizer: the penalty's gradient is added to the task's before the base makes its own update. */
import * as tf from '@tensorflow/tfjs-core';
import type {Memory} from '../memory/memory.js';
import {baseOf, type NamedTensor, type PenalizedConfig, PenalizedOptimizer, variableOf} from './penalized.js';
import {penaltyGradient} from './penalty.js';
import type {NamedGradient} from './wrapping.js';

/** Always an explicit step: how the base scales a gradient is not known, so there is no proximal form. */
export class AdditiveOptimizer extends PenalizedOptimizer {
  static get className(): string {
    return 'EngramAdditive';
  }

  static override fromConfig<T extends tf.serialization.Serializable>(
    cls: tf.serialization.SerializableConstructor<T>,
    config: tf.serialization.ConfigDict,
  ): T {
    const {base, lambda} = config as unknown as PenalizedConfig;
    return new (cls as unknown as typeof AdditiveOptimizer)(baseOf({base, lambda}), null, {
      lambda,
      step: 'explicit',
    }) as unknown as T;
  }

  /** The base's own count. */
  override get iterations(): number {
    return this.base.iterations;
  }

  protected applyChecked(gradients: readonly NamedGradient[], memory: Memory): void {
    const {lambda} = this.options;
    tf.tidy(() => {
      const pulled = gradients.map(({name, tensor}) => {
        const held = lambda === 0 || !tensor ? undefined : memory.get(name);
        return {name, tensor: held ? tf.add(tensor!, penaltyGradient(variableOf(name), held, lambda)) : tensor};
      });
      // tfjs' optimizers find their state by position and skip null themselves, so nothing is left out here.
      this.base.applyGradients(pulled as NamedTensor[]);
    });
  }

  /** The base's iterations and state. @throws the base's error where tfjs cannot tell the state (Adamax) */
  override async getWeights(): Promise<NamedTensor[]> {
    const [iterations, ...state] = await this.base.getWeights();
    this.handOut([iterations.tensor]);
    return [iterations, ...state];
  }

  override async setWeights(weights: NamedTensor[]): Promise<void> {
    await this.base.setWeights(weights);
  }

  /**
   * Gives the base the fields of a fresh one. A class that is not registered with tfjs, whose settings cannot be known
   * to come back, keeps its state.
   */
  reset(): void {
    const {base} = this;
    if (this.disposed) return;
    const [cls, fromConfig] = tf.serialization.SerializationMap.getMap().classNameMap[base.getClassName()] ?? [];
    if (cls !== base.constructor) return;
    const fresh = fromConfig(cls, base.getConfig());
    base.dispose();
    Object.assign(base, fresh, {iterations_: 0});
  }
}

tf.serialization.registerClass(
  AdditiveOptimizer as unknown as tf.serialization.SerializableConstructor<tf.serialization.Serializable>,
);
