/**
 * From the kernel that would sum a parameter's gradient over the batch to what it would sum, per sample.
 *
 * A rule reads one kernel's operands as A[b,l,p] and D[b,l,q] with the sample slowest. That the rows of a network really
 * lie that way is not provable from shapes (a time-major network has the same ones): the certificate checks it.
 */
import * as tf from '@tensorflow/tfjs-core';
import type {Params} from '../kernels/table.js';
import type {Deferral, Origin} from './deferred.js';
import type {Layout} from './layout.js';
import {engine} from './tfjs.js';

/** Geometry of a convolution: the parameters of `grad_moment` that do not depend on the batch. */
export type Geometry = Omit<Params<'grad_moment'>, 'phi' | 'samples' | 'uses'>;

interface Operands {
  /** A[b,l,...], uses along l; null where every A is 1. Of a lookup the ids: there A is 1 in the row of the id. */
  readonly activations: tf.Tensor | null;
  /** D[b,l,...]. */
  readonly deltas: tf.Tensor;
}
/** A matrix product: A is [B, L, P], D is [B, L, Q]. */
export interface MatrixUse extends Operands {
  readonly kind: 'matrix product';
  readonly activations: tf.Tensor;
}
/** A 2-D convolution: A is [B, U, H, W, Cin], D is [B, U, H', W', Q]. */
export interface ConvolutionUse extends Operands {
  readonly kind: '2-D convolution';
  readonly activations: tf.Tensor;
  readonly geometry: Geometry;
}
/** A depthwise convolution: A is [B, U, H, W, C], D is [B, U, H', W', C * multiplier]. */
export interface DepthwiseUse extends Operands {
  readonly kind: 'depthwise convolution';
  readonly activations: tf.Tensor;
  readonly geometry: Omit<Params<'grad_moment_depthwise'>, 'phi' | 'samples' | 'uses'>;
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
}
/** One use of a parameter in the network. Its tensors are kept: dispose them. */
export type Use = MatrixUse | ConvolutionUse | DepthwiseUse | LookupUse | SumUse;

/** The operands of one use, or why there are none. */
export function useOf(origin: Origin, deferral: Deferral, samples: number): Use | string {
  if (origin.layout === undefined) return 'its gradient is a permutation that is no matrix transposition';
  const use = kernelUse(origin, deferral, samples);
  if (typeof use === 'string' || origin.layout === null) return use;
  const swapped = swap(use, origin.layout);
  if (typeof swapped === 'string') disposeUse(use);
  return swapped;
}

export function disposeUse(use: Use): void {
  use.activations?.dispose();
  use.deltas.dispose();
}

function kernelUse(origin: Origin, deferral: Deferral, samples: number): Use | string {
  switch (origin.kernel) {
    case 'BatchMatMul':
      return matrixProduct(origin, samples);
    case 'Conv2DBackpropFilter':
      return convolution(origin, samples, false);
    case 'DepthwiseConv2dNativeBackpropFilter':
      return convolution(origin, samples, true);
    case 'UnsortedSegmentSum':
      return lookup(origin, samples);
    case 'Sum':
      return sum(origin, deferral, samples);
    default:
      return `there is no rule for ${origin.kernel}`;
  }
}

/** gradient [P,Q] = opA(a)[P,R] · opB(b)[R,Q], with R = B·L rows, sample-major. */
function matrixProduct({inputs, attrs}: Origin, samples: number): Use | string {
  // As rows, [R,P] and [R,Q]: the side that the kernel would transpose is stored that way.
  const rowsOf = (x: tf.Tensor, stored: unknown) => {
    const matrix = tf.reshape(x, x.shape.slice(-2) as [number, number]);
    return stored ? matrix : tf.transpose(matrix);
  };
  return keepUse(() => {
    const a = rowsOf(inputs.a, attrs.transposeA);
    const d = rowsOf(inputs.b, !attrs.transposeB);
    const positions = a.shape[0] / samples;
    if (!Number.isInteger(positions)) return `${a.shape[0]} rows are not a multiple of the ${samples} samples`;
    return {
      kind: 'matrix product',
      activations: tf.reshape(a, [samples, positions, a.shape[1]!]),
      deltas: tf.reshape(d, [samples, positions, d.shape[1]!]),
    };
  });
}

