/**
 * How the elements of a tensor lie in memory compared with another one: in the same order, or as a transposed matrix.
 * Reshape, Identity, Cast and ExpandDims keep the order; a Transpose keeps it, swaps two blocks of axes, or neither.
 * Slice and SplitV take a part, which is described where it is a range of one axis.
 */
import * as tf from '@tensorflow/tfjs-core';

/** Rows and columns of the matrix, before it was transposed. */
export type Matrix = readonly [rows: number, columns: number];
/** `null`: the same order. `[m, n]`: an m x n matrix was transposed. `undefined`: some other order. */
export type Layout = Matrix | null | undefined;

/** What a Transpose of `shape` by `perm` does to the order of elements; axes of length 1 do not matter. */
export function transposition(shape: readonly number[], perm: readonly number[]): Layout {
  const moved = perm.filter((axis) => shape[axis] !== 1);
  const sorted = [...moved].sort((a, b) => a - b);
  const first = sorted.indexOf(moved[0]);
  if (first <= 0) return moved.every((axis, i) => axis === sorted[i]) ? null : undefined;
  const rotated = [...sorted.slice(first), ...sorted.slice(0, first)];
  if (!moved.every((axis, i) => axis === rotated[i])) return undefined;
  const length = (axes: number[]) => tf.util.sizeFromShape(axes.map((axis) => shape[axis]));
  return [length(sorted.slice(0, first)), length(sorted.slice(first))];
}

/** The layout after one step and then another. */
export function compose(first: Layout, second: Layout): Layout {
  if (first === undefined || second === undefined) return undefined;
  if (first === null) return second;
  if (second === null) return first;
  return first[0] === second[1] && first[1] === second[0] ? null : undefined;
}

/** The layout of the way back. */
export function inverse(layout: Layout): Layout {
  return layout && [layout[1], layout[0]];
}

/** A range of one axis: of a tensor seen as [outer, length, inner], the middle indices from `start`, `size` of them. */
export interface Part {
  readonly outer: number;
  readonly length: number;
  readonly inner: number;
  readonly start: number;
  readonly size: number;
}

/** The part of a tensor of `shape` from `begin` with `size` on every axis; null for all of it, undefined for a block. */
export function partOf(
  shape: readonly number[],
  begin: readonly number[],
  size: readonly number[],
): Part | null | undefined {
  const cut = shape.map((_, axis) => axis).filter((axis) => size[axis] !== shape[axis]);
  if (cut.length === 0) return null;
  if (cut.length > 1) return undefined;
  const [axis] = cut;
  return {
    outer: tf.util.sizeFromShape(shape.slice(0, axis)),
    length: shape[axis],
    inner: tf.util.sizeFromShape(shape.slice(axis + 1)),
    start: begin[axis],
    size: size[axis],
  };
}

/** Elements of a part. */
export function partSize({outer, size, inner}: Part): number {
  return outer * size * inner;
}

/** How many zeros a part lacks in front and behind, on its axis. */
export function margins({length, start, size}: Part): [before: number, after: number] {
  return [start, length - start - size];
}
