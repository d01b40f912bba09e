/** Sums of importance over several passes. */
import * as tf from '@tensorflow/tfjs-core';

/** Adds `part` to `total`, which takes its tensors over; those of `part` are freed. */
export function addImportance(total: Map<string, tf.Tensor>, part: ReadonlyMap<string, tf.Tensor>): void {
  for (const [name, tensor] of part) {
    const sum = total.get(name);
    total.set(name, sum ? tf.add(sum, tensor) : tensor.clone());
    tf.dispose([tensor, sum].filter((old) => old !== undefined));
  }
}
