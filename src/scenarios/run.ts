/** Learns a sequence of tasks with one network and one method, and tests every task after every task. */
import * as tf from '@tensorflow/tfjs-core';
import * as layers from '@tensorflow/tfjs-layers';
import {EngramError} from '../errors.js';
import type {AccuracyMatrix} from './metrics.js';
import {inputsOf, labelsOf, type Samples, shuffledRange, type Task, type TaskSequence} from './sequences.js';

/** The multilayer perceptron and how it is trained: SGD with momentum on the softmax cross entropy. */
export interface LearningSettings {
  /** Units of the hidden layers, ReLU. */
  readonly hidden: readonly number[];
  /** Step per unit of gradient. */
  readonly learningRate: number;
  readonly momentum: number;
  /** Samples per step. */
  readonly batchSize: number;
  /** Passes over a task's training images. */
  readonly epochs: number;
}

/** A network as a method sees it. In a task-incremental sequence its outputs are those of the task being learned. */
export type LearningNetwork =
  | layers.LayersModel
  | {forward: (x: tf.Tensor) => tf.Tensor; variables: readonly tf.Variable[]};

/** A way to learn task after task: what it does to the optimizer, and what it does between tasks. */
export interface Method {
  /** Called once per task with a fresh optimizer; returns the one to train with. */
  optimizer(base: tf.Optimizer): tf.Optimizer;
  /** Called after each task with its training inputs `[count, inputs]`. */
  afterTask?(inputs: tf.Tensor2D, signal: AbortSignal | undefined): Promise<void>;
}

/** Plain fine-tuning: nothing is held. */
export const fineTuning: Method = {optimizer: (base) => base};

export interface SequenceProgress {
  /** Task being learned, counted from 0. */
  readonly task: number;
  /** Steps done in this task, and how many there are. */
  readonly step: number;
  readonly steps: number;
  /** After the task: accuracy (0..1) on every task. */
  readonly accuracy?: readonly number[];
}

export interface SequenceOptions {
  /** Decides the initial weights and the order of the training images. */
  readonly seed: number;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: (progress: SequenceProgress) => void;
}

export interface SequenceResult {
  readonly accuracy: AccuracyMatrix;
  /** Wall time of training, consolidation and testing. */
  readonly seconds: number;
}

/**
 * The network of a sequence: dense ReLU layers `hidden1`, `hidden2`, ... and a linear `head`, whose outputs are logits.
 * Weights are drawn as He et al. (2015, hidden layers) and Glorot and Bengio (2010, head) say, from `seed`.
 */
function makeNetwork(sequence: TaskSequence, hidden: readonly number[], seed: number): layers.LayersModel {
  const network = layers.sequential({name: 'mlp'});
  let inputs = sequence.height * sequence.width;
  hidden.forEach((units, i) => {
    const kernelInitializer = layers.initializers.heUniform({seed: seed * 100 + i});
    const name = `hidden${i + 1}`;
    network.add(layers.layers.dense({name, units, activation: 'relu', inputShape: [inputs], kernelInitializer}));
    inputs = units;
  });
  const kernelInitializer = layers.initializers.glorotUniform({seed: seed * 100 + hidden.length});
  network.add(layers.layers.dense({name: 'head', units: sequence.outputs, inputShape: [inputs], kernelInitializer}));
  return network;
}

/**
 * Learns the tasks of `sequence` in order. The same seed gives the same initial weights and the same batches to every
 * method, and the same result on the same backend. The event loop is yielded to after every step.
 *
 * @param makeMethod gets the network before it is trained
 * @returns the accuracy matrix; the network is disposed, the method is the caller's
 * @throws EngramError NON_FINITE if the loss is no longer a number; or the signal's reason. No tensor is leaked.
 */
export async function learnSequence(
  sequence: TaskSequence,
  makeMethod: (network: LearningNetwork) => Method,
  settings: LearningSettings,
  options: SequenceOptions,
): Promise<SequenceResult> {
  const began = performance.now();
  const model = makeNetwork(sequence, settings.hidden, options.seed);
  const variables = model.trainableWeights.map((weight) => weight.read() as tf.Variable);
  let current = sequence.tasks[0];
  const forward = (x: tf.Tensor) => tf.tidy(() => restrict(model.apply(x) as tf.Tensor, current, 'zero'));
  try {
    const method = makeMethod(sequence.scenario === 'task-incremental' ? {forward, variables} : model);
    const accuracy: number[][] = [];
    for (const [index, task] of sequence.tasks.entries()) {
      current = task;
      const base = tf.train.momentum(settings.learningRate, settings.momentum);
      const optimizer = method.optimizer(base);
      try {
        await train(model, variables, optimizer, {task, index, settings, options});
        await afterTask(method, task, options.signal);
      } finally {
        optimizer.dispose();
        // tfjs' momentum forgets the tensor that it inherits from SGD.
        tf.SGDOptimizer.prototype.dispose.call(base);
      }
      const row: number[] = [];
      for (const tested of sequence.tasks) row.push(await test(model, tested));
      accuracy.push(row);
      const steps = stepsOf(task, settings);
      options.onProgress?.({task: index, step: steps, steps, accuracy: row});
    }
    return {accuracy, seconds: (performance.now() - began) / 1000};
  } finally {
    model.dispose();
  }
}

