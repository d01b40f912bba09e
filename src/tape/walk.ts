/**
 * The backward pass: from the seeds at the outputs back to the variables, whose gradients are not computed but taken
 * apart into operands. Everything else is TensorFlow.js' own gradient functions, in its own order.
 */
import * as tf from '@tensorflow/tfjs-core';
import {
  Gradients,
  gradientFunction,
  gradientFunctions,
  namedInputs,
  ownGradient,
  splitRepetitions,
} from './backward.js';
import type {Share} from './chunks.js';
import {combine} from './combine.js';
import {Deferral} from './deferred.js';
import {type Graph, inputsOf, type Recording} from './graph.js';
import {compose, inverse} from './layout.js';
import {usesOf, type VariableRecord} from './record.js';
import {useOf} from './rules.js';
import {contained, disposeAll, type TapeNode} from './tfjs.js';
import {disposeUse, type SumUse, type Use} from './use.js';

/** By variable: what its kernel calls need, or why there is none. Variables that were not reached are absent. */
export type Operands = Map<string, VariableRecord | string>;

/**
 * Walks the tape once.
 *
 * @param seeds dS/dF for every output; they are disposed
 * @param last frees what tfjs saved of each node as soon as it has been walked; the trace cannot be walked again
 * @throws whatever a gradient function of tfjs throws; nothing is left behind
 */
export function walk(recording: Recording, seeds: tf.Tensor[], last: boolean): Operands {
  const {graph, samples} = recording;
  const uses: UseOrReason[] = [];
  try {
    contained(() => walkBack(recording, seeds, last, uses));
  } catch (error) {
    for (const [, use] of uses) if (typeof use !== 'string') disposeUse(use);
    throw error;
  }
  const operands: Operands = new Map();
  try {
    for (const variable of recording.variables) {
      const {name} = variable;
      if (graph.unreached.has(name)) continue;
      const own = uses.filter(([tensor]) => graph.roots.get(tensor.id)!.has(name));
      // No variable may be lost: whatever is on the path has operands or takes the fallback.
      const none = own.length === 0 ? 'no gradient arrived at it' : undefined;
      const obstacle =
        graph.indirect.get(name) ?? none ?? own.map(([, use]) => use).find((use) => typeof use === 'string');
      operands.set(name, obstacle ?? combine(own.map(shareOf(graph)), variable, graph, samples));
    }
    return operands;
  } catch (error) {
    disposeOperands(operands);
    throw error;
  } finally {
    for (const [, use] of uses) if (typeof use !== 'string') disposeUse(use);
  }
}

function walkBack({trace, graph, samples}: Recording, seeds: tf.Tensor[], last: boolean, uses: UseOrReason[]): void {
  const gradients = new Gradients();
  try {
    trace.outputs.forEach(({id}, i) => {
      gradients.add(id, tf.clone(seeds[i]));
    });
    for (const node of graph.path) {
      const dys = node.outputs.map(({id}) => gradients.take(id));
      if (dys.some((dy) => dy !== null)) {
        const step = stepBack(node, dys, graph, samples);
        for (const [id, dx] of step.gradients) gradients.add(id, dx);
        uses.push(...step.uses);
      }
      disposeAll(dys.filter((dy) => dy !== null));
      if (last) disposeAll(node.saved);
    }
  } finally {
    disposeAll(seeds);
  }
}

export function disposeOperands(operands: ReadonlyMap<string, VariableRecord | string>): void {
  for (const record of operands.values()) {
    if (typeof record === 'string') continue;
    for (const {activations, deltas} of usesOf(record)) {
      activations?.dispose();
      deltas.dispose();
    }
  }
}

/** A tensor of parameters that met data, and how, or why that has no rule. */
type UseOrReason = readonly [tensor: tf.Tensor, use: Use | string];

/** What a node's step back finds. */
interface Step {
  /** By the id of an input; fresh tensors of the current scope. */
  gradients: [number, tf.Tensor][];
  uses: UseOrReason[];
}

function shareOf(graph: Graph): (found: UseOrReason) => Share {
  return ([tensor, use]) => {
    const alias = graph.aliases.get(tensor.id);
    return {use: use as Use, source: alias ? {part: alias.part} : {tensor}};
  };
}

