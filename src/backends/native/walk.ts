/** Walks from one array to another, axis by axis: what every kernel that only moves elements is made of. */
import * as tf from '@tensorflow/tfjs-core';
import {walkAxes} from './table-movement.js';
import {type Backend, operate, sharing, valuesOf} from './tensors.js';

/** Elements that the addon moves. */
export type Words = Float32Array | Int32Array;

/** One axis of a walk: how many elements, and the steps from one to the next in both arrays. */
export interface WalkAxis {
  count: number;
  from: number;
  to: number;
}

/** The axes outermost first as the result has them, without those that need not be told apart. */
function collapse(axes: readonly WalkAxis[]): WalkAxis[] {
  const sorted = axes.filter(({count}) => count !== 1).sort((a, b) => Math.abs(b.to) - Math.abs(a.to));
  const merged: WalkAxis[] = [];
  for (const axis of sorted) {
    const outer = merged.at(-1);
    if (outer && outer.from === axis.count * axis.from && outer.to === axis.count * axis.to) {
      merged[merged.length - 1] = {...axis, count: outer.count * axis.count};
    } else {
      merged.push(axis);
    }
  }
  return merged;
}

/** Whether the addon moves the elements of all these tensors: floats, or integers of 32 bits. */
export const areWords = (...tensors: tf.TensorInfo[]): boolean =>
  tensors.every(({dtype}) => dtype === tensors[0].dtype && (dtype === 'float32' || dtype === 'int32'));

/** The live array of such a tensor: read it, never write it. */
export function wordsOf(backend: Backend, tensor: tf.TensorInfo): Words {
  if (tensor.dtype === 'float32') return valuesOf(backend, tensor);
  const values = backend.data.get(tensor.dataId).values as Int32Array | number[];
  return values instanceof Int32Array ? values : Int32Array.from(values);
}

/** A result of words, all of which `write` writes. */
export function wordsResult(
  backend: Backend,
  dtype: tf.DataType,
  shape: number[],
  write: (words: Words) => void,
): tf.TensorInfo {
  if (dtype === 'float32') {
    const values = backend.allocate(shape);
    write(values);
    return backend.wrap(values, shape);
  }
  const values = new Int32Array(tf.util.sizeFromShape(shape));
  write(values);
  return backend.makeTensorInfo(shape, 'int32', values);
}

/** The elements of `x` along a walk that fills a result; the tensor itself where they are all there as they lie. */
export function walked(
  backend: Backend,
  x: tf.TensorInfo,
  shape: number[],
  axes: readonly WalkAxis[],
  start = 0,
): tf.TensorInfo {
  const walk = collapse(axes);
  const inOrder = walk.length === 0 || (walk.length === 1 && walk[0].from === 1);
  if (inOrder && tf.util.sizeFromShape(x.shape) === tf.util.sizeFromShape(shape)) return sharing(backend, x, shape);
  return wordsResult(backend, x.dtype, shape, (words) => {
    copyAlong(backend, axes, wordsOf(backend, x), start, words, 0);
  });
}

/** Copies along the axes, from element `fromStart` on to element `toStart` on; the rest of `to` stays. */
export function copyAlong(
  backend: Backend,
  axes: readonly WalkAxis[],
  from: Words,
  fromStart: number,
  to: Words,
  toStart: number,
): void {
  if (axes.some(({count}) => count === 0)) return;
  const walk = collapse(axes);
  if (walk.length > walkAxes.length) {
    // More than the addon has: the shortest one is walked here.
    const least = walk.reduce((best, {count}, k) => (count < walk[best].count ? k : best), 0);
    const [axis] = walk.splice(least, 1);
    for (let i = 0; i < axis.count; i++) {
      copyAlong(backend, walk, from, fromStart + i * axis.from, to, toStart + i * axis.to);
    }
    return;
  }
  const params: Record<string, number> = {fromStart, toStart, fromSize: from.length, toSize: to.length};
  for (const k of walkAxes) {
    const axis = walk[k - (walkAxes.length - walk.length)];
    params[`count${k}`] = axis?.count ?? 1;
    params[`from${k}`] = axis?.from ?? 0;
    params[`to${k}`] = axis?.to ?? 0;
  }
  operate(backend, 'copy', params, [from, to]);
}

/** Elements from one to the next along each axis. */
export function stepsOf(shape: readonly number[]): number[] {
  const steps = new Array<number>(shape.length);
  let step = 1;
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    steps[axis] = step;
    step *= shape[axis];
  }
  return steps;
}
