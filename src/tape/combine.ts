/** All uses of one variable as kernel calls: contributions of a sample are summed before phi, so uses lie along l. */
import * as tf from '@tensorflow/tfjs-core';
import {chunked, type Share} from './chunks.js';
import type {Graph} from './graph.js';
import {placeUse} from './place.js';
import type {OperandRecord, VariableRecord} from './record.js';
import {engine} from './tfjs.js';
import {
  type ConvolutionUse,
  type DepthwiseUse,
  disposeUse,
  type Geometry,
  type LookupUse,
  type MatrixUse,
  rowsGeometry,
  ruleName,
  type SumUse,
  type Use,
} from './use.js';

/**
 * Merges the uses of one variable, which stay the caller's.
 *
 * @param samples B
 * @returns the operands of one kernel call where the uses fit one, else of chunks; its tensors are kept: dispose them
 */
export function combine(
  shares: readonly Share[],
  variable: tf.Variable,
  graph: Graph,
  samples: number,
): VariableRecord {
  return mergeShares(shares, samples) ?? chunked(shares, variable, graph, samples);
}

function mergeShares(shares: readonly Share[], samples: number): OperandRecord | undefined {
  const uses: Use[] = [];
  try {
    for (const {use, source} of shares) {
      const placed = 'part' in source ? placeUse(use, source.part) : undefined;
      if (!placed) return undefined;
      uses.push(placed);
    }
    return tf.tidy(() => {
      const record = merge(uses, samples);
      if (record) {
        engine().keep(record.deltas);
        if (record.activations) engine().keep(record.activations);
      }
      return record as OperandRecord & undefined;
    });
  } finally {
    uses.forEach(disposeUse);
  }
}

function merge(uses: readonly Use[], samples: number): OperandRecord | undefined {
  const [{kind}, ...others] = uses;
  if (others.some((use) => use.kind !== kind)) return undefined;
  const times = uses.length > 1 ? `, ${uses.length} uses` : '';
  switch (kind) {
    case 'matrix product':
      return matrixProducts(uses as MatrixUse[], samples, times);
    case 'convolution':
      return convolutions(uses as ConvolutionUse[], samples, times);
    case 'depthwise convolution':
      return depthwiseConvolutions(uses as DepthwiseUse[], samples, times);
    case 'lookup':
      return lookups(uses as LookupUse[], samples, times);
    case 'sum':
      return sums(uses as SumUse[], samples, times);
    case 'stack of matrix products':
      return undefined;
  }
}

function matrixProducts(uses: readonly MatrixUse[], samples: number, times: string): OperandRecord | undefined {
  const [first] = uses;
  const alike = ({activations, deltas}: MatrixUse) =>
    activations.shape[2] === first.activations.shape[2] && deltas.shape[2] === first.deltas.shape[2];
  if (!uses.every(alike)) return undefined;
  const activations = along(uses.map((use) => use.activations));
  const deltas = along(uses.map((use) => use.deltas));
  const [, positions, fanIn] = activations.shape as number[];
  const fanOut = deltas.shape[2]!;
  if (positions === 1) {
    return {kernel: 'grad_moment_dense', params: {samples, fanIn, fanOut}, activations, deltas, rule: 'dense'};
  }
  const params = {samples, uses: 1, ...rowsGeometry(positions, fanIn, fanOut)};
  return {kernel: 'grad_moment', params, activations, deltas, rule: `dense over ${positions} rows a sample${times}`};
}

function convolutions(uses: readonly ConvolutionUse[], samples: number, times: string): OperandRecord | undefined {
  const stacked = stack(uses);
  if (!stacked) return undefined;
  const {count, deltas} = stacked;
  const {geometry, activations} = cropped(stacked);
  const params = {samples, uses: count, ...geometry};
  return {kernel: 'grad_moment', params, activations, deltas, rule: `convolution${times}`};
}

/**
 * Without what lies before the first window. In three dimensions tfjs pads `same` by a negative number where windows are
 * further apart than they are long: it passes over the first pixels.
 */
function cropped({geometry, activations}: {geometry: Geometry; activations: tf.Tensor}) {
  const {padFront, padTop, padLeft, inDepth, inHeight, inWidth} = geometry;
  const [front, top, left] = [padFront, padTop, padLeft].map((pad) => Math.max(-pad, 0));
  if (front + top + left === 0) return {geometry, activations};
  const {inChannels} = geometry;
  const images = tf.reshape(activations, [-1, inDepth, inHeight, inWidth, inChannels]);
  const kept = tf.slice(images, [0, front, top, left, 0]);
  return {
    geometry: {
      ...geometry,
      inDepth: inDepth - front,
      inHeight: inHeight - top,
      inWidth: inWidth - left,
      padFront: padFront + front,
      padTop: padTop + top,
      padLeft: padLeft + left,
    },
    activations: tf.reshape(kept, [...activations.shape.slice(0, 2), ...kept.shape.slice(1)]),
  };
}

function depthwiseConvolutions(
  uses: readonly DepthwiseUse[],
  samples: number,
  times: string,
): OperandRecord | undefined {
  const stacked = stack(uses);
  if (!stacked) return undefined;
  const {geometry, count, activations, deltas} = stacked;
  const params = {samples, uses: count, ...geometry};
  return {kernel: 'grad_moment_depthwise', params, activations, deltas, rule: `depthwise convolution${times}`};
}

/** Images of all uses, as many more of each sample. */
function stack<U extends ConvolutionUse | DepthwiseUse>(uses: readonly U[]) {
  const geometry: U['geometry'] = uses[0].geometry;
  if (uses.some((use) => JSON.stringify(use.geometry) !== JSON.stringify(geometry))) {
    return undefined;
  }
  const activations = along(uses.map((use) => use.activations));
  const deltas = along(uses.map((use) => use.deltas));
  return {geometry, count: activations.shape[1]!, activations, deltas};
}

function lookups(uses: readonly LookupUse[], samples: number, times: string): OperandRecord | undefined {
  const [{rows}] = uses;
  if (uses.some((use) => use.rows !== rows)) return undefined;
  const activations = along(uses.map((use) => use.activations));
  const deltas = along(uses.map((use) => use.deltas));
  const [, positions, fanOut] = deltas.shape as number[];
  const params = {samples, positions, rows, fanOut};
  return {kernel: 'grad_moment_gather', params, activations, deltas, rule: `embedding${times}`};
}

function sums(uses: readonly SumUse[], samples: number, times: string): OperandRecord | undefined {
  if (uses.some((use) => use.deltas.shape[2] !== uses[0].deltas.shape[2])) return undefined;
  const scaled = uses.every((use) => use.activations);
  // A bias that is also a scale: with A = 1 for all uses, a scale's contribution is the product itself.
  const deltas = along(
    uses.map((use) => (scaled || !use.activations ? use.deltas : tf.mul(use.activations, use.deltas))),
  );
  const [, positions, fanOut] = deltas.shape as number[];
  return {
    kernel: 'grad_moment_sum',
    params: {samples, positions, fanOut, scaled: scaled ? 1 : 0},
    activations: scaled ? along(uses.map((use) => use.activations!)) : null,
    deltas,
    rule: `${[...new Set(uses.map(ruleName))].join(' and ')}${times}`,
  };
}

/** Uses laid along l; always a new handle. */
function along(tensors: tf.Tensor[]): tf.Tensor {
  return tensors.length === 1 ? tf.clone(tensors[0]) : tf.concat(tensors, 1);
}
