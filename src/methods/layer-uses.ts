/** What goes into each layer of a tf.LayersModel while it runs, seen from inside: also in models within the model. */
import * as tf from '@tensorflow/tfjs-core';
import type * as layers from '@tensorflow/tfjs-layers';

type Layer = layers.layers.Layer;
type Call = Layer['call'];
type CallArgs = Parameters<Call>[1];

/** One use of a layer that has trainable weights, in one run of the model. */
export interface LayerUse {
  readonly layer: Layer;
  /** Copies of the tensors that went in, owned by who asked; masks and initial states are among them. */
  readonly inputs: tf.Tensor[];
  /** The layer's first output as a function of such inputs, after its activation. */
  readonly output: (inputs: readonly tf.Tensor[]) => tf.Tensor;
  /** Whether that activation is a softmax. */
  readonly softmax: boolean;
}

/** One call of any layer, while the model runs. */
interface SeenCall {
  readonly layer: Layer;
  readonly inputs: tf.Tensor[];
  readonly output: (inputs: readonly tf.Tensor[]) => tf.Tensor;
  /** Where the data of the first input and of the first output lie: what tells who follows whom. */
  readonly from: object;
  readonly to: object;
}

/** Classes whose layers do nothing but an activation. */
const activations = new Set(['Activation', 'ReLU', 'LeakyReLU', 'PReLU', 'ELU', 'ThresholdedReLU', 'Softmax']);

/**
 * Runs the model once on a batch, in inference mode. Its layers tell what they are called with, through a `call` of their
 * own for as long as that takes, which works for any way in which a model runs its layers.
 *
 * @param x `[B, ...]`, or a list for several inputs
 */
export function usesOfLayers(model: layers.LayersModel, x: tf.Tensor | tf.Tensor[]): LayerUse[] {
  const seen: SeenCall[] = [];
  const watched = innermost(model).filter((layer) => layer.trainableWeights.length > 0 || isActivation(layer));
  const unwatch: (() => void)[] = [];
  try {
    for (const layer of watched) unwatch.push(watch(layer, seen));
    tf.tidy(() => {
      model.apply(x, {training: false});
    });
  } catch (error) {
    tf.dispose(seen.flatMap(({inputs}) => inputs));
    throw error;
  } finally {
    for (const end of unwatch) end();
  }
  const uses = seen.filter(({layer}) => layer.trainableWeights.length > 0);
  return uses.map((use) => withActivation(use, seen));
}

/** The layers that are no models, those in models within it too. */
function innermost(model: layers.LayersModel): Layer[] {
  const inner = (layer: Layer): Layer[] =>
    Array.isArray((layer as layers.LayersModel).layers) ? innermost(layer as layers.LayersModel) : [layer];
  return [...new Set(model.layers.flatMap(inner))];
}

/** @returns what gives the layer its `call` back */
function watch(layer: Layer, seen: SeenCall[]): () => void {
  const own = Object.getOwnPropertyDescriptor(layer, 'call');
  const call = layer.call.bind(layer);
  const measured = layer.trainableWeights.length > 0;
  layer.call = (given, passed) => {
    const kwargs = {...passed}; // tfjs goes on writing masks into the one that it passes
    const list = [given].flat();
    const all = measured ? [...list, ...tensorsOf(kwargs)] : [];
    const [types, from] = [all.map(({dtype}) => dtype), list[0].dataId];
    const result = call(given, passed);
    // Copies at once: the model frees what it no longer needs while it runs. Data sets know no booleans.
    const inputs = all.map((tensor) => tf.keep(tensor.dtype === 'bool' ? tf.cast(tensor, 'int32') : tf.clone(tensor)));
    const output = (again: readonly tf.Tensor[]): tf.Tensor => {
      const tensors = again.map((tensor, i) => (types[i] === 'bool' ? tf.cast(tensor, 'bool') : tensor));
      const ownInputs = tensors.slice(0, list.length);
      const args = replaced(kwargs, tensors.slice(list.length));
      return [call(Array.isArray(given) ? ownInputs : ownInputs[0], args)].flat()[0];
    };
    seen.push({layer, inputs, output, from, to: [result].flat()[0].dataId});
    return result;
  };
  return () => {
    if (own) Object.defineProperty(layer, 'call', own);
    else delete (layer as {call?: Call}).call; // that of the class shows again
  };
}

/** The tensors among the named arguments of a call (masks, initial states), in their order. */
function tensorsOf(kwargs: CallArgs): tf.Tensor[] {
  return Object.values(kwargs ?? {})
    .flat()
    .filter((value) => value instanceof tf.Tensor);
}

/** The named arguments with other tensors in the places of {@link tensorsOf}. */
function replaced(kwargs: CallArgs, tensors: readonly tf.Tensor[]): CallArgs {
  let at = 0;
  const swap = (value: unknown): unknown => (value instanceof tf.Tensor ? tensors[at++] : value);
  const entries = Object.entries(kwargs ?? {});
  return Object.fromEntries(entries.map(([key, v]) => [key, Array.isArray(v) ? v.map(swap) : swap(v)]));
}

/** The use with the activation layer that directly follows, where the layer has no activation of its own. */
function withActivation(use: SeenCall, seen: readonly SeenCall[]): LayerUse {
  const {layer, inputs, output} = use;
  const own = activationOf(layer);
  const next = own === 'linear' && !isActivation(layer) ? seen.find((other) => follows(other, use)) : undefined;
  if (!next) return {layer, inputs, output, softmax: own === 'softmax'};
  const {layer: activation} = next;
  const softmax = activation.getClassName() === 'Softmax' || activationOf(activation) === 'softmax';
  return {
    layer,
    inputs,
    output: (x) => [activation.call(output(x), {training: false})].flat()[0],
    softmax,
  };
}

const isActivation = (layer: Layer): boolean => activations.has(layer.getClassName());

/** By the data: a dropout, which does nothing in inference, or a reshape in between leaves them where they are. */
const follows = (other: SeenCall, use: SeenCall): boolean =>
  other !== use && isActivation(other.layer) && other.from === use.to;

/** The name of a layer's own activation, `linear` for none; of a wrapper, that of the layer inside. */
function activationOf(layer: Layer): string {
  const {layer: wrapped = layer} = layer as {layer?: Layer};
  const {activation} = wrapped as {activation?: {getClassName?(): string}};
  return activation?.getClassName?.() ?? 'linear';
}
