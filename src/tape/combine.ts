/** All uses of one weight as one kernel call: contributions of a sample are summed before phi, so uses lie along l. */
import * as tf from '@tensorflow/tfjs-core';
import type {OperandRecord} from './record.js';
import {
  type ConvolutionUse,
  type DepthwiseUse,
  disposeUse,
  type LookupUse,
  type MatrixUse,
  type SumUse,
  type Use,
} from './rules.js';
import {engine} from './tfjs.js';

/**
 * Merges the uses of one variable, and disposes them.
 *
 * @param samples B
 * @returns the operands of one kernel call (their tensors kept: dispose them), or why there are none
 */
export function combine(uses: readonly Use[], samples: number): OperandRecord | string {
  try {
    return tf.tidy(() => {
      const record = merge(uses, samples);
      if (typeof record !== 'string') {
        engine().keep(record.deltas);
        if (record.activations) engine().keep(record.activations);
      }
      return record as OperandRecord & string;
    });
  } finally {
    for (const use of uses) disposeUse(use);
  }
}

function merge(uses: readonly Use[], samples: number): OperandRecord | string {
  const kinds = [...new Set(uses.map(({kind}) => kind))];
  if (kinds.length > 1) return `it is used in a ${kinds.join(' and in a ')}, which are not summed per sample yet`;
  const times = uses.length > 1 ? `, ${uses.length} uses` : '';
  switch (kinds[0]) {
    case 'matrix product':
      return matrixProducts(uses as MatrixUse[], samples, times);
    case '2-D convolution':
      return convolutions(uses as ConvolutionUse[], samples, times);
    case 'depthwise convolution':
      return depthwiseConvolutions(uses as DepthwiseUse[], samples, times);
    case 'lookup':
      return lookups(uses as LookupUse[], samples, times);
    case 'sum':
      return sums(uses as SumUse[], samples, times);
  }
}

function matrixProducts(uses: readonly MatrixUse[], samples: number, times: string): OperandRecord | string {
  const [first] = uses;
  const alike = ({activations, deltas}: MatrixUse) =>
    activations.shape[2] === first.activations.shape[2] && deltas.shape[2] === first.deltas.shape[2];
  if (!uses.every(alike)) return 'it is used as matrices of different shapes';
  const activations = along(uses.map((use) => use.activations));
  const deltas = along(uses.map((use) => use.deltas));
  const [, positions, fanIn] = activations.shape as number[];
  const fanOut = deltas.shape[2]!;
  if (positions === 1) {
    return {kernel: 'grad_moment_dense', params: {samples, fanIn, fanOut}, activations, deltas, rule: 'dense'};
  }
  const params = {
    samples,
    uses: 1,
    inHeight: positions,
    inWidth: 1,
    inChannels: fanIn,
    filterHeight: 1,
    filterWidth: 1,
    outHeight: positions,
    outWidth: 1,
    fanOut,
    strideHeight: 1,
    strideWidth: 1,
    dilationHeight: 1,
    dilationWidth: 1,
    padTop: 0,
    padLeft: 0,
  };
  return {kernel: 'grad_moment', params, activations, deltas, rule: `dense over ${positions} rows a sample${times}`};
}

function convolutions(uses: readonly ConvolutionUse[], samples: number, times: string): OperandRecord | string {
  const stacked = stack(uses);
  if (typeof stacked === 'string') return stacked;
  const {geometry, count, activations, deltas} = stacked;
  const params = {samples, uses: count, ...geometry};
  return {kernel: 'grad_moment', params, activations, deltas, rule: `convolution${times}`};
}

function depthwiseConvolutions(uses: readonly DepthwiseUse[], samples: number, times: string): OperandRecord | string {
  const stacked = stack(uses);
  if (typeof stacked === 'string') return stacked;
  const {geometry, count, activations, deltas} = stacked;
  const params = {samples, uses: count, ...geometry};
  return {kernel: 'grad_moment_depthwise', params, activations, deltas, rule: `depthwise convolution${times}`};
}

/** Images of all uses, as many more of each sample. */
function stack<U extends ConvolutionUse | DepthwiseUse>(uses: readonly U[]) {
  const geometry: U['geometry'] = uses[0].geometry;
  if (uses.some((use) => JSON.stringify(use.geometry) !== JSON.stringify(geometry))) {
    return 'it is used in convolutions of different geometry, which are not summed per sample yet';
  }
  const activations = along(uses.map((use) => use.activations));
  const deltas = along(uses.map((use) => use.deltas));
  return {geometry, count: activations.shape[1]!, activations, deltas};
}

function lookups(uses: readonly LookupUse[], samples: number, times: string): OperandRecord | string {
  const [{rows}] = uses;
  if (uses.some((use) => use.rows !== rows)) return 'it is used as tables of different shapes';
  const activations = along(uses.map((use) => use.activations));
  const deltas = along(uses.map((use) => use.deltas));
  const [, positions, fanOut] = deltas.shape as number[];
  const params = {samples, positions, rows, fanOut};
  return {kernel: 'grad_moment_gather', params, activations, deltas, rule: `embedding${times}`};
}

function sums(uses: readonly SumUse[], samples: number, times: string): OperandRecord | string {
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
    rule: `${scaled ? 'scale' : 'bias'}${times}`,
  };
}

/** Uses laid along l; always a new handle. */
function along(tensors: tf.Tensor[]): tf.Tensor {
  return tensors.length === 1 ? tf.clone(tensors[0]) : tf.concat(tensors, 1);
}
