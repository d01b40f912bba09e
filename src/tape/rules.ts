/**
 * From the kernel that would sum a parameter's gradient over the batch to what it would sum, per sample.
 *
 * A rule reads one kernel's operands as A[b,l,p] and D[b,l,q] with the sample slowest. That the rows of a network really
 * lie that way is not provable from shapes (a time-major network has the same ones): the certificate checks it.
 */
import * as tf from '@tensorflow/tfjs-core';
import {flatDepth} from '../kernels/table.js';
import {type Deferral, isStack, type Origin} from './deferred.js';
import type {Layout} from './layout.js';
import {keepUse, type Use} from './use.js';

/**
 * The operands of one use, or why there are none.
 *
 * @param origin the kernel that makes the gradient, and the way from its result to the parameter
 */
export function useOf(origin: Origin, deferral: Deferral, samples: number): Use | string {
  if (origin.layout === undefined) return 'its gradient is a permutation that is no matrix transposition';
  const use = kernelUse(origin, deferral, samples);
  return typeof use === 'string' || origin.layout === null ? use : transposed(use, origin.layout);
}

function kernelUse(origin: Origin, deferral: Deferral, samples: number): Use | string {
  switch (origin.kernel) {
    case 'BatchMatMul':
      return isStack(origin) ? matrixProducts(origin, samples) : matrixProduct(origin, samples);
    case 'Conv2DBackpropFilter':
      return convolution(origin, samples, false);
    case 'Conv3DBackpropFilterV2':
      return volumeConvolution(origin, samples);
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
      layout: null,
    };
  });
}

/** gradient [...H,P,Q], H products of that kind: heads with weights of their own. */
function matrixProducts({inputs, attrs}: Origin, samples: number): Use | string {
  return keepUse(() => {
    const rowsOf = (x: tf.Tensor, stored: unknown) => {
      const [m, n] = x.shape.slice(-2);
      const stack = tf.reshape(x, [-1, m, n]);
      const [rows, width] = stored ? [m, n] : [n, m];
      const perSample = tf.reshape(stored ? stack : tf.transpose(stack, [0, 2, 1]), [
        -1,
        samples,
        rows / samples,
        width,
      ]);
      return tf.transpose(perSample, [1, 0, 2, 3]);
    };
    const rows = inputs.a.shape.at(attrs.transposeA ? -2 : -1)!;
    if (rows % samples !== 0) return `${rows} rows are not a multiple of the ${samples} samples`;
    return {
      kind: 'stack of matrix products',
      activations: rowsOf(inputs.a, attrs.transposeA),
      deltas: rowsOf(inputs.b, !attrs.transposeB),
      layout: null,
    };
  });
}

/** A convolution over B·U images, sample-major: U > 1 where the network folds time into the batch. */
function convolution({kernel, inputs, attrs}: Origin, samples: number, depthwise: boolean): Use | string {
  const {x, dy} = inputs;
  // A depthwise convolution knows no other order.
  if (attrs.dataFormat !== 'NHWC' && !depthwise) {
    return `there is no rule for convolutions in ${attrs.dataFormat} order`;
  }
  if (x.shape[0] % samples !== 0) return `${x.shape[0]} images are not a multiple of the ${samples} samples`;
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
    const operands = {...images(x, dy, samples), layout: null, gradient: {kernel, attrs}};
    return depthwise
      ? {kind: 'depthwise convolution', geometry: {...geometry, multiplier: fanOut / inChannels}, ...operands}
      : {kind: 'convolution', geometry: {...flatDepth, ...geometry, fanOut}, ...operands};
  });
}

/** The same in three dimensions. */
function volumeConvolution({kernel, inputs, attrs}: Origin, samples: number): Use | string {
  const {x, dy} = inputs;
  if (x.shape[0] % samples !== 0) return `${x.shape[0]} volumes are not a multiple of the ${samples} samples`;
  const filterShape = attrs.filterShape as [number, number, number, number, number];
  const info = tf.backend_util.computeConv3DInfo(
    x.shape as [number, number, number, number, number],
    filterShape,
    attrs.strides as number,
    1, // tfjs differentiates no dilated convolution
    attrs.pad as 'same',
  );
  const [, depth, height, width, fanOut] = dy.shape as number[];
  if (info.outDepth !== depth || info.outHeight !== height || info.outWidth !== width) {
    return 'its convolution has an unexpected output size';
  }
  const {inDepth, inHeight, inWidth, inChannels, strideDepth, strideHeight, strideWidth, padInfo} = info;
  const geometry = {
    inDepth,
    inHeight,
    inWidth,
    inChannels,
    filterDepth: filterShape[0],
    filterHeight: filterShape[1],
    filterWidth: filterShape[2],
    outDepth: depth,
    outHeight: height,
    outWidth: width,
    fanOut,
    strideDepth,
    strideHeight,
    strideWidth,
    dilationDepth: 1,
    dilationHeight: 1,
    dilationWidth: 1,
    padFront: padInfo.front,
    padTop: padInfo.top,
    padLeft: padInfo.left,
  };
  return keepUse(() => ({
    kind: 'convolution',
    geometry,
    ...images(x, dy, samples),
    layout: null,
    gradient: {kernel, attrs},
  }));
}

/** Images and their deltas, those of a sample side by side. */
function images(x: tf.Tensor, dy: tf.Tensor, samples: number): {activations: tf.Tensor; deltas: tf.Tensor} {
  const bySample = (images: tf.Tensor) => tf.reshape(images, [samples, -1, ...images.shape.slice(1)]);
  return {activations: bySample(x), deltas: bySample(dy)};
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
    layout: null,
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
    layout: null,
  }));
}

/** The use of a parameter that is the transpose of the gradient's m x n matrix: of a product, A and D change places. */
function transposed(use: Use, layout: NonNullable<Layout>): Use {
  const {activations, deltas} = use;
  const swaps =
    use.kind === 'matrix product' && use.activations.shape[2] === layout[0] && deltas.shape[2] === layout[1];
  return swaps ? {...use, activations: deltas, deltas: activations!} : {...use, layout};
}
