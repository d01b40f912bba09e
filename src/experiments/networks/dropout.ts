/** Dropout whose masks repeat with the seed of a run, and differ from step to step. */
import * as tf from '@tensorflow/tfjs-core';
import * as layers from '@tensorflow/tfjs-layers';

/**
 * Sets a share of the inputs to 0 while a network is trained and scales the others by 1 / (1 - rate), as Srivastava et
 * al. (2014) and all frameworks do; in inference it does nothing.
 *
 * The layer of TensorFlow.js draws the same mask in every step if it is given a seed, and masks that no run can repeat
 * if it is not. Here the n-th call in training of a task has the n-th mask of seed and task, so that a run which was interrupted
 * between two tasks goes on with the masks that it would have had.
 */
export class SeededDropout extends layers.layers.Layer {
  static readonly className = 'SeededDropout';
  private task = 0;
  private calls = 0;

  /** @param rate share of the inputs that are dropped, 0 to less than 1 */
  constructor(
    name: string,
    private readonly rate: number,
    private readonly seed: string,
  ) {
    super({name});
  }

  /** Begins a task, which has masks of its own. */
  beginTask(index: number): void {
    this.task = index;
    this.calls = 0;
  }

  override call(inputs: tf.Tensor | tf.Tensor[], {training}: {training?: boolean}): tf.Tensor {
    const input = Array.isArray(inputs) ? inputs[0] : inputs;
    if (!training) return tf.clone(input);
    return tf.dropout(input, this.rate, undefined, `${this.seed}/${this.task}/${this.calls++}`);
  }

  override computeOutputShape(shape: layers.Shape | layers.Shape[]): layers.Shape | layers.Shape[] {
    return shape;
  }
}
