/** What on the tape depends on what: the nodes between variables and outputs, and the tensors that are variables. */
import type * as tf from '@tensorflow/tfjs-core';
import {compose, type Layout, transposition} from './layout.js';
import {layoutPreserving} from './logits.js';
import type {Tensors} from './network.js';
import type {TapeNode} from './tfjs.js';
import type {Trace} from './trace.js';

/** A tensor that holds exactly a variable's elements. */
export interface Alias {
  readonly variable: string;
  /** From the variable's order of elements to the tensor's. */
  readonly layout: Layout;
}

export interface Graph {
  /** Nodes on the path from a variable to an output that work on data, last first: those to walk back through. */
  readonly path: readonly TapeNode[];
  /** By tensor id: the variables and their reshapes, casts, clones and transpositions. */
  readonly aliases: ReadonlyMap<number, Alias>;
  /** Ids of tensors through which a gradient flows on to a variable. */
  readonly differentiable: ReadonlySet<number>;
  /** Ids of tensors that depend on the network's input. */
  readonly data: ReadonlySet<number>;
  /** Variables that reach an output through a computation without data, such as weight normalisation, and why. */
  readonly indirect: ReadonlyMap<string, string>;
  readonly unreached: ReadonlySet<string>;
}

/** A batch of B samples on the tape, understood: what can be walked back through. */
export interface Recording {
  readonly trace: Trace;
  readonly graph: Graph;
  readonly samples: number;
}

/** Reads dependencies off the tape, in one pass forward and one back. */
export function graphOf(trace: Trace, x: Tensors, variables: readonly tf.Variable[]): Graph {
  const data = new Set((Array.isArray(x) ? x : [x]).map(({id}) => id));
  const aliases = new Map<number, Alias>(variables.map(({id, name}) => [id, {variable: name, layout: null}]));
  // Variables behind every tensor computed from variables and constants alone.
  const roots = new Map<number, ReadonlySet<string>>(variables.map(({id, name}) => [id, new Set([name])]));
  const dependent = new Set(aliases.keys());

  for (const node of trace.nodes) {
    const inputs = inputsOf(node);
    const fromData = inputs.some(({id}) => data.has(id));
    if (fromData) for (const {id} of node.outputs) data.add(id);
    if (!inputs.some(({id}) => dependent.has(id))) continue;
    for (const {id} of node.outputs) dependent.add(id);
    if (fromData) continue;
    const alias = aliasOf(node, aliases, trace.permutations);
    if (alias) aliases.set(node.outputs[0].id, alias);
    const behind = new Set(inputs.flatMap(({id}) => [...(roots.get(id) ?? [])]));
    for (const {id} of node.outputs) roots.set(id, behind);
  }

  const wanted = new Set(trace.outputs.map(({id}) => id));
  const path: TapeNode[] = [];
  const indirect = new Map<string, string>();
  for (const {id} of trace.outputs) blame(roots.get(id), 'an output is computed without the data', indirect);
  for (const node of [...trace.nodes].reverse()) {
    if (!node.outputs.some(({id}) => wanted.has(id) && dependent.has(id))) continue;
    for (const {id} of inputsOf(node)) wanted.add(id);
    const first = node.outputs[0].id;
    if (!roots.has(first)) path.push(node);
    else if (!aliases.has(first)) {
      blame(roots.get(first), `${node.kernelName} works on parameters and constants alone`, indirect);
    }
  }
  const differentiable = new Set([...dependent].filter((id) => !roots.has(id) || aliases.has(id)));
  const unreached = new Set(variables.filter(({id}) => !wanted.has(id)).map(({name}) => name));
  return {path, aliases, differentiable, data, indirect, unreached};
}

export function inputsOf(node: TapeNode): tf.Tensor[] {
  return Object.values(node.inputs).filter((input) => input != null);
}

function aliasOf(
  node: TapeNode,
  aliases: ReadonlyMap<number, Alias>,
  permutations: Trace['permutations'],
): Alias | undefined {
  const [input, ...others] = inputsOf(node);
  const source = aliases.get(input.id);
  const output = node.outputs[0];
  if (!source || others.length > 0 || output.dtype !== 'float32') return undefined;
  if (node.kernelName in layoutPreserving) return source;
  const perm = node.kernelName === 'Transpose' ? permutations.get(output.id) : undefined;
  const layout = perm && compose(source.layout, transposition(input.shape, perm));
  return layout === undefined ? undefined : {variable: source.variable, layout};
}

function blame(names: Iterable<string> | undefined, reason: string, reasons: Map<string, string>): void {
  for (const name of names ?? []) if (!reasons.has(name)) reasons.set(name, reason);
}