/** A convolution over B·U images, sample-major: U > 1 where the network folds time into the batch. */
function convolution({inputs, attrs}: Origin, samples: number, depthwise: boolean): Use | string {
  const {x, dy} = inputs;
  // A depthwise convolution knows no other order.
  if (attrs.dataFormat !== 'NHWC' && !depthwise) {
    return `there is no rule for convolutions in ${attrs.dataFormat} order`;
  }
  const uses = x.shape[0] / samples;
  if (!Number.isInteger(uses)) return `${x.shape[0]} images are not a multiple of the ${samples} samples`;
  const filterShape = attrs.filterShape as [number, number, number, number];
  const info = tf.backend_util.computeConv2DInfo(
    x.shape as [number, number, number, number],
    filterShape,
    attrs.strides as number,
    // tfjs differentiates no dilated convolution, so only depthwise ones say.
    (attrs.dilations as number) ?? 1,
    attrs.pad as 'same',
    attrs.dimRoundingMode as undefined,
    depthwise,
  );
  const [, height, width, fanOut] = dy.shape;
  if (info.outHeight !== height || info.outWidth !== width) return 'its convolution has an unexpected output size';
  const {inHeight, inWidth, inChannels, strideHeight, strideWidth, dilationHeight, dilationWidth} = info;
  const geometry = {
    inHeight,
    inWidth,
    inChannels,
    filterHeight: filterShape[0],
    filterWidth: filterShape[1],
    outHeight: height,
    outWidth: width,
    strideHeight,
    strideWidth,
    dilationHeight,
    dilationWidth,
    padTop: info.padInfo.top,
    padLeft: info.padInfo.left,
  };
  return keepUse(() => {
    const activations = tf.reshape(x, [samples, uses, inHeight, inWidth, inChannels]);
    const deltas = tf.reshape(dy, [samples, uses, height, width, fanOut]);
    return depthwise
      ? {
          kind: 'depthwise convolution',
          geometry: {...geometry, multiplier: fanOut / inChannels},
          activations,
          deltas,
        }
      : {kind: '2-D convolution', geometry: {...geometry, fanOut}, activations, deltas};
  });
}

/** gradient [rows, Q]: the B·L rows of x, sample-major, added up by their ids. */
function lookup({inputs, attrs}: Origin, samples: number): Use | string {
  const {x, segmentIds} = inputs;
  const positions = segmentIds.size / samples;
  if (!Number.isInteger(positions)) return `${segmentIds.size} ids are not a multiple of the ${samples} samples`;
  return keepUse(() => ({
    kind: 'lookup',
    rows: attrs.numSegments as number,
    activations: tf.reshape(segmentIds, [samples, positions]),
    deltas: tf.reshape(x, [samples, positions, tf.util.sizeFromShape(x.shape.slice(segmentIds.rank))]),
  }));
}

/** gradient [Q] = sum over some axes of x, among them the sample's; x may be a product A·D that was put off. */
function sum({inputs, attrs}: Origin, deferral: Deferral, samples: number): Use | string {
  const {shape} = inputs.x;
  const reduced = tf.util.parseAxisParam(attrs.axis as number, shape);
  const axes = shape.map((_, axis) => axis);
  // Axes of length 1 hold no order: only the first longer one must be the sample's.
  const leading = axes.find((axis) => shape[axis] !== 1) ?? 0;
  const free = axes.filter((axis) => !reduced.includes(axis));
  const summed = tf.util.sizeFromShape(reduced.map((axis) => shape[axis]));
  const positions = summed / samples;
  if ((samples > 1 && free.includes(leading)) || !Number.isInteger(positions)) {
    return 'the sum that makes its gradient does not run over the samples';
  }
  const fanOut = inputs.x.size / summed;
  const perm = [...reduced, ...free];
  const ordered = perm.every((axis, i) => axis === i);
  const rowsOf = (x: tf.Tensor) => tf.reshape(ordered ? x : tf.transpose(x, perm), [samples, positions, fanOut]);
  const product = deferral.origin(inputs.x);
  const factors = typeof product === 'string' ? null : product.inputs;
  return keepUse(() => ({
    kind: 'sum',
    activations: factors && rowsOf(factors.a),
    deltas: rowsOf(factors ? factors.b : inputs.x),
  }));
}

/** The use as seen by a variable that is the transpose of the gradient's m x n matrix: A and D change places. */
function swap(use: Use, layout: NonNullable<Layout>): Use | string {
  const {activations, deltas} = use;
  const fits = use.kind === 'matrix product' && use.activations.shape[2] === layout[0] && deltas.shape[2] === layout[1];
  if (!fits) return `it is transposed, and there is no rule for a transposed ${use.kind}`;
  return {kind: use.kind, activations: deltas, deltas: activations!};
}

/** Makes a use; its tensors outlive every scope, what else is made on the way does not. */
function keepUse<U extends Use | string>(make: () => U): U {
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
