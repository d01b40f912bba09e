/** Local MAS: the importance of each layer for its own output, the Hebbian way to the same end. */
import * as tf from '@tensorflow/tfjs-core';
import type * as layers from '@tensorflow/tfjs-layers';
import {EngramError} from '../errors.js';
import {Accumulation} from '../memory/accumulation.js';
import {batches, type Samples} from '../memory/batches.js';
import {checkEstimateOptions, type EstimateOptions} from '../memory/options.js';
import {noSamples} from '../memory/pass.js';
import {type LayerUse, usesOfLayers} from './layer-uses.js';
import type {LearningTask} from './method.js';
import {type Importance, PenaltyMethod} from './penalty-method.js';

/** How the data are read. */
export type LocalImportanceOptions = Pick<EstimateOptions, 'batchSize' | 'signal' | 'precision'>;

/**
 * Omega = (1/N) sum_b |ds_b/dtheta| with s_b = ||y_layer(x_b)||^2 for each layer with trainable weights by itself, its
 * inputs held constant: l-MAS (Aljundi et al., ECCV 2018, section 4.3), which for a dense layer with a ReLU is Hebb's
 * rule, 2 y_i y_j, y_i the layer's input and y_j its output. Exact per sample, and no backward pass through the network.
 *
 * y is the layer's output after its own activation, or after an activation layer that directly follows it; of a softmax it
 * is the logits. The uses of a layer that is used several times are added up for each sample before the magnitude is
 * taken. Models inside the model count layer by layer; a wrapper such as TimeDistributed counts as one layer.
 *
 * @param data samples: a tensor `[N, ...]`, nested array, `tf.data.Dataset` of batches or iterable of batches
 * @returns new tensors by variable name, owned by the caller; layers that the outputs do not need are absent
 * @throws EngramError ARGUMENT for what is no tf.LayersModel or has no trainable weight on the way to its outputs;
 * NOT_SAMPLEWISE for a layer whose inputs have another first axis than the samples; SHAPE, DTYPE, EMPTY_DATA, NON_FINITE,
 * NESTED_TAPE, CHANGED, BACKEND, DEVICE; the signal's reason
 */
export async function estimateLocalImportance(
  model: layers.LayersModel,
  data: Samples,
  options: LocalImportanceOptions = {},
): Promise<Map<string, tf.Tensor>> {
  checkModel(model);
  checkEstimateOptions(options);
  const {batchSize = 64, signal, precision} = options;
  const sums = new Map<layers.layers.Layer, Accumulation>();
  try {
    const shapes = model.inputs.map(({shape}) => shape);
    for await (const batch of batches(data, batchSize, shapes, model.inputNames)) {
      let uses: LayerUse[] = [];
      try {
        signal?.throwIfAborted();
        uses = usesOfLayers(model, batch.x);
        for (const [layer, own] of byLayer(uses)) {
          const inputs = own.flatMap((use) => use.inputs);
          checkSamples(layer, inputs, batch.samples);
          let sum = sums.get(layer);
          if (!sum) {
            sum = accumulationOf(layer, own);
            sums.set(layer, sum);
          }
          await sum.add(inputs, {batchSize: batch.samples, ...(signal && {signal}), ...(precision && {precision})});
        }
      } finally {
        tf.dispose(uses.flatMap(({inputs}) => inputs));
        batch.dispose();
      }
    }
    if (sums.size === 0) throw noSamples();
    return await finished(sums.values());
  } finally {
    for (const sum of sums.values()) sum.dispose();
  }
}

/** l-MAS as a method of a sequence: {@link estimateLocalImportance} after each task, without labels. */
export class LocalMasMethod extends PenaltyMethod {
  protected importance({network, unlabelled, signal}: LearningTask): Promise<Importance> {
    return estimateLocalImportance(network, unlabelled(), signal ? {signal} : {});
  }
}

/** The layer as a network of its own: the inputs of all its uses to the outputs of all its uses. */
function accumulationOf(layer: layers.layers.Layer, uses: readonly LayerUse[]): Accumulation {
  // Sizes and functions alone: the first batch's tensors do not outlive it.
  const calls = uses.map(({inputs, output}) => ({count: inputs.length, output}));
  const forward = (x: tf.Tensor | tf.Tensor[]): tf.Tensor[] => {
    const inputs = [x].flat();
    let at = 0;
    return calls.map(({count, output}) => {
      at += count;
      return output(inputs.slice(at - count, at));
    });
  };
  const variables = layer.trainableWeights.map((weight) => weight.read() as tf.Variable);
  const output = uses.every(({softmax}) => softmax) ? 'logits' : 'output';
  return new Accumulation({forward, variables}, {output});
}

function byLayer(uses: readonly LayerUse[]): Map<layers.layers.Layer, LayerUse[]> {
  const groups = new Map<layers.layers.Layer, LayerUse[]>();
  for (const use of uses) groups.set(use.layer, [...(groups.get(use.layer) ?? []), use]);
  return groups;
}

async function finished(sums: Iterable<Accumulation>): Promise<Map<string, tf.Tensor>> {
  const total = new Map<string, tf.Tensor>();
  try {
    for (const sum of sums) {
      const {importance} = await sum.finish();
      for (const [name, omega] of importance) total.set(name, omega);
      await sum.presentTheta(); // throws if training went on meanwhile
    }
  } catch (error) {
    tf.dispose([...total.values()]);
    throw error;
  }
  return total;
}

function checkModel(model: layers.LayersModel): void {
  const {layers: list, trainableWeights, inputs} = (model ?? {}) as Partial<layers.LayersModel>;
  if (Array.isArray(list) && Array.isArray(inputs) && trainableWeights && trainableWeights.length > 0) return;
  throw new EngramError('ARGUMENT', {
    expected: 'a tf.LayersModel with trainable weights',
    received: Array.isArray(list) ? 'one without' : typeof model,
    remedy: 'Local importance is measured layer by layer, so it needs to know the layers.',
  });
}

function checkSamples(layer: layers.layers.Layer, inputs: readonly tf.Tensor[], samples: number): void {
  const other = inputs.find(({shape}) => shape[0] !== samples);
  if (!other) return;
  throw new EngramError('NOT_SAMPLEWISE', {
    expected: `the inputs of layer "${layer.name}" to have the ${samples} samples on their first axis`,
    received: `[${other.shape.join(', ')}]`,
    remedy: 'Leave the first axis alone in the layers before it.',
  });
}
