/** Tensors by variable name that outlive every tidy: what a method carries from step to step and from task to task. */
import * as tf from '@tensorflow/tfjs-core';

/** Owns its tensors: what is replaced or cleared is freed. */
export class KeptTensors {
  private readonly tensors = new Map<string, tf.Tensor>();

  get(name: string): tf.Tensor | undefined {
    return this.tensors.get(name);
  }

  /** Those that are held now; they live until they are replaced. */
  all(): ReadonlyMap<string, tf.Tensor> {
    return this.tensors;
  }

  /** Puts what `next` makes of the present tensor, if there is one, in its place. */
  update(name: string, next: (present: tf.Tensor | undefined) => tf.Tensor): void {
    const present = this.tensors.get(name);
    // A clone, for `next` may give a tensor that is somebody else's.
    this.tensors.set(name, tf.keep(tf.tidy(() => tf.clone(next(present)))));
    present?.dispose();
  }

  /** Frees all. */
  clear(): void {
    tf.dispose([...this.tensors.values()]);
    this.tensors.clear();
  }
}
