/** One use of a parameter in the network: what of it meets which data, sample by sample. */
import * as tf from '@tensorflow/tfjs-core';
import {flatDepth, type Params} from '../kernels/table.js';
import type {Matrix} from './layout.js';
import {engine, type KernelAttrs} from './tfjs.js';

/** Geometry of a convolution: the parameters of `grad_moment` that do not depend on the batch. */
export type Geometry = Omit<Params<'grad_moment'>, 'phi' | 'samples' | 'uses'>;

/** Rows as a convolution: a column of `positions` pixels under a 1x1 filter. */
export function rowsGeometry(positions: number, fanIn: number, fanOut: number): Geometry {
  return {
    ...flatDepth,
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
}

interface Operands {
  /** A[b,l,...], uses along l; null where every A is 1. Of a lookup the ids: there A is 1 in the row of the id. */
  readonly activations: tf.Tensor | null;
  /** D[b,l,...]. */
  readonly deltas: tf.Tensor;
  /** The gradient that the operands make is this matrix transposed, compared with the parameter; null: it is not. */
  readonly layout: Matrix | null;
}
/** A matrix product: A is [B, L, P], D is [B, L, Q]. */
export interface MatrixUse extends Operands {
  readonly kind: 'matrix product';
  readonly activations: tf.Tensor;
}
/** Several matrices side by side, each with its own product: A is [B, H, L, P], D is [B, H, L, Q]. */
export interface StackUse extends Operands {
  readonly kind: 'stack of matrix products';
  readonly activations: tf.Tensor;
}
/** The kernel of TensorFlow.js that makes the gradient of a filter from images and deltas. */
export interface FilterGradient {
  readonly kernel: string;
  readonly attrs: KernelAttrs;
}
/** A convolution: A is [B, U, H, W, Cin], D is [B, U, H', W', Q]; in three dimensions [B, U, D, H, W, Cin] and so on. */
export interface ConvolutionUse extends Operands {
  readonly kind: 'convolution';
  readonly activations: tf.Tensor;
  readonly geometry: Geometry;
  readonly gradient: FilterGradient;
}
/** A depthwise convolution: A is [B, U, H, W, C], D is [B, U, H', W', C * multiplier]. */
export interface DepthwiseUse extends Operands {
  readonly kind: 'depthwise convolution';
  readonly activations: tf.Tensor;
  readonly geometry: Omit<Params<'grad_moment_depthwise'>, 'phi' | 'samples' | 'uses'>;
  readonly gradient: FilterGradient;
}
/** Rows of a table looked up by ids, an embedding: ids are [B, L], D is [B, L, Q]. */
export interface LookupUse extends Operands {
  readonly kind: 'lookup';
  readonly activations: tf.Tensor;
  readonly rows: number;
}
/** A bias or a scale: D is [B, L, Q], and so is A. */
export interface SumUse extends Operands {
  readonly kind: 'sum';
  /** The network itself gave every position a copy, by a Tile: D may hold a scale's activations as well as a bias'. */
  readonly tiled?: true;
}
/** Its tensors are kept: dispose them. */
export type Use = MatrixUse | StackUse | ConvolutionUse | DepthwiseUse | LookupUse | SumUse;

/** What a use is called in reports. */
export function ruleName(use: Use): string {
  if (use.kind !== 'sum') return ruleNames[use.kind];
  return use.tiled ? 'broadcast' : use.activations ? 'scale' : 'bias';
}

const ruleNames = {
  'matrix product': 'dense',
  'stack of matrix products': 'stack of dense',
  convolution: 'convolution',
  'depthwise convolution': 'depthwise convolution',
  lookup: 'embedding',
} as const;

/** The same use with tensors of its own. */
export function cloneUse<U extends Use>(use: U): U {
  return {...use, activations: use.activations && tf.clone(use.activations), deltas: tf.clone(use.deltas)};
}

export function disposeUse(use: Use): void {
  use.activations?.dispose();
  use.deltas.dispose();
}

/** Makes a use; its tensors outlive every scope, what else is made on the way does not. */
export function keepUse<U extends Use | string>(make: () => U): U {
  engine().startScope('engram rule');
  try {
    const use = make();
    if (typeof use !== 'string') {
      engine().keep(use.deltas);
      if (use.activations) engine().keep(use.activations);
    }
    return use;
  } finally {
    engine().endScope();
  }
}
