/**
 * The backward pass: from the seeds at the outputs back to the variables, whose gradients are not computed but taken
 * apart into operands. Everything else is TensorFlow.js' own gradient functions, in its own order.
 */
import * as tf from '@tensorflow/tfjs-core';
import {combine} from './combine.js';
import {Deferral} from './deferred.js';
import type {Alias, Graph, Recording} from './graph.js';
import {compose, inverse} from './layout.js';
import type {OperandRecord} from './record.js';
import {disposeUse, type Use, useOf} from './rules.js';
import {contained, disposeAll, type TapeNode} from './tfjs.js';

/** By variable: the operands of one kernel call, or why there are none. Variables that were not reached are absent. */
export type Operands = Map<string, OperandRecord | string>;

/**
 * Walks the tape once.
 *
 * @param seeds dS/dF for every output; they are disposed
 * @param last frees what tfjs saved of each node as soon as it has been walked; the trace cannot be walked again
 * @throws whatever a gradient function of tfjs throws; nothing is left behind
 */
export function walk({trace, graph, samples}: Recording, seeds: tf.Tensor[], last: boolean): Operands {
  const uses = new Map<string, (Use | string)[]>();
  try {
    contained(() => {
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
            for (const [variable, use] of step.uses) {
              const list = uses.get(variable);
              if (list) list.push(use);
              else uses.set(variable, [use]);
            }
          }
          disposeAll(dys.filter((dy) => dy !== null));
          if (last) disposeAll(node.saved);
        }
      } finally {
        disposeAll(seeds);
      }
    });
  } catch (error) {
    for (const list of uses.values()) disposeUses(list);
    throw error;
  }
  const operands: Operands = new Map();
  for (const [variable, list] of uses) {
    const obstacle = graph.indirect.get(variable) ?? list.find((use) => typeof use === 'string');
    if (obstacle === undefined) operands.set(variable, combine(list as Use[], samples));
    else {
      disposeUses(list);
      operands.set(variable, obstacle);
    }
  }
  for (const [variable, reason] of graph.indirect) operands.set(variable, reason);
  // No variable may be lost: whatever is on the path has operands or takes the fallback.
  for (const {variable} of graph.aliases.values()) {
    if (operands.has(variable) || graph.unreached.has(variable)) continue;
    operands.set(variable, 'no gradient arrived at it');
  }
  return operands;
}

export function disposeOperands(operands: Operands): void {
  for (const record of operands.values()) {
    if (typeof record === 'string') continue;
    record.activations?.dispose();
    record.deltas.dispose();
  }
}

function disposeUses(uses: readonly (Use | string)[]): void {
  for (const use of uses) if (typeof use !== 'string') disposeUse(use);
}

/** Gradients on their way, by tensor id; several consumers of a tensor add up. */
class Gradients {
  private readonly pending = new Map<number, tf.Tensor>();

  /** Takes ownership of `dx`. */
  add(id: number, dx: tf.Tensor): void {
    const before = this.pending.get(id);
    this.pending.set(id, before ? tf.add(before, dx) : dx);
    if (before) disposeAll([before, dx]);
  }

  take(id: number): tf.Tensor | null {
    const dy = this.pending.get(id) ?? null;
    this.pending.delete(id);
    return dy;
  }
}

interface Step {
  /** By the id of an input; fresh tensors of the current scope. */
  gradients: [number, tf.Tensor][];
  uses: [variable: string, Use | string][];
}

/** One node: gradients for its data inputs, operands for its parameters. */
function stepBack(node: TapeNode, dys: (tf.Tensor | null)[], graph: Graph, samples: number): Step {
  const parameters = Object.values(node.inputs).some((input) => input != null && graph.aliases.has(input.id));
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
    const thunks = gradientFunctions(node, dys);
    for (const [name, input] of differentiableInputs(node, graph)) {
      const alias = graph.aliases.get(input.id);
      if (alias) step.uses.push([alias.variable, why]);
      else step.gradients.push([input.id, ownGradient(tf.tidy(thunk(thunks, name, node)), name, node)]);
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
      const thunks = deferral.run(() => gradientFunctions(node, dys), false);
      for (const [name, input] of differentiableInputs(node, graph)) {
        const alias = graph.aliases.get(input.id);
        const dx = deferral.run(() => tf.tidy(thunk(thunks, name, node)), alias !== undefined);
        if (!alias) step.gradients.push([input.id, ownGradient(deferral.value(dx), name, node)]);
        else step.uses.push([alias.variable, parameterUse(dx, alias, `${node.kernelName}.${name}`, deferral, samples)]);
      }
      return step.gradients.map(([, dx]) => dx);
    });
    return step;
  } catch (error) {
    disposeUses(step.uses.map(([, use]) => use));
    throw error;
  } finally {
    deferral.dispose();
  }
}

function parameterUse(dx: tf.Tensor, alias: Alias, place: string, deferral: Deferral, samples: number): Use | string {
  const origin = deferral.origin(dx);
  if (typeof origin === 'string') return `${place}: there is no rule for a gradient made by ${origin}`;
  const use = useOf({...origin, layout: compose(origin.layout, inverse(alias.layout))}, deferral, samples);
  return typeof use === 'string' ? `${place}: ${use}` : use;
}

function gradientFunctions(node: TapeNode, dys: (tf.Tensor | null)[]): Record<string, () => tf.Tensor> {
  if (node.gradient) return node.gradient(dys);
  throw new Error(`Cannot compute gradient: gradient function not found for ${node.kernelName}.`);
}

function thunk(thunks: Record<string, () => tf.Tensor>, name: string, node: TapeNode): () => tf.Tensor {
  if (thunks[name]) return thunks[name];
  throw new Error(`Cannot backprop through input ${name} of ${node.kernelName}.`);
}

function differentiableInputs(node: TapeNode, graph: Graph): [name: string, input: tf.Tensor][] {
  return Object.entries(node.inputs).filter(
    (entry): entry is [string, tf.Tensor] => entry[1] != null && graph.differentiable.has(entry[1].id),
  );
}

/** The gradient as a tensor that nobody else holds: a gradient function may return its own dy, or some constant. */
function ownGradient(dx: tf.Tensor, name: string, node: TapeNode): tf.Tensor {
  if (dx.dtype === 'float32') return tf.clone(dx);
  throw new Error(`The gradient of input ${name} of ${node.kernelName} is ${dx.dtype}, not float32.`);
}
