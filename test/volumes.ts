/** Convolutions for the tests of grad_moment, the same on every engine. */
import type {Params} from '../dist/kernels/table.js';

export interface Axis {
  in: number;
  filter: number;
  stride?: number;
  dilation?: number;
  /** Padding at the two ends. */
  before?: number;
  after?: number;
}
export type Geometry = Omit<Params<'grad_moment'>, 'phi' | 'samples' | 'uses' | 'inChannels' | 'fanOut'>;

/** Geometry of a convolution with one axis, two, or all three; those that are not given have length 1. */
export function geometry(...axes: Axis[]): Geometry {
  const flat: Axis = {in: 1, filter: 1};
  const [depth, height, width] = [flat, flat, ...axes].slice(-3).map(along);
  return {
    inDepth: depth.in,
    inHeight: height.in,
    inWidth: width.in,
    filterDepth: depth.filter,
    filterHeight: height.filter,
    filterWidth: width.filter,
    outDepth: depth.out,
    outHeight: height.out,
    outWidth: width.out,
    strideDepth: depth.stride,
    strideHeight: height.stride,
    strideWidth: width.stride,
    dilationDepth: depth.dilation,
    dilationHeight: height.dilation,
    dilationWidth: width.dilation,
    padFront: depth.before,
    padTop: height.before,
    padLeft: width.before,
  };
}
function along({in: size, filter, stride = 1, dilation = 1, before = 0, after = 0}: Axis) {
  const room = size + before + after - dilation * (filter - 1) - 1;
  return {in: size, filter, stride, dilation, before, out: room < 0 ? 0 : Math.floor(room / stride) + 1};
}

/** Factors of a pairwise table of 2-D patches: [height, width] each. */
export const patchFactors = {
  size: [
    [5, 7],
    [9, 4],
    [1, 12],
  ],
  filter: [
    [1, 1],
    [3, 3],
    [1, 4],
  ],
  stride: [
    [1, 1],
    [2, 3],
  ],
  dilation: [
    [1, 1],
    [1, 2],
  ],
  pad: [
    [0, 0],
    [1, 1],
    [0, 2],
  ],
} as const;
type Patches = {[Factor in keyof typeof patchFactors]: readonly number[]};

/** Geometry of a row of such a table. */
export function patchGeometry({size, filter, stride, dilation, pad}: Patches): Geometry {
  const axis = (i: number): Axis => ({
    ...{in: size[i], filter: filter[i], stride: stride[i], dilation: dilation[i]},
    ...{before: pad[i], after: pad[i]},
  });
  return geometry(axis(0), axis(1));
}

type Volume = Omit<Params<'grad_moment'>, 'phi'>;
function volume(
  [samples, uses, inChannels, fanOut]: [number, number, number, number],
  ...[depth, height, width]: [Axis, Axis, Axis]
): Volume {
  return {samples, uses, inChannels, fanOut, ...geometry(depth, height, width)};
}

const same: Axis = {in: 4, filter: 3, before: 1, after: 1};
const valid: Axis = {in: 3, filter: 2};
const around: Axis = {in: 1, filter: 2, before: 4, after: 3};
/** Padding at one end of one axis alone. */
const oneSided = ['before', 'after'].flatMap((end) =>
  [0, 1, 2].map((axis) => {
    const axes = [valid, valid, valid].map((a, i) => (i === axis ? {...a, filter: 3, [end]: 2} : a));
    return volume([2, 1, 4, 8], ...(axes as [Axis, Axis, Axis]));
  }),
);
/** All but a 2-D convolution: a depth of 1, but for one parameter. */
const almostFlat = [{in: 2, stride: 2}, {filter: 2, after: 1}, {after: 2}, {before: 1, stride: 2}].map((odd) =>
  volume([2, 1, 3, 4], {in: 1, filter: 1, ...odd}, same, valid),
);

export const volumes: readonly Volume[] = [
  volume([3, 1, 3, 5], same, {...same, in: 5}, {...same, in: 6}),
  ...oneSided,
  ...almostFlat,
  // Strides; dilation; both.
  volume([2, 2, 5, 17], {in: 7, filter: 3, stride: 2}, {...same, stride: 3}, {in: 9, filter: 4, stride: 2, before: 1}),
  volume([2, 1, 16, 33], {in: 7, filter: 3, dilation: 2, before: 1}, {...same, dilation: 2}, {...valid, dilation: 2}),
  volume([1, 3, 7, 9], {in: 9, filter: 2, stride: 3, dilation: 3, after: 2}, valid, {...same, stride: 2, dilation: 2}),
  // Padding larger than the image: some windows meet nothing at all.
  volume([2, 2, 3, 4], around, around, around),
  volume([2, 1, 3, 4], {in: 0, filter: 2, before: 3, after: 3}, valid, valid),
  // Along the depth alone; planes one by one; one pixel each; pixels as rows.
  volume([3, 1, 5, 6], {in: 12, filter: 4, before: 3}, {in: 1, filter: 1}, {in: 1, filter: 1}),
  volume([2, 1, 3, 20], {in: 6, filter: 1, stride: 2}, same, same),
  volume([4, 1, 65, 63], {in: 3, filter: 1, stride: 3}, {in: 1, filter: 1}, {in: 1, filter: 1}),
  volume([2, 2, 9, 10], {in: 3, filter: 1}, {in: 2, filter: 1}, {in: 5, filter: 1}),
  // Several tiles of M, and so many samples that they are split.
  volume([2, 1, 20, 131], same, same, same),
  volume([70, 1, 2, 3], {in: 5, filter: 2}, {in: 5, filter: 2, before: 1}, {in: 6, filter: 3, after: 1}),
];
