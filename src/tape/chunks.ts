/**
 * A variable whose uses do not fit one kernel call: a table that is looked up here and multiplied with there, a filter
 * used with two strides, weights that are normalised or cut up before they meet the data.
 *
 * The contributions of all uses to a sample's gradient must be added before phi. Where all uses are rows of one matrix
 * they still lie along l: a lookup is a product with one-hot rows. Otherwise each use gives its per-sample gradients,
 * which are placed in the variable, or led back to it through the computation in between, and added up. Either way a
 * chunk of samples at a time, so that memory is bounded whatever the batch.
 */
import * as tf from '@tensorflow/tfjs-core';
import {Gradients, gradientFunction, gradientFunctions, namedInputs, ownGradient} from './backward.js';
import type {Graph} from './graph.js';
import {margins, type Part} from './layout.js';
import type {ChunkedRecord, OperandRecord} from './record.js';
import {engine} from './tfjs.js';
import {cloneUse, keepUse, type LookupUse, type MatrixUse, rowsGeometry, ruleName, type Use} from './use.js';

/** A use of a part of the variable, or of a tensor that is computed from it without data. */
export interface Share {
  readonly use: Use;
  readonly source: {readonly part: Part | null} | {readonly tensor: tf.Tensor};
}

/** Elements of scratch memory that a chunk may take: 64 MiB. */
const chunkElements = 2 ** 24;

/** The variable's record. The uses stay the caller's. */
export function chunked(
  borrowed: readonly Share[],
  variable: tf.Variable,
  graph: Graph,
  samples: number,
): ChunkedRecord {
  const shares = borrowed.map(({use, source}): Share => ({use: keepUse(() => cloneUse(use)), source}));
  const rows = asRows(shares);
  const perSample = rows
    ? rows.reduce((sum, use) => sum + rowsOf(use).elements, 0)
    : shares.reduce((sum, {use}) => sum + gradientSize(use) + scratchSize(use), 2 * variable.size);
  return {
    kernel: 'chunks',
    samples,
    samplesPerChunk: Math.max(1, Math.min(samples, Math.floor(chunkElements / Math.max(perSample, 1)))),
    chunk: (from, count) =>
      rows ? rowsChunk(rows, from, count) : gradientsChunk(shares, variable, graph, from, count),
    uses: shares.map(({use}) => use),
    rule: ruleOf(shares, variable.name, graph),
  };
}

type RowsUse = MatrixUse | LookupUse;

/** The uses, if all are rows of the same matrix. */
function asRows(shares: readonly Share[]): RowsUse[] | undefined {
  const uses: RowsUse[] = [];
  for (const {use, source} of shares) {
    const whole = 'part' in source && source.part === null && use.layout === null;
    if (!whole || (use.kind !== 'matrix product' && use.kind !== 'lookup')) return undefined;
    uses.push(use);
  }
  const shape = (use: RowsUse) => `${rowsOf(use).fanIn} x ${use.deltas.shape[2]}`;
  return uses.every((use) => shape(use) === shape(uses[0])) ? uses : undefined;
}

function rowsOf(use: RowsUse): {fanIn: number; elements: number} {
  const fanIn = use.kind === 'lookup' ? use.rows : use.activations.shape[2]!;
  return {fanIn, elements: use.deltas.shape[1]! * (fanIn + use.deltas.shape[2]!)};
}

function rowsChunk(uses: readonly RowsUse[], from: number, count: number): OperandRecord {
  const samplesOf = (x: tf.Tensor) => tf.slice(x, [from], [count]);
  const activations = uses.map((use) => {
    const chunk = samplesOf(use.activations);
    return use.kind === 'lookup' ? oneHot(chunk, use.rows) : chunk;
  });
  const A = tf.concat(activations, 1);
  const D = tf.concat(
    uses.map(({deltas}) => samplesOf(deltas)),
    1,
  );
  const params = {samples: count, uses: 1, ...rowsGeometry(A.shape[1]!, A.shape[2]!, D.shape[2]!)};
  return {kernel: 'grad_moment', params, activations: A, deltas: D, rule: 'dense'};
}

/** Ids that name no row give a row of zeros, as in `grad_moment_gather`. */
const oneHot = (ids: tf.Tensor, rows: number): tf.Tensor => tf.cast(tf.oneHot(ids, rows), 'float32');

function gradientsChunk(
  shares: readonly Share[],
  variable: tf.Variable,
  graph: Graph,
  from: number,
  count: number,
): OperandRecord {
  const direct: tf.Tensor[] = [];
  const byTensor = new Map<number, {shape: number[]; gradients: tf.Tensor[]}>();
  for (const {use, source} of shares) {
    const gradients = inOrder(use, gradientsOf(use, from, count), count);
    if ('part' in source) direct.push(placed(gradients, source.part, count));
    else {
      const {id, shape} = source.tensor;
      const entry = byTensor.get(id) ?? {shape, gradients: []};
      entry.gradients.push(gradients);
      byTensor.set(id, entry);
    }
  }
  if (byTensor.size > 0) {
    const derived = [...byTensor].map(([id, {shape, gradients}]) => ({id, shape, sum: tf.addN(gradients)}));
    const perSample = Array.from({length: count}, (_, b) =>
      tf.tidy(() => {
        const seeds = derived.map(({id, shape, sum}): [number, tf.Tensor] => [
          id,
          tf.reshape(tf.slice(sum, [b], [1]), shape),
        ]);
        return tf.reshape(ledBack(seeds, variable, graph), [1, variable.size]);
      }),
    );
    direct.push(tf.concat(perSample, 0));
  }
  return {
    kernel: 'grad_moment_sum',
    params: {samples: count, positions: 1, fanOut: variable.size, scaled: 0},
    activations: null,
    deltas: tf.reshape(tf.addN(direct), [count, 1, variable.size]),
    rule: 'sum',
  };
}

