/**
 * What on the tape depends on what: the nodes between variables and outputs, the tensors that are variables, and those
 * that are computed from variables alone.
 */
import * as tf from '@tensorflow/tfjs-core';
import {compose, type Layout, type Part, partOf, transposition} from './layout.js';
import {layoutPreserving} from './logits.js';
import type {Tensors} from './network.js';
import type {TapeNode} from './tfjs.js';
import type {Trace} from './trace.js';

/** A tensor that holds exactly a variable's elements, or a part of them. */
export interface Alias {
  readonly variable: string;
  /** Which of the variable's elements; null for all. */
  readonly part: Part | null;
  /** From the order of those elements in the variable to the tensor's. */
  readonly layout: Layout;
}

export interface Graph {
  /** Nodes on the path from a variable to an output that work on data, last first: those to walk back through. */
  readonly path: readonly TapeNode[];
  /** Nodes on the path that work on variables and constants alone, such as weight normalisation, last first. */
  readonly preparation: readonly TapeNode[];
  /** By tensor id: the variables and their reshapes, casts, clones, transpositions and slices. */
  readonly aliases: ReadonlyMap<number, Alias>;
  /** By tensor id, for everything computed from variables and constants alone: the variables behind it. */
  readonly roots: ReadonlyMap<number, ReadonlySet<string>>;
  /** Ids of tensors that depend on a variable. */
  readonly dependent: ReadonlySet<number>;
  /** Ids of tensors whose first axis holds the samples: what depends on the network's input, and initial states. */
  readonly data: ReadonlySet<number>;
  /** Variables that reach an output without meeting the data, and why that has no rule. */
  readonly indirect: ReadonlyMap<string, string>;
  readonly unreached: ReadonlySet<string>;
}

/** A batch of B samples on the tape, understood: what can be walked back through. */
export interface Recording {
  readonly trace: Trace;
  readonly graph: Graph;
  readonly samples: number;
  /** The variables whose gradients are wanted. */
  readonly variables: readonly tf.Variable[];
}

/** Reads dependencies off the tape, in one pass forward and one back. */
export function graphOf(trace: Trace, x: Tensors, variables: readonly tf.Variable[], samples: number): Graph {
  const data = new Set((Array.isArray(x) ? x : [x]).map(({id}) => id));
  const aliases = new Map<number, Alias>(
    variables.map(({id, name}) => [id, {variable: name, part: null, layout: null}]),
  );
  const roots = new Map<number, ReadonlySet<string>>(variables.map(({id, name}) => [id, new Set([name])]));
  const dependent = new Set(aliases.keys());

  for (const node of trace.nodes) {
    const inputs = inputsOf(node);
    const needsVariable = inputs.some(({id}) => dependent.has(id));
    const constants = inputs.filter(({id}) => !data.has(id) && !dependent.has(id));
    const spreads = needsVariable && spreadsOverSamples(node, constants, samples);
    const fromData = spreads || inputs.some(({id}) => data.has(id));
    if (spreads) for (const {id} of constants) data.add(id);
    if (fromData) for (const {id} of node.outputs) data.add(id);
    if (!needsVariable) continue;
    for (const {id} of node.outputs) dependent.add(id);
    if (fromData) continue;
    const behind = new Set(inputs.flatMap(({id}) => [...(roots.get(id) ?? [])]));
    for (const {id} of node.outputs) roots.set(id, behind);
    for (const [id, alias] of aliasesMade(node, aliases, trace)) aliases.set(id, alias);
  }

  const wanted = new Set(trace.outputs.map(({id}) => id));
  const path: TapeNode[] = [];
  const preparation: TapeNode[] = [];
  for (const node of trace.nodes.toReversed()) {
    if (!node.outputs.some(({id}) => wanted.has(id) && dependent.has(id))) continue;
    for (const {id} of inputsOf(node)) wanted.add(id);
    (roots.has(node.outputs[0].id) ? preparation : path).push(node);
  }
  const indirect = new Map<string, string>();
  for (const {id} of trace.outputs) {
    for (const name of roots.get(id) ?? []) indirect.set(name, 'an output is computed without the data');
  }
  const unreached = new Set(variables.filter(({id}) => !wanted.has(id)).map(({name}) => name));
  return {path, preparation, aliases, roots, dependent, data, indirect, unreached};
}

export function inputsOf(node: TapeNode): tf.Tensor[] {
  return Object.values(node.inputs).filter((input) => input != null);
}

/** Kernels whose first input is the activations, and the axis of their samples, counted from the end. */
const activationsAxis: Readonly<Record<string, number>> = {
  BatchMatMul: -2,
  fusedMatMul__op: -2,
  Conv2D: -4,
  fusedConv2d__op: -4,
  Conv3D: -5,
};

/**
 * Whether a node gives every sample a copy of what was computed from variables alone: a Tile over the samples, as layer
 * normalisation has it, or a constant that stands for data, as the zero state before the first step of an LSTM. A guess
 * by shapes, which the certificate checks; a batch of one cannot be guessed wrong.
 */
function spreadsOverSamples(node: TapeNode, constants: tf.Tensor[], samples: number): boolean {
  const holdsSamples = (length: number | undefined) =>
    length !== undefined && length % samples === 0 && (samples > 1 || length === 1);
  const [output] = node.outputs;
  const [first, ...others] = inputsOf(node);
  if (node.kernelName === 'Tile') return holdsSamples(output.shape[0] / first.shape[0]);
  if (constants.length === 0) return false;
  const axis = activationsAxis[node.kernelName];
  if (axis !== undefined) return constants.includes(first) && holdsSamples(first.shape.at(axis));
  // Elementwise: an axis of samples that the variables' side lacks.
  const isSpread = ({shape}: tf.Tensor) => shape.length === output.rank && shape[0] === output.shape[0];
  return (
    holdsSamples(output.shape[0]) && [first, ...others].every((input) => constants.includes(input) === isSpread(input))
  );
}

/** The outputs of a node that hold no more than a variable's elements. */
function aliasesMade(node: TapeNode, aliases: ReadonlyMap<number, Alias>, trace: Trace): [id: number, Alias][] {
  const [input, ...others] = inputsOf(node);
  const source = aliases.get(input.id);
  const [first] = node.outputs;
  if (!source || others.length > 0 || first.dtype !== 'float32') return [];
  if (node.kernelName in layoutPreserving) return [[first.id, source]];
  const attrs = trace.attributes.get(first.id);
  if (node.kernelName === 'Transpose') {
    const layout = compose(source.layout, transposition(input.shape, attrs!.perm as number[]));
    return layout === undefined ? [] : [[first.id, {...source, layout}]];
  }
  if (source.part || source.layout) return []; // part of a part, or of a transposed matrix
  const made: [number, Alias][] = [];
  const add = ({id}: tf.Tensor, part: Part | null | undefined) => {
    if (part !== undefined) made.push([id, {...source, part}]);
  };
  if (node.kernelName === 'Slice') {
    const [begin, size] = tf.slice_util.parseSliceParams(input, attrs!.begin as number[], attrs!.size as number[]);
    add(first, partOf(input.shape, begin, size));
  } else if (node.kernelName === 'SplitV') {
    const [axis] = tf.util.parseAxisParam(attrs!.axis as number, input.shape);
    let start = 0;
    for (const output of node.outputs) {
      const begin = input.shape.map((_, a) => (a === axis ? start : 0));
      add(output, partOf(input.shape, begin, output.shape));
      start += output.shape[axis];
    }
  }
  return made;
}
