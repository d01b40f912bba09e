/** Training and test samples of a task as tensors, batch by batch, for the network that answers for them. */
import * as tf from '@tensorflow/tfjs-core';
import type {Batch} from '../methods/method.js';
import {inputsOf, labelsOf, type Samples} from '../scenarios/sequences.js';

/** Where a task's labels stand among the outputs of a network. */
export interface Targets {
  /** Output that stands for class 0 of the task. */
  readonly offset: number;
  readonly outputs: number;
}

/** Inputs `[B, height, width, channels]`; the caller disposes them. */
async function inputTensor({images, indices, ...how}: Samples, rows: ArrayLike<number>): Promise<tf.Tensor4D> {
  const chosen = Uint32Array.from(rows, (row) => indices[row]);
  const {height, width, channels} = images;
  const pixels = await inputsOf({images, indices: chosen, ...how});
  return tf.tensor4d(pixels, [chosen.length, height, width, channels]);
}

/** Shares of right answers, 0..1. */
export interface Accuracy {
  readonly all: number;
  /** By class of the task. */
  readonly classes: readonly number[];
}

/** Makes batches of a task's samples. Labels are looked up once. */
export class BatchMaker {
  private readonly labels: Int32Array;

  constructor(
    private readonly samples: Samples,
    private readonly classes: number,
  ) {
    this.labels = labelsOf(samples);
  }

  get count(): number {
    return this.labels.length;
  }

  /** The samples at `rows`; the caller disposes x and y. */
  async batch(rows: Uint32Array, {offset, outputs}: Targets): Promise<Batch> {
    const x = await inputTensor(this.samples, rows);
    const y = new Float32Array(rows.length * outputs);
    rows.forEach((row, i) => {
      y[i * outputs + offset + this.labels[row]] = 1;
    });
    return {x, y: tf.tensor2d(y, [rows.length, outputs]), rows};
  }

  /** All samples in order; a batch lives until the next one is asked for. */
  async *all(targets: Targets, batchSize = 256): AsyncGenerator<Batch> {
    for (const rows of slices(this.count, batchSize)) {
      const batch = await this.batch(rows, targets);
      try {
        yield batch;
      } finally {
        tf.dispose([batch.x, batch.y]);
      }
    }
  }

  /** Accuracy of a network on each class of the task, 0..1, and on all samples. */
  async accuracy(network: {predictOnBatch(x: tf.Tensor): tf.Tensor | tf.Tensor[]}, offset: number): Promise<Accuracy> {
    const right = new Array<number>(this.classes).fill(0);
    const count = new Array<number>(this.classes).fill(0);
    for (const rows of slices(this.count, 1024)) {
      const x = await inputTensor(this.samples, rows);
      const answers = tf.tidy(() => tf.argMax(network.predictOnBatch(x) as tf.Tensor, 1));
      const given = await answers.data().finally(() => tf.dispose([x, answers]));
      rows.forEach((row, i) => {
        const label = this.labels[row];
        count[label]++;
        if (given[i] === offset + label) right[label]++;
      });
    }
    const share = (part: number, whole: number) => (whole === 0 ? 0 : part / whole);
    return {
      all: share(
        right.reduce((sum, n) => sum + n, 0),
        this.count,
      ),
      classes: right.map((n, label) => share(n, count[label])),
    };
  }
}

/** The samples of some of a task's classes. */
export function ofClasses(samples: Samples, classes: readonly number[]): Samples {
  const labels = labelsOf(samples);
  return {...samples, indices: samples.indices.filter((_, row) => classes.includes(labels[row]))};
}

/** Inputs of several sets of samples one after the other, without labels; a batch lives until the next is asked for. */
export async function* unlabelled(sets: readonly Samples[], batchSize = 256): AsyncGenerator<tf.Tensor> {
  for (const samples of sets) {
    for (const rows of slices(samples.indices.length, batchSize)) {
      const x = await inputTensor(samples, rows);
      try {
        yield x;
      } finally {
        x.dispose();
      }
    }
  }
}

/** 0, 1, 2, ... in pieces of at most `size`. */
function* slices(count: number, size: number): Generator<Uint32Array> {
  for (let start = 0; start < count; start += size) {
    yield Uint32Array.from({length: Math.min(size, count - start)}, (_, i) => start + i);
  }
}
