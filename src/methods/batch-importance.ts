/** MAS as most implementations have it: the magnitude of the gradient of a batch, under a convention that is data. */
import * as tf from '@tensorflow/tfjs-core';
import type * as layers from '@tensorflow/tfjs-layers';
import seedrandom from 'seedrandom';
import {EngramError} from '../errors.js';
import {type Batch, batches, type Inputs, type Samples} from '../memory/batches.js';
import {checkEstimateOptions} from '../memory/options.js';
import {asNetwork} from '../tape/index.js';
import {KeptTensors} from './kept-tensors.js';
import {type BatchConvention, type MasPreset, masPresets} from './mas-presets.js';
import type {LearningTask} from './method.js';
import {type Importance, PenaltyMethod, type PenaltyMethodOptions} from './penalty-method.js';

/** How {@link estimateBatchImportance} reads the data. */
export interface BatchImportanceOptions {
  /** Samples a batch, on which the result depends. Default: the convention's. */
  batchSize?: number;
  /** Decides the order where the convention shuffles. Default 0. */
  seed?: number;
  /** Stops between batches; the promise rejects with the signal's reason. */
  signal?: AbortSignal;
}

/**
 * Importance from the gradients of whole batches, which underestimates (1/N) sum_b |g_b| wherever the samples of a batch
 * pull in different directions, and depends on batch size and order. To compare with, not to use: for importance as the
 * paper defines it see `estimateImportance`.
 *
 * In training mode the batches update the moving averages of batch normalisation, as they do in the originals.
 *
 * @param network one model, or several with the same inputs whose outputs are concatenated to y `[B, K]`
 * @param data samples; where the convention shuffles, all of them are held in memory
 * @returns new tensors by variable name, owned by the caller; 0 for variables that the outputs do not reach
 * @throws EngramError ARGUMENT, SHAPE, DTYPE, EMPTY_DATA without samples, or without a whole batch where only these
 * count; the signal's reason
 */
export async function estimateBatchImportance(
  network: layers.LayersModel | readonly layers.LayersModel[],
  data: Samples,
  convention: BatchConvention,
  options: BatchImportanceOptions = {},
): Promise<Map<string, tf.Tensor>> {
  checkEstimateOptions(options);
  const {batchSize = convention.batchSize, seed = 0, signal} = options;
  const model = await together([network].flat());
  const shapes = model.inputs.map(({shape}) => shape);
  const all = batches(data, batchSize, shapes, model.inputNames);
  const omega = new KeptTensors();
  let count = 0;
  try {
    for await (const {x, samples, dispose} of convention.shuffled ? shuffled(all, batchSize, seed) : all) {
      try {
        signal?.throwIfAborted();
        if (convention.average === 'whole batches' && samples < batchSize) continue;
        addBatch(omega, model, x, convention, {before: count, samples});
        count++;
      } finally {
        dispose();
      }
      await tf.nextFrame();
    }
    if (count === 0) throw nothingRead(convention.average, batchSize);
    const divisor = convention.average === 'running' ? 1 : count;
    return new Map([...omega.all()].map(([name, sum]) => [name, tf.div(sum, divisor)]));
  } finally {
    omega.clear();
  }
}

/** A preset by its name, or a convention of one's own, and the batch size where it is not the convention's. */
export interface BatchMasOptions extends PenaltyMethodOptions {
  preset: MasPreset | BatchConvention;
  batchSize?: number;
}

/**
 * MAS as another implementation computes it: importance, merge rule and factor of the penalty are the preset's. The
 * originals add the penalty to the loss, which is `step: 'explicit'`; here too the default is `proximal`.
 */
export class BatchMasMethod extends PenaltyMethod {
  private readonly convention: BatchConvention;

  /** @throws EngramError ARGUMENT */
  constructor(options: BatchMasOptions) {
    const convention = conventionOf(options?.preset);
    const {batchSize = convention.batchSize} = options;
    checkEstimateOptions({batchSize});
    super(options, convention.merge, convention.factor);
    this.convention = {...convention, batchSize};
  }

  /**
   * Where the convention takes all heads, y is the outputs of the networks of earlier tasks that have a head of their own,
   * and then the task's. Where it does not hold heads, Omega is that of the parameters of `task.features`.
   */
  protected async importance({network, features, earlier, ...task}: LearningTask): Promise<Importance> {
    const {convention} = this;
    const own = namesOf(network);
    const otherHeads = earlier.filter((model) => [...namesOf(model)].some((name) => !own.has(name)));
    const networks = convention.allHeads ? [...otherHeads, network] : [network];
    const measured = await estimateBatchImportance(networks, task.unlabelled(convention.batchSize), convention, {
      seed: task.seed,
      ...(task.signal && {signal: task.signal}),
    });
    const held = convention.holdsHeads ? own : namesOf(features);
    const scaled = [...measured].filter(([name]) => held.has(name));
    const omega = new Map(scaled.map(([name, tensor]) => [name, tf.mul(tensor, convention.share)]));
    tf.dispose([...measured.values()]);
    return omega;
  }
}