interface TaskRun {
  readonly task: Task;
  readonly index: number;
  readonly settings: LearningSettings;
  readonly options: SequenceOptions;
}

async function train(
  model: layers.LayersModel,
  variables: tf.Variable[],
  optimizer: tf.Optimizer,
  {task, index, settings, options}: TaskRun,
): Promise<void> {
  const {batchSize, epochs} = settings;
  const count = task.train.indices.length;
  const steps = stepsOf(task, settings);
  let step = 0;
  for (let epoch = 0; epoch < epochs; epoch++) {
    const order = shuffledRange(count, `${options.seed}/task ${index}/epoch ${epoch}`);
    for (let start = 0; start < count; start += batchSize) {
      options.signal?.throwIfAborted();
      const indices = order.subarray(start, start + batchSize).map((position) => task.train.indices[position]);
      const cost = tf.tidy(() => {
        const batch = {...task.train, indices};
        const [x, y] = [inputTensor(batch), targetTensor(batch, model.outputs[0].shape[1] as number)];
        const loss = () => {
          const logits = restrict(model.apply(x, {training: true}) as tf.Tensor, task, 'exclude');
          return tf.losses.softmaxCrossEntropy(y, logits) as tf.Scalar;
        };
        return optimizer.minimize(loss, true, variables) as tf.Scalar;
      });
      try {
        if (start + batchSize >= count) await checkFinite(cost, settings);
      } finally {
        cost.dispose();
      }
      options.onProgress?.({task: index, step: ++step, steps});
      await tf.nextFrame();
    }
  }
}

/** `[count, height * width]`. */
function inputTensor(samples: Samples): tf.Tensor2D {
  const {images, indices} = samples;
  return tf.tensor2d(inputsOf(samples), [indices.length, images.height * images.width]);
}

/** One-hot, `[count, outputs]`. */
function targetTensor(samples: Samples, outputs: number): tf.Tensor {
  return tf.oneHot(tf.tensor1d(labelsOf(samples), 'int32'), outputs);
}

async function afterTask(method: Method, task: Task, signal: AbortSignal | undefined): Promise<void> {
  if (!method.afterTask) return;
  const inputs = inputTensor(task.train);
  try {
    await method.afterTask(inputs, signal);
  } finally {
    inputs.dispose();
  }
}

function stepsOf(task: Task, {epochs, batchSize}: LearningSettings): number {
  return epochs * Math.ceil(task.train.indices.length / batchSize);
}

/** Accuracy on the test images of a task, 0..1. */
async function test(model: layers.LayersModel, task: Task): Promise<number> {
  const answers = tf.tidy(() => {
    const logits = model.predict(inputTensor(task.test), {batchSize: 1024}) as tf.Tensor;
    return tf.argMax(restrict(logits, task, 'exclude'), 1);
  });
  const labels = labelsOf(task.test);
  const given = await answers.data();
  answers.dispose();
  return labels.filter((label, i) => label === given[i]).length / labels.length;
}

/**
 * Leaves only the task's outputs: the others become 0 (they add nothing to ||F||^2) or so low that
 * softmax and argmax never choose them. Does nothing where the task uses every output.
 */
function restrict(logits: tf.Tensor, task: Task, others: 'zero' | 'exclude'): tf.Tensor {
  const outputs = logits.shape[1] as number;
  if (task.outputs.length === outputs) return logits;
  const row = (values: [used: number, unused: number]) =>
    tf.tensor2d(
      Float32Array.from({length: outputs}, (_, index) => values[task.outputs.includes(index) ? 0 : 1]),
      [1, outputs],
    );
  return others === 'zero' ? tf.mul(logits, row([1, 0])) : tf.add(logits, row([0, -1e9]));
}

/** Once per epoch, so that a run that has diverged ends at once and says so. */
async function checkFinite(cost: tf.Scalar, {learningRate}: LearningSettings): Promise<void> {
  const [loss] = await cost.data();
  if (Number.isFinite(loss)) return;
  throw new EngramError('NON_FINITE', {
    expected: 'the loss to stay a number',
    received: `${loss} at a learning rate of ${learningRate}`,
    remedy: 'Use a smaller learning rate.',
  });
}
