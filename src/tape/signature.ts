/** Which tapes may share a certificate. */
import type * as tf from '@tensorflow/tfjs-core';
import {type Graph, inputsOf, type Recording} from './graph.js';
import type {TapeNode} from './tfjs.js';
import type {Trace} from './trace.js';

/**
 * What two tapes have in common when they differ in B alone: kernels, permutations, connections, and
 * shapes per sample.
 *
 * Tensors that hold samples count by elements per sample, all others by shape. Where that still differs, a
 * second certificate is taken: time lost, nothing else.
 */
export function signature({trace, graph, samples}: Recording): string {
  const ordinals = new Map<number, number>();
  // A constant beside data, such as a zero state, may have a row for every sample.
  const holdsSamples = ({id, shape}: tf.Tensor) =>
    graph.data.has(id) || (!graph.dependent.has(id) && (shape.find((length) => length !== 1) ?? 1) % samples === 0);
  const shapeOf = (x: tf.Tensor) => (holdsSamples(x) ? `${x.rank}:${x.size / samples}` : x.shape.join('x'));
  const lines = leadingTo(trace, graph).map((node) => {
    const inputs = inputsOf(node).map((input) => `${ordinals.get(input.id) ?? ''}[${shapeOf(input)}]`);
    for (const output of node.outputs) ordinals.set(output.id, ordinals.size);
    const perm = trace.attributes.get(node.outputs[0].id)?.perm ?? '';
    return `${node.kernelName}${perm}(${inputs})=${node.outputs.map(shapeOf)}`;
  });
  return [...lines, ...trace.outputs.map(({id, shape}) => `${ordinals.get(id)}:${shape.slice(1)}`)].join(';');
}

/**
 * The nodes behind the outputs that work on data or parameters; tfjs also tapes the clones that it saves, which lead
 * nowhere, and how constants such as zero states are made, whose shapes hold B in any way.
 */
function leadingTo({nodes, outputs}: Trace, {data, dependent}: Graph): TapeNode[] {
  const wanted = new Set(outputs.map(({id}) => id));
  const leading = nodes.toReversed().filter((node) => {
    const leads = node.outputs.some(({id}) => wanted.has(id) && (data.has(id) || dependent.has(id)));
    if (leads) for (const {id} of inputsOf(node)) wanted.add(id);
    return leads;
  });
  return leading.reverse();
}
