/** What a network says of every training sample of a task before the task is learned. */
import * as tf from '@tensorflow/tfjs-core';
import {EngramError} from '../errors.js';
import type {Batch, LearningTask} from './method.js';

/** Answers `[samples, width]`, looked up by row. They stay where the network computes, at 4 bytes a number. */
export class Recording {
  private constructor(private readonly answers: readonly tf.Tensor[]) {}

  /**
   * Asks about all training samples, in one pass over them. The answers so far are held twice for a moment at its end.
   *
   * @param ask one tensor `[B, width]` or more; called in a tidy
   * @throws EngramError ARGUMENT if there is none, or another number of samples than the task says; the signal's reason
   */
  static async take(task: LearningTask, ask: (batch: Batch) => tf.Tensor[]): Promise<Recording> {
    const parts: tf.Tensor[][] = [];
    let samples = 0;
    try {
      for await (const batch of task.samples()) {
        task.signal?.throwIfAborted();
        // Clones, for an answer may be a tensor of the batch.
        parts.push(tf.tidy(() => ask(batch).map((answer) => tf.clone(answer))));
        samples += batch.rows.length;
      }
      if (samples === 0 || samples !== task.count) throw otherCount(task.count, samples);
      return new Recording(tf.tidy(() => parts[0].map((_, i) => tf.concat(parts.map((part) => part[i])))));
    } finally {
      tf.dispose(parts);
    }
  }

  /** The answers about some of the samples, `[rows, width]` each; tensors of the current scope. */
  at(rows: Uint32Array): tf.Tensor[] {
    const index = tf.tensor1d(Int32Array.from(rows), 'int32');
    const found = this.answers.map((answer) => tf.gather(answer, index));
    index.dispose();
    return found;
  }

  /** The answers about all samples in order, `[count, width]` each; they belong to the recording. */
  get all(): readonly tf.Tensor[] {
    return this.answers;
  }

  dispose(): void {
    tf.dispose([...this.answers]);
  }
}

/** A loss that needs a recording was asked for before one was made. */
export function notRecorded(): EngramError {
  return new EngramError('ARGUMENT', {
    expected: 'beforeTask() to have recorded what the network says of this task',
    received: 'a batch of a task that it did not see',
    remedy: 'Call await method.beforeTask(task) before the first step of every task.',
  });
}

function otherCount(expected: number, received: number): EngramError {
  return new EngramError('ARGUMENT', {
    expected: `the ${expected} training samples of the task, at least one`,
    received: `${received} samples`,
    remedy: 'task.samples() must give every training sample once, in order, and task.count their number.',
  });
}