/** One node: gradients for its data inputs, operands for its parameters. */
function stepBack(node: TapeNode, dys: (tf.Tensor | null)[], graph: Graph, samples: number): Step {
  if (node.kernelName === 'Tile') return tileStep(node, dys[0]!, graph, samples);
  const parameters = Object.values(node.inputs).some((input) => input != null && graph.roots.has(input.id));
  if (!parameters) return plainStep(node, dys, graph, '');
  try {
    return deferredStep(node, dys, graph, samples);
  } catch {
    // A custom gradient may read values, and a stub has none. If it is the network that is wrong, this throws as well.
    const why = `the gradient function of ${node.kernelName} needs values, so it cannot be taken apart`;
    return plainStep(node, dys, graph, why);
  }
}

/** Runs the node's gradient functions as tfjs does; its parameters get no operands but a reason. */
function plainStep(node: TapeNode, dys: (tf.Tensor | null)[], graph: Graph, why: string): Step {
  const step: Step = {gradients: [], uses: []};
  tf.tidy(() => {
    const functions = gradientFunctions(node, dys);
    for (const [name, input] of namedInputs(node, (id) => graph.dependent.has(id))) {
      if (graph.roots.has(input.id)) step.uses.push([input, why]);
      else step.gradients.push([input.id, ownGradient(tf.tidy(gradientFunction(functions, name, node)), name, node)]);
    }
    return step.gradients.map(([, dx]) => dx);
  });
  return step;
}

/** Runs the node's gradient functions with the reductions put off. */
function deferredStep(node: TapeNode, dys: (tf.Tensor | null)[], graph: Graph, samples: number): Step {
  const step: Step = {gradients: [], uses: []};
  const deferral = new Deferral();
  try {
    tf.tidy(() => {
      const functions = deferral.run(() => gradientFunctions(node, dys), false);
      for (const [name, input] of namedInputs(node, (id) => graph.dependent.has(id))) {
        const isParameter = graph.roots.has(input.id);
        const dx = deferral.run(() => tf.tidy(gradientFunction(functions, name, node)), isParameter);
        if (!isParameter) step.gradients.push([input.id, ownGradient(deferral.value(dx), name, node)]);
        else step.uses.push([input, parameterUse(dx, input, `${node.kernelName}.${name}`, graph, deferral, samples)]);
      }
      return step.gradients.map(([, dx]) => dx);
    });
    return step;
  } catch (error) {
    for (const [, use] of step.uses) if (typeof use !== 'string') disposeUse(use);
    throw error;
  } finally {
    deferral.dispose();
  }
}

/** The gradient of a Tile adds up its repetitions: a sum over the samples where it spreads a parameter over them. */
function tileStep(node: TapeNode, dy: tf.Tensor, graph: Graph, samples: number): Step {
  const [input] = inputsOf(node);
  const repeated = tf.tidy(() => splitRepetitions(dy, input.shape) as never) as ReturnType<typeof splitRepetitions>;
  const {x, axis} = repeated;
  try {
    if (!graph.roots.has(input.id))
      return {gradients: [[input.id, tf.reshape(tf.sum(x, axis), input.shape)]], uses: []};
    const deferral = new Deferral();
    const layout = inverse(graph.aliases.get(input.id)?.layout ?? null);
    const use = useOf({kernel: 'Sum', inputs: {x}, attrs: {axis}, layout}, deferral, samples);
    const found = typeof use === 'string' ? `Tile.x: ${use}` : ({...use, tiled: true} as SumUse);
    return {gradients: [], uses: [[input, found]]};
  } finally {
    x.dispose();
  }
}

function parameterUse(
  dx: tf.Tensor,
  input: tf.Tensor,
  place: string,
  graph: Graph,
  deferral: Deferral,
  samples: number,
): Use | string {
  let origin = deferral.origin(dx);
  // Nothing needs to be taken apart where there is one sample: the gradient is its own.
  if (typeof origin === 'string' && samples === 1)
    origin = {kernel: 'Sum', inputs: {x: dx}, attrs: {axis: []}, layout: null};
  if (typeof origin === 'string') return `${place}: there is no rule for a gradient made by ${origin}`;
  const layout = compose(origin.layout, inverse(graph.aliases.get(input.id)?.layout ?? null));
  const use = useOf({...origin, layout}, deferral, samples);
  return typeof use === 'string' ? `${place}: ${use}` : use;
}
