/** The part of a network that stands on its features. */
import type * as tf from '@tensorflow/tfjs-core';
import type * as layers from '@tensorflow/tfjs-layers';
import {EngramError} from '../errors.js';

/**
 * From features `[B, features]` to the outputs `[B, outputs]` of the network, in inference mode: the layers between, with
 * their present weights.
 *
 * @param network built on `features`, or with it as a layer
 * @throws EngramError ARGUMENT if the outputs do not depend on the features alone
 */
export function headOf(network: layers.LayersModel, features: layers.LayersModel): (x: tf.Tensor) => tf.Tensor {
  const [output] = network.outputs;
  const stands = (on: layers.SymbolicTensor): boolean =>
    on === features.outputs[0] || (on.sourceLayer as unknown) === features;
  const check = (on: layers.SymbolicTensor): void => {
    if (stands(on)) return;
    if (on.inputs.length === 0) throw notAlone(network.name, features.name);
    for (const input of on.inputs) check(input);
  };
  check(output);
  return (x) => {
    const known = new Map<layers.SymbolicTensor, tf.Tensor>();
    const evaluate = (symbol: layers.SymbolicTensor): tf.Tensor => {
      if (stands(symbol)) return x;
      let value = known.get(symbol);
      if (!value) {
        const inputs = symbol.inputs.map(evaluate);
        const results = symbol.sourceLayer.apply(inputs.length === 1 ? inputs[0] : inputs, {training: false});
        value = [results].flat()[symbol.outputTensorIndex ?? 0] as tf.Tensor;
        known.set(symbol, value);
      }
      return value;
    };
    return evaluate(output);
  };
}

function notAlone(network: string, features: string): EngramError {
  return new EngramError('ARGUMENT', {
    expected: `the outputs of "${network}" to depend on its inputs through "${features}" alone`,
    received: 'a way around the features',
    remedy: 'Build the features and the heads on them from the same symbolic tensors.',
  });
}
