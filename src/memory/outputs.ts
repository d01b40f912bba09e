/** Which outputs of a network count: the others are not differentiated, and parameters on their path alone take no part. */
import {EngramError} from '../errors.js';
import type {Network, NetworkLike} from '../tape/index.js';

/** Outputs by their index, or for a tf.LayersModel by their name in `model.outputNames`. */
export type OutputChoice = readonly (number | string)[];

/**
 * Looks a choice up in the network.
 *
 * @returns indices, ascending; undefined for all outputs
 * @throws EngramError ARGUMENT for no output, one that is unknown or one that is named twice
 */
export function chooseOutputs(network: NetworkLike, outputs: OutputChoice | undefined): number[] | undefined {
  if (outputs === undefined) return undefined;
  const {outputNames} = network as {outputNames?: unknown};
  const names = Array.isArray(outputNames) ? (outputNames as string[]) : undefined;
  if (!Array.isArray(outputs) || outputs.length === 0) throw unknownOutput('at least one output', outputs, names);
  const indices = outputs.map((output: unknown) => indexOf(output, names));
  const twice = indices.find((index, i) => indices.indexOf(index) !== i);
  if (twice !== undefined) throw unknownOutput('each output once', `output ${twice} twice`, names);
  return indices.length === names?.length ? undefined : indices.sort((a, b) => a - b);
}

function indexOf(output: unknown, names: readonly string[] | undefined): number {
  if (typeof output === 'string' && names) {
    const index = names.indexOf(output);
    if (index < 0) throw unknownOutput('names of outputs', output, names);
    if (names.lastIndexOf(output) !== index) throw unknownOutput('an index where outputs share a name', output, names);
    return index;
  }
  if (Number.isSafeInteger(output) && (output as number) >= 0 && (output as number) < (names?.length ?? Infinity)) {
    return output as number;
  }
  throw unknownOutput(names ? 'names or indices of outputs' : 'indices of outputs', output, names);
}

/** The network with the chosen outputs alone. */
export function withOutputs(network: Network, chosen: readonly number[] | undefined): Network {
  if (!chosen) return network;
  return {
    forward(x) {
      const outputs = [network.forward(x)].flat();
      const beyond = chosen.find((index) => index >= outputs.length);
      if (beyond !== undefined) throw unknownOutput(`indices below ${outputs.length}`, beyond, undefined);
      return chosen.map((index) => outputs[index]);
    },
    get variables() {
      return network.variables;
    },
  };
}

function unknownOutput(expected: string, received: unknown, names: readonly string[] | undefined): EngramError {
  return new EngramError('ARGUMENT', {
    expected: `outputs to be a list: ${expected}`,
    received: Array.isArray(received) ? `[${received}]` : String(received),
    remedy: names ? `The network has ${names.join(', ')}.` : 'Count the outputs of forward(x) from 0.',
  });
}
