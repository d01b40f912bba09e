/** Any tfjs optimizer: the penalty's gradient is added to the task's before the base makes its own update. */
import * as tf from '@tensorflow/tfjs-core';
import {PenalizedOptimizer, variableOf} from './penalized.js';
import {penaltyGradient} from './penalty.js';

/** Always an explicit step: how the base scales a gradient is not known, so there is no proximal form. */
export class AdditiveOptimizer extends PenalizedOptimizer {
  protected applyChecked(gradients: {name: string; tensor: tf.Tensor}[]): void {
    tf.tidy(() => {
      const {lambda} = this.options;
      this.base.applyGradients(
        gradients.map(({name, tensor}) => {
          const held = lambda === 0 ? undefined : this.memory.get(name);
          return held
            ? {name, tensor: tf.add(tensor, penaltyGradient(variableOf(name), held, lambda))}
            : {name, tensor};
        }),
      );
    });
  }
}