/** Per-sample gradients of what is used, [count, size], in the order of the kernel's result. */
function gradientsOf(use: Use, from: number, count: number): tf.Tensor {
  const samplesOf = (x: tf.Tensor) => tf.slice(x, [from], [count]);
  const D = samplesOf(use.deltas);
  const flat = (x: tf.Tensor) => tf.reshape(x, [count, -1]);
  switch (use.kind) {
    case 'matrix product':
    case 'stack of matrix products':
      return flat(tf.matMul(samplesOf(use.activations), D, true));
    case 'lookup':
      return flat(tf.matMul(oneHot(samplesOf(use.activations), use.rows), D, true));
    case 'sum':
      return tf.sum(use.activations ? tf.mul(samplesOf(use.activations), D) : D, 1);
    default: {
      // [B, U, ...] with U images of each sample: one sample's images are the batch that TensorFlow.js sums over.
      const images = (x: tf.Tensor, b: number) => tf.reshape(tf.slice(x, [b], [1]), x.shape.slice(1));
      const {kernel, attrs} = use.gradient;
      const gradient = (b: number) =>
        engine().runKernel(
          kernel,
          {x: images(use.activations, from + b), dy: images(use.deltas, from + b)},
          {...attrs},
        );
      return tf.concat(
        Array.from({length: count}, (_, b) => tf.reshape(gradient(b) as tf.Tensor, [1, -1])),
        0,
      );
    }
  }
}

/** In the order of the tensor that is used. */
function inOrder({layout}: Use, gradients: tf.Tensor, count: number): tf.Tensor {
  if (!layout) return gradients;
  return tf.reshape(tf.transpose(tf.reshape(gradients, [count, ...layout]), [0, 2, 1]), [count, -1]);
}

/** Gradients of a part, with zeros around them: gradients of the variable. */
function placed(gradients: tf.Tensor, part: Part | null, count: number): tf.Tensor {
  if (!part) return gradients;
  const {outer, size, inner} = part;
  const [before, after] = margins(part).map((n) => n * inner);
  const rows = tf.reshape(gradients, [count, outer, size * inner]) as tf.Tensor3D;
  return tf.reshape(
    tf.pad3d(rows, [
      [0, 0],
      [0, 0],
      [before, after],
    ]),
    [count, -1],
  );
}

/** The gradient of a variable, from those of tensors that are computed from it without data. */
function ledBack(seeds: [id: number, gradient: tf.Tensor][], variable: tf.Variable, graph: Graph): tf.Tensor {
  const gradients = new Gradients();
  for (const [id, gradient] of seeds) gradients.add(id, gradient);
  const leads = (id: number) => graph.roots.get(id)?.has(variable.name) ?? false;
  for (const node of graph.preparation) {
    const dys = node.outputs.map(({id}) => gradients.take(id));
    if (dys.every((dy) => dy === null)) continue;
    const functions = gradientFunctions(node, dys);
    for (const [name, input] of namedInputs(node, leads)) {
      gradients.add(input.id, ownGradient(gradientFunction(functions, name, node)(), name, node));
    }
  }
  return gradients.take(variable.id)!;
}

/** Elements of one sample's gradient of what is used. */
function gradientSize(use: Use): number {
  const {deltas} = use;
  switch (use.kind) {
    case 'matrix product':
      return use.activations.shape[2]! * deltas.shape[2]!;
    case 'stack of matrix products':
      return deltas.shape[1]! * use.activations.shape[3]! * deltas.shape[3]!;
    case 'lookup':
      return use.rows * deltas.shape[2]!;
    case 'sum':
      return deltas.shape[2]!;
    default:
      return tf.util.sizeFromShape(use.gradient.attrs.filterShape as number[]);
  }
}

/** Elements of what else a sample takes: the one-hot rows of a lookup, the product of a scale. */
function scratchSize({kind, activations, deltas, ...use}: Use): number {
  if (kind === 'lookup') return deltas.shape[1]! * (use as LookupUse).rows;
  return kind === 'sum' && activations ? deltas.size / deltas.shape[0] : 0;
}

/** How it is found, for reports: `embedding and dense, per-sample gradients in chunks`. */
function ruleOf(shares: readonly Share[], variable: string, graph: Graph): string {
  const kinds = new Set(shares.map(({use}) => ruleName(use)));
  const derived = shares.some(({source}) => 'tensor' in source);
  const behind = graph.preparation.filter(({outputs}) => graph.roots.get(outputs[0].id)?.has(variable));
  const between = [...new Set(behind.map(({kernelName}) => kernelName))].reverse().join(', ');
  return `${[...kinds].join(' and ')}${derived ? ` through ${between}` : ''}, per-sample gradients in chunks`;
}
