/** Which tapes may share a certificate. */
import type * as tf from '@tensorflow/tfjs-core';
import {inputsOf, type Recording} from './graph.js';
import type {TapeNode} from './tfjs.js';
import type {Trace} from './trace.js';

/**
 * What two tapes have in common when they differ in B alone: kernels, permutations, connections, and
 * shapes per sample.
 *
 * Tensors that depend on the data count by elements per sample, all others by shape. Where that still differs, a
 * second certificate is taken: time lost, nothing else.
 */
export function signature({trace, graph, samples}: Recording): string {
  const ordinals = new Map<number, number>();
  const shapeOf = ({id, shape, size}: tf.Tensor) =>
    graph.data.has(id) ? `${shape.length}:${size / samples}` : shape.join('x');
  const lines = leadingTo(trace).map((node) => {
    const inputs = inputsOf(node).map((input) => `${ordinals.get(input.id) ?? ''}[${shapeOf(input)}]`);
    for (const output of node.outputs) ordinals.set(output.id, ordinals.size);
    const perm = trace.permutations.get(node.outputs[0].id) ?? '';
    return `${node.kernelName}${perm}(${inputs})=${node.outputs.map(shapeOf)}`;
  });
  return [...lines, ...trace.outputs.map(({id, shape}) => `${ordinals.get(id)}:${shape.slice(1)}`)].join(';');
}

/** The nodes behind the outputs; tfjs also tapes the clones that it saves, which lead nowhere. */
function leadingTo({nodes, outputs}: Trace): TapeNode[] {
  const wanted = new Set(outputs.map(({id}) => id));
  const leading = nodes.toReversed().filter((node) => {
    const leads = node.outputs.some(({id}) => wanted.has(id));
    if (leads) for (const {id} of inputsOf(node)) wanted.add(id);
    return leads;
  });
  return leading.reverse();
}
