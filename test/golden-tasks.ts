/** The network of golden/rivals.py with its heads, and tasks of the shape that methods see. */
import {readFileSync} from 'node:fs';
import * as tf from '@tensorflow/tfjs';
import seedrandom from 'seedrandom';
import type {Batch, LearningTask} from '../dist/methods/method.js';

export interface Plain {
  shape: number[];
  values: number[];
}
export type Weights = Record<string, Plain>;
/** A loss and its gradient by weight. */
export interface LossCase {
  value: number;
  gradient: Weights;
}

interface GoldenMethods {
  losses: {
    x: Plain;
    before: Weights;
    now: Weights;
    encoders: {kernel: Plain; bias: Plain}[];
    temperature: number;
    lambda: number;
    alpha: number;
    distillation: LossCase;
    code: LossCase;
  };
  autoencoder: {
    features: Plain;
    targets: Plain;
    head: Weights;
    reconstruction: number;
    weights: Weights;
    objective: LossCase;
  };
  moments: {
    shares: number[];
    merged: Record<string, Record<'mean' | 'mode' | 'mean with shares' | 'mode with shares', Plain>>;
    tasks: {weights: Weights; x: Plain; y: Plain; fisher: Weights}[];
  };
}

/** Everything that golden/rivals.py computed. */
export const golden: GoldenMethods = JSON.parse(readFileSync(new URL('./golden/rivals.json', import.meta.url), 'utf8'));

export const toTensor = ({shape, values}: Plain): tf.Tensor => tf.tensor(values, shape, 'float32');

/** One hidden layer of tanh units, `hidden`, and heads on it; weights by name are `NAME` and `NAME_bias`. */
export class HeadedNetwork {
  readonly features: tf.LayersModel;
  /** By head. */
  readonly models = new Map<string, tf.LayersModel>();
  private readonly layers = new Map<string, tf.layers.Layer>();

  /** @param heads number of outputs by name */
  constructor(inputs: number, units: number, heads: Record<string, number>, seed = 1) {
    const input = tf.input({shape: [inputs]});
    const dense = (name: string, units: number, place: number, activation?: 'tanh') => {
      const kernelInitializer = tf.initializers.glorotUniform({seed: seed * 100 + place});
      const layer = tf.layers.dense({units, kernelInitializer, ...(activation && {activation})});
      this.layers.set(name, layer);
      return layer;
    };
    const hidden = dense('hidden', units, 0, 'tanh').apply(input) as tf.SymbolicTensor;
    this.features = tf.model({inputs: input, outputs: hidden});
    for (const [place, [name, outputs]] of Object.entries(heads).entries()) {
      const output = dense(name, outputs, place + 1).apply(hidden) as tf.SymbolicTensor;
      this.models.set(name, tf.model({inputs: input, outputs: output}));
    }
  }

  model(head: string): tf.LayersModel {
    return this.models.get(head)!;
  }

  /** By name as in the golden file. */
  variable(name: string): tf.Variable {
    const layer = this.layers.get(name.replace('_bias', ''))!;
    return layer.trainableWeights[name.endsWith('_bias') ? 1 : 0].read() as tf.Variable;
  }

  get names(): string[] {
    return [...this.layers.keys()].flatMap((name) => [name, `${name}_bias`]);
  }

  set(weights: Weights): void {
    for (const [name, values] of Object.entries(weights)) {
      tf.tidy(() => this.variable(name).assign(toTensor(values)));
    }
  }

  dispose(): void {
    tf.dispose(this.names.map((name) => this.variable(name)));
  }
}

/** The samples of a task, on the host. */
export interface TaskData {
  x: Plain;
  y: Plain;
}

/** Drawn by seed: inputs of -1..1, and at each the class of which a random direction fits it best. */
export function drawnData(count: number, inputs: number, outputs: number, seed: number): TaskData {
  const random = seedrandom(String(seed));
  const draw = (size: number) => Array.from({length: size}, () => Math.fround(2 * random() - 1));
  const directions = Array.from({length: outputs}, () => draw(inputs));
  const samples = Array.from({length: count}, () => draw(inputs));
  const labels = samples.map((sample) => {
    const fits = directions.map((direction) => direction.reduce((sum, value, i) => sum + value * sample[i], 0));
    return fits.indexOf(Math.max(...fits));
  });
  return {
    x: {shape: [count, inputs], values: samples.flat()},
    y: {
      shape: [count, outputs],
      values: labels.flatMap((label) => Array.from({length: outputs}, (_, k) => Number(k === label))),
    },
  };
}

/** Rows of the data as a batch, which is the caller's to dispose. */
export function batchOf({x, y}: TaskData, rows: readonly number[]): Batch {
  const pick = ({shape: [, width], values}: Plain) =>
    tf.tensor2d(
      rows.flatMap((row) => values.slice(row * width, (row + 1) * width)),
      [rows.length, width],
    );
  return {x: pick(x), y: pick(y), rows: Uint32Array.from(rows)};
}

/** A task whose samples come `size` at a time. */
export function taskOf(
  network: HeadedNetwork,
  data: TaskData,
  settings: {index: number; head: string; earlier?: string[]; seed?: number; size?: number; signal?: AbortSignal},
): LearningTask {
  const {index, head, earlier = [], seed = 7, size = 4, signal} = settings;
  const [count] = data.x.shape;
  async function* samples(): AsyncGenerator<Batch> {
    for (let start = 0; start < count; start += size) {
      const batch = batchOf(
        data,
        Array.from({length: Math.min(size, count - start)}, (_, i) => start + i),
      );
      try {
        yield batch;
      } finally {
        tf.dispose([batch.x, batch.y]);
      }
    }
  }
  return {
    index,
    network: network.model(head),
    features: network.features,
    earlier: earlier.map((name) => network.model(name)),
    count,
    samples,
    async *unlabelled() {
      for await (const {x} of samples()) yield x;
    },
    seed,
    signal,
  };
}

/** The values of tensors that are made by `work`, whose other tensors are freed. */
export async function valuesOf(work: () => tf.Tensor[]): Promise<number[][]> {
  const tensors = tf.tidy(work);
  const values = await Promise.all(tensors.map(async (tensor) => [...(await tensor.data())]));
  tf.dispose(tensors);
  return values;
}

/** Values by name. */
export async function read(tensors: Iterable<readonly [string, tf.Tensor]>): Promise<Map<string, Float32Array>> {
  const values = new Map<string, Float32Array>();
  for (const [name, tensor] of tensors) values.set(name, ((await tensor.data()) as Float32Array).slice());
  return values;
}