/** Adds |g| of one batch, after `before` other ones. */
function addBatch(
  omega: KeptTensors,
  model: layers.LayersModel,
  x: Inputs,
  {objective, training, average}: BatchConvention,
  {before, samples}: {before: number; samples: number},
): void {
  const {variables} = asNetwork(model);
  const {value, grads} = tf.variableGrads(() => objectiveOf(outputsOf(model, x, training), objective), variables);
  value.dispose();
  for (const variable of variables) {
    const gradient = grads[variable.name] as tf.Tensor | null;
    omega.update(variable.name, (old) => {
      const sum = old ?? tf.zerosLike(variable);
      const magnitude = gradient ? tf.abs(gradient) : tf.zerosLike(variable);
      if (average !== 'running') return tf.add(sum, magnitude);
      return tf.div(tf.add(tf.mul(sum, before * samples), magnitude), (before + 1) * samples);
    });
  }
  tf.dispose(grads);
}

/** The outputs of all heads, `[B, K]`. */
function outputsOf(model: layers.LayersModel, x: Inputs, training: boolean): tf.Tensor2D {
  const outputs = [model.apply(x, {training}) as tf.Tensor | tf.Tensor[]].flat();
  return tf.concat(
    outputs.map((y) => tf.reshape(y, [y.shape[0], -1]) as tf.Tensor2D),
    1,
  );
}

function objectiveOf(y: tf.Tensor2D, objective: BatchConvention['objective']): tf.Scalar {
  const squares = tf.square(y);
  if (objective === 'sum') return tf.sum(squares);
  if (objective === 'mean square') return tf.mean(squares);
  const norms = tf.sum(squares, 1);
  // The root has no slope at 0, where the norm counts as constant.
  return tf.mean(objective === 'mean' ? norms : tf.sqrt(tf.maximum(norms, 1e-30)));
}

/** One model with the outputs of all, which runs what they share once. */
async function together(networks: readonly layers.LayersModel[]): Promise<layers.LayersModel> {
  const [first, ...others] = networks;
  const wrong = networks.find((network) => !Array.isArray(network?.inputs) || !Array.isArray(network.outputs));
  if (
    wrong !== undefined ||
    !first ||
    others.some(({inputs}) => inputs.some((input, i) => input !== first.inputs[i]))
  ) {
    throw new EngramError('ARGUMENT', {
      expected: 'one tf.LayersModel, or several that are made of the same inputs',
      received: wrong !== undefined || !first ? typeof (wrong ?? first) : 'models with inputs of their own',
      remedy: 'Make each head with tf.model({inputs: backbone.inputs, outputs: head.apply(backbone.outputs[0])}).',
    });
  }
  if (others.length === 0) return first;
  const {model} = await import('@tensorflow/tfjs-layers');
  return model({inputs: first.inputs, outputs: networks.flatMap(({outputs}) => outputs)});
}

/** All samples in an order that the seed decides. */
async function* shuffled(all: AsyncIterable<Batch>, batchSize: number, seed: number): AsyncGenerator<Batch> {
  const parts: tf.Tensor[][] = [];
  let whole: tf.Tensor[] = [];
  try {
    for await (const {x, dispose} of all) {
      parts.push([x].flat().map((input) => tf.keep(tf.clone(input))));
      dispose();
    }
    if (parts.length === 0) return;
    whole = parts[0].map((_, i) => tf.concat(parts.map((inputs) => inputs[i])));
    const order = permutation(whole[0].shape[0], seed);
    for (let start = 0; start < order.length; start += batchSize) {
      const rows = order.slice(start, start + batchSize);
      const x = tf.tidy(() => whole.map((input) => tf.gather(input, tf.tensor1d(rows, 'int32'))));
      yield {x: x.length === 1 ? x[0] : x, samples: rows.length, dispose: () => tf.dispose(x)};
    }
  } finally {
    tf.dispose([...parts.flat(), ...whole]);
  }
}

/** The whole numbers below `count`: Fisher-Yates on the seedrandom generator. */
function permutation(count: number, seed: number): Int32Array {
  const random = seedrandom(String(seed));
  const order = Int32Array.from({length: count}, (_, i) => i);
  for (let i = count - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1));
    [order[i], order[j]] = [order[j], order[i]];
  }
  return order;
}

const namesOf = (network: layers.LayersModel): Set<string> =>
  new Set(asNetwork(network).variables.map(({name}) => name));

function conventionOf(preset: MasPreset | BatchConvention): BatchConvention {
  if (typeof preset === 'object' && preset !== null) return preset;
  if (Object.hasOwn(masPresets, preset ?? '')) return masPresets[preset];
  throw new EngramError('ARGUMENT', {
    expected: `preset to be one of ${Object.keys(masPresets).join(', ')}, or a BatchConvention`,
    received: String(preset),
    remedy: 'Say whose importance it should be: no two implementations agree.',
  });
}

function nothingRead(average: BatchConvention['average'], batchSize: number): EngramError {
  const whole = average === 'whole batches';
  return new EngramError('EMPTY_DATA', {
    expected: whole ? `at least one whole batch of ${batchSize} samples` : 'at least one sample',
    received: 'none',
    remedy: whole ? 'Use smaller batches, or more samples.' : 'Pass samples of what the network has learned.',
  });
}
