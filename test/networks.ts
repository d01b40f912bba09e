/** The definition of importance, a loop over samples with tfjs' own gradients, and the variables of a model. */
import * as tf from '@tensorflow/tfjs';

/** Mean over samples of |d ||F(x)||^2 / d theta| by one tf.variableGrads a sample: the definition, by variable name. */
export async function batchOfOne(
  forward: (x: tf.Tensor) => tf.Tensor,
  variables: tf.Variable[],
  samples: tf.Tensor,
): Promise<Map<string, Float64Array>> {
  const total = new Map(variables.map((variable) => [variable.name, new Float64Array(variable.size)]));
  const count = samples.shape[0];
  for (let b = 0; b < count; b++) {
    const {grads, value} = tf.tidy(() => {
      const x = tf.slice(samples, [b], [1]);
      return tf.variableGrads(() => tf.sum(tf.square(forward(x))) as tf.Scalar, variables);
    });
    for (const [name, gradient] of Object.entries(grads)) {
      const sum = total.get(name)!;
      for (const [i, g] of (await gradient.data()).entries()) sum[i] += Math.abs(g) / count;
      gradient.dispose();
    }
    value.dispose();
  }
  return total;
}

/** The trainable variables of a tf.layers model. */
export const variablesOf = (model: tf.LayersModel): tf.Variable[] =>
  model.trainableWeights.map((weight) => weight.read() as tf.Variable);
