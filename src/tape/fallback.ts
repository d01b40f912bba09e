/**
 * The definition, used where the tape has no rule: one sample at a time, tfjs' own gradient of sum(F · S) with the seed
 * S = dS/dF(F) held constant. Exact for every network that TensorFlow.js can differentiate, at the price of B passes.
 */
import * as tf from '@tensorflow/tfjs-core';
import {type Seed, seedOf} from './seed.js';
import {contained, disposeAll, keepClone} from './tfjs.js';

/** Longest time, in milliseconds, for which the loop keeps the event loop waiting (or one sample, if that is longer). */
const slice = 50;

/**
 * @param forward F of sample b, on the active tape
 * @param visit called for every sample and variable that the sample's outputs depend on; owns nothing: clone to keep
 * @throws the signal's reason; whatever the network throws
 */
export async function eachSample(
  samples: number,
  forward: (b: number) => tf.Tensor[],
  seed: Seed,
  variables: readonly tf.Variable[],
  visit: (name: string, gradient: tf.Tensor) => void,
  signal?: AbortSignal,
): Promise<void> {
  let resumed = performance.now();
  for (let b = 0; b < samples; b++) {
    signal?.throwIfAborted();
    const gradients = sampleGradients(() => forward(b), seed, variables);
    try {
      variables.forEach(({name}, i) => {
        const gradient = gradients[i];
        if (gradient) visit(name, gradient);
      });
    } finally {
      disposeAll(gradients.filter((gradient) => gradient !== null));
    }
    if (performance.now() - resumed > slice) {
      await new Promise((resolve) => setTimeout(resolve, 0));
      resumed = performance.now();
    }
  }
}

/** dS/dvariable of one sample; null where the outputs do not depend on the variable. The caller disposes them. */
export function sampleGradients(
  forward: () => tf.Tensor[],
  seed: Seed,
  variables: readonly tf.Variable[],
): (tf.Tensor | null)[] {
  const weighted = tf.customGrad((outputs, save) => {
    const F = outputs as tf.Tensor;
    const S = seedOf(seed, F);
    (save as (tensors: tf.Tensor[]) => void)([S]);
    return {value: tf.sum(tf.mul(F, S)), gradFunc: (dy, saved) => tf.mul(dy, (saved as tf.Tensor[])[0])};
  });
  const loss = () => tf.addN(forward().map((F) => weighted(F)));
  return contained(() => {
    // What tf.variableGrads calls, without its objection to samples that reach none of the variables.
    const {grads} = tf.engine().gradients(loss, [...variables], undefined, true);
    return grads.map((gradient) => (gradient ? keepClone(gradient) : null));
  });
}
