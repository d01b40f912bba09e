/** Encoder Based Lifelong Learning (Triki, Aljundi, Blaschko and Tuytelaars, ICCV 2017): codes of features are kept. */
import * as tf from '@tensorflow/tfjs-core';
import {type AutoencoderTraining, codeOf, type Layer, trainAutoencoder} from './autoencoder.js';
import {checkCount, checkPositive, checkWeight} from './checks.js';
import {headOf} from './head.js';
import {LearningWithoutForgetting, type LearningWithoutForgettingOptions} from './learning-without-forgetting.js';
import type {Batch, LearningTask, Method, MethodState} from './method.js';
import {notRecorded, Recording} from './recording.js';
import {missing} from './stored-tensors.js';

/** How codes are found and kept, beside how answers are. */
export interface EncoderBasedLifelongLearningOptions extends LearningWithoutForgettingOptions {
  /** Units of the code, fewer than the features: the paper's authors take 100 or 300 for 9216. */
  codeSize: number;
  /** alpha, weight of the code loss. Default 0.1, as in the authors' experiment. */
  alpha?: number;
  /**
   * lambda of the autoencoder: weight of its squared error, summed over features, beside the loss of the task. Default
   * 1e-6, the authors'.
   */
  reconstruction?: number;
  /** Of the autoencoder, which is trained by Adam. Default 0.01. */
  learningRate?: number;
  /** Passes of the autoencoder over the task's samples. Default 20. */
  epochs?: number;
  /** Samples per step of the autoencoder. Default 128. */
  batchSize?: number;
}

const defaults = {alpha: 0.1, reconstruction: 1e-6, learningRate: 0.01, epochs: 20, batchSize: 128};

/**
 * Learning without Forgetting, and beside it the features may move only where earlier tasks do not look: after each task
 * an undercomplete autoencoder learns what of the features the task needs, and later tasks must not change its code.
 *
 * While an autoencoder is trained, features and targets of all samples are held, `count * (features + outputs)` numbers;
 * while a task is learned, a code for every sample and earlier task.
 */
export class EncoderBasedLifelongLearning implements Method {
  private readonly options: Required<Omit<EncoderBasedLifelongLearningOptions, keyof LearningWithoutForgettingOptions>>;
  private readonly distillation: LearningWithoutForgetting;
  /** One for each task learned; their tensors are this object's. */
  private encoders: Layer[] = [];
  private codes: Recording | undefined;

  /** @throws EngramError ARGUMENT */
  constructor({lambda, temperature, ...options}: EncoderBasedLifelongLearningOptions) {
    this.distillation = new LearningWithoutForgetting({
      ...(lambda !== undefined && {lambda}),
      ...(temperature !== undefined && {temperature}),
    });
    this.options = {...defaults, ...options};
    checkCount('codeSize', this.options.codeSize);
    checkWeight('alpha', this.options.alpha);
    checkWeight('reconstruction', this.options.reconstruction);
    checkPositive('learningRate', this.options.learningRate);
    checkCount('epochs', this.options.epochs);
    checkCount('batchSize', this.options.batchSize);
  }

  optimizer(base: tf.Optimizer): tf.Optimizer {
    return base;
  }

  /** @throws EngramError ARGUMENT for a task that gives other samples than it says; the signal's reason */
  async beforeTask(task: LearningTask): Promise<void> {
    this.forget();
    await this.distillation.beforeTask(task);
    if (this.encoders.length === 0) return;
    this.codes = await Recording.take(task, ({x}) => {
      const features = task.features.apply(x, {training: false}) as tf.Tensor;
      return this.encoders.map((encoder) => codeOf(encoder, features));
    });
  }

  /**
   * The distillation loss, and alpha / 2 times the squared distance of the codes: the paper's equation for the joint loss
   * without the loss of the task.
   *
   * @throws EngramError ARGUMENT without {@link beforeTask}
   */
  batchLoss(batch: Batch, task: LearningTask): tf.Scalar {
    const answers = this.distillation.batchLoss(batch, task);
    if (this.encoders.length === 0) return answers;
    if (!this.codes) throw notRecorded();
    const features = task.features.apply(batch.x, {training: true}) as tf.Tensor;
    const loss = codeLoss(this.encoders, features, this.codes.at(batch.rows), this.options.alpha);
    return tf.add(answers, loss);
  }

  /**
   * Trains the autoencoder of the task.
   *
   * @throws EngramError ARGUMENT for a code that is not smaller than the features or a network that goes around them,
   * NON_FINITE if training diverges; the signal's reason
   */
  async afterTask(task: LearningTask): Promise<void> {
    this.forget();
    const head = headOf(task.network, task.features);
    const known = await Recording.take(task, ({x, y}) => [task.features.apply(x, {training: false}) as tf.Tensor, y]);
    try {
      const [features, targets] = known.all;
      const {seed, signal} = task;
      const training: AutoencoderTraining = {...this.options, seed, signal};
      this.encoders.push(await trainAutoencoder({features, targets, head}, training));
    } finally {
      known.dispose();
    }
  }

  async state(): Promise<MethodState> {
    const tensors = new Map<string, {shape: number[]; values: Float32Array}>();
    for (const [task, encoder] of this.encoders.entries()) {
      for (const part of ['kernel', 'bias'] as const) {
        const values = (await encoder[part].data()) as Float32Array;
        tensors.set(`encoder ${task}.${part}`, {shape: encoder[part].shape, values: values.slice()});
      }
    }
    return {tensors, json: {encoders: this.encoders.length}};
  }

  restore({tensors, json}: MethodState): void {
    const count = (json as {encoders?: unknown} | undefined)?.encoders;
    if (!Number.isSafeInteger(count)) throw missing('encoders');
    const stored = (name: string) => {
      const found = tensors.get(name);
      if (!found) throw missing(name);
      return found;
    };
    const parts = Array.from({length: count as number}, (_, task) => ({
      kernel: stored(`encoder ${task}.kernel`),
      bias: stored(`encoder ${task}.bias`),
    }));
    this.dispose();
    const tensorOf = ({shape, values}: {readonly shape: readonly number[]; readonly values: Float32Array}) =>
      tf.keep(tf.tensor(values.slice(), [...shape], 'float32'));
    this.encoders = parts.map(({kernel, bias}) => ({kernel: tensorOf(kernel), bias: tensorOf(bias)}));
  }

  /** Frees encoders and what is recorded; a second call does nothing. */
  dispose(): void {
    this.forget();
    for (const {kernel, bias} of this.encoders) tf.dispose([kernel, bias]);
    this.encoders = [];
  }

  private forget(): void {
    this.distillation.dispose();
    this.codes?.dispose();
    this.codes = undefined;
  }
}

/**
 * alpha / 2 sum_t ||sigma(W_enc_t F(x)) - sigma(W_enc_t F*(x))||^2 over earlier tasks t, mean over the batch.
 *
 * @param features F(x) now, `[B, features]`
 * @param before the codes of F*(x), the features before the task was learned, `[B, code]` for each encoder
 */
export function codeLoss(
  encoders: readonly Layer[],
  features: tf.Tensor,
  before: readonly tf.Tensor[],
  alpha: number,
): tf.Scalar {
  const moved = encoders.map((encoder, task) =>
    tf.mean(tf.sum(tf.square(tf.sub(codeOf(encoder, features), before[task])), 1)),
  );
  return tf.mul(tf.addN(moved), alpha / 2) as tf.Scalar;
}
