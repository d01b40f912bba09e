/**
 * grad_moment on the tensor cores of a GPU: where the matrix variants pay, and in which tiles.
 *
 * Plain arithmetic on the sizes of the call, as in webgpu-plan.ts. The rates below are derived from published figures of
 * others for NVIDIA Hopper, and were not measured with these shaders: they decide what runs, and promise no speed.
 */
import type {MatrixPrecision} from './precision.js';
import type {Numbers, Plan, PlanLimits, Stage} from './webgpu-plan.js';
import {nothing, read, readWrite, scratch, spread} from './webgpu-plan.js';
import {fullGpu, momentShape, scratchLimit, sliceCount, warp} from './webgpu-tilings.js';

/** What a whole H100 does in a second. */
const rates = {
  /** Operations of grad_moment.wgsl: 60 percent of the peak of 67e12; published WGSL kernels stop at 45, CUDA's reach 94. */
  f32: 40e12,
  /**
   * Operations of 16x16x16 matrices: others reach 120e12 to 200e12 without Hopper's own instructions, which WGSL lacks.
   * The upper end, because what holds the others back, the feeding of tensor cores from the cache, counts by itself.
   */
  matrix: 200e12,
  /** Bytes between registers and workgroup memory. */
  workgroup: 33e12,
  /** Bytes from the second-level cache, which all workgroups share. */
  cache: 5.5e12,
  /** Bytes from memory. */
  memory: 4.3e12,
};

const edge = 16; // of a matrix
const block = 32; // edge of what a subgroup owns
const slotBytes = 2 * 4 * edge ** 2; // of workgroup memory through which a subgroup reads its matrices
const chain = 256; // positions that f16x3 leaves to the tensor cores' truncating sums
const padding = 8;

/**
 * Threads of a workgroup, by what they keep in registers (65536 a processor): 32 sums in matrices and 32 totals leave
 * room for 512 of them; with 32 sums of corrections and 32 of the chains more, for 256.
 */
const mostThreads = {f16: 512, f16x3: 256};

/**
 * The dispatches of a grad_moment on tensor cores: largest magnitudes, partial sums, and their joining. Undefined where
 * f32 is as good: where the way of the sums through workgroup memory takes more than a quarter of the time of the
 * products (fewer than 97 positions in f16, 65 in f16x3), or where the estimate of all of it is not below that for f32.
 *
 * The tile with the least time is taken, a smaller one if it gains 2 percent. The time is, per tile and sample,
 *   max(products, staging from the second-level cache) + the way through workgroup memory, x idle
 * with idle for the warps that a GPU lacks, as in webgpu-tilings.ts. Large tiles matter: staging reads f32, and beside
 * tensor cores the cache is slow. An H100 gives a workgroup 48 KiB: in f16 room for 96x128 with 32 positions staged or
 * 128x128 with 16, in f16x3 for 64x128 with 32.
 *
 * @param c constants of the call
 * @param choices.onlyIfFaster false for tests: whatever fits the device
 * @param choices.overwrite the moment is written, not added to
 */
export function matrixPlan(
  precision: MatrixPrecision,
  c: Numbers,
  limits: PlanLimits,
  {onlyIfFaster = true, overwrite = false}: {onlyIfFaster?: boolean; overwrite?: boolean} = {},
): Plan | undefined {
  const shape = momentShape('grad_moment', c);
  const {fanIn, positions} = shape;
  const sums = fanIn * c.fanOut;
  const sizeA = c.uses * c.inDepth * c.inHeight * c.inWidth * c.inChannels;
  const sizeD = positions * c.fanOut;
  if (sums * positions * sizeA * c.samples === 0 || sums > scratchLimit) return undefined;
  const split = precision === 'f16x3';
  const best = {seconds: Number.POSITIVE_INFINITY, tileP: 0, tileQ: 0, tileK: 0, slices: 0};
  for (const tileP of tileEdges(fanIn)) {
    for (const tileQ of tileEdges(c.fanOut)) {
      const warps = (tileP * tileQ) / block ** 2;
      if (warps * warp > Math.min(mostThreads[precision], limits.maxComputeInvocationsPerWorkgroup)) continue;
      const tileK = [32, 16].find(
        (k) => workgroupBytes(precision, tileP, tileQ, k) <= limits.maxComputeWorkgroupStorageSize,
      );
      if (!tileK) continue;
      const tiles = Math.ceil(fanIn / tileP) * Math.ceil(c.fanOut / tileQ);
      const slices = sliceCount(Math.ceil((2 * fullGpu) / (warps * tiles)), shape);
      const padded = Math.ceil(positions / edge) * edge;
      const products = ((split ? 3 : 1) * 2 * tileP * tileQ * padded) / rates.matrix;
      const staging = (4 * (tileP + tileQ) * positions) / rates.cache;
      const passing = ((split ? 16 * Math.ceil(positions / chain) : 8) * tileP * tileQ) / rates.workgroup;
      if (onlyIfFaster && 4 * passing > products) continue;
      const idle = Math.max(1, fullGpu / (warps * tiles * slices));
      const seconds =
        tiles * c.samples * (Math.max(products, staging) + passing) * idle + (12 * sums * slices) / rates.memory;
      if (seconds < 0.98 * best.seconds) Object.assign(best, {seconds, tileP, tileQ, tileK, slices});
    }
  }
  if (best.slices === 0) return undefined;
  const largest = (4 * c.samples * (sizeA + sizeD)) / rates.memory;
  const ordinary = (2 * sums * positions * c.samples) / rates.f32;
  if (onlyIfFaster && best.seconds + largest >= ordinary) return undefined;
  return stages(precision, c, limits, overwrite, {...best, sums, sizeA, sizeD, tiles: tilesOf(fanIn, c.fanOut, best)});
}

/** Edges of a tile of which no subgroup lies beyond the moment. */
const tileEdges = (size: number): number[] => [128, 96, 64, 32].filter((tile) => tile - block < size);

/** Workgroup memory of a tile: both operands, once or as two halves, and the slots of its subgroups. */
function workgroupBytes(precision: MatrixPrecision, tileP: number, tileQ: number, tileK: number): number {
  const staged = (precision === 'f16x3' ? 2 : 1) * 2 * tileK * (tileP + tileQ + 2 * padding);
  return staged + (slotBytes * tileP * tileQ) / block ** 2;
}

const tilesOf = (fanIn: number, fanOut: number, {tileP, tileQ}: {tileP: number; tileQ: number}): number =>
  Math.ceil(fanIn / tileP) * Math.ceil(fanOut / tileQ);

interface Chosen {
  readonly tileP: number;
  readonly tileQ: number;
  readonly tileK: number;
  readonly slices: number;
  readonly tiles: number;
  readonly sums: number;
  readonly sizeA: number;
  readonly sizeD: number;
}

function stages(precision: MatrixPrecision, c: Numbers, limits: PlanLimits, overwrite: boolean, chosen: Chosen): Plan {
  const {tileP, tileQ, tileK, slices, tiles, sums, sizeA, sizeD} = chosen;
  const largestAt = sums * slices;
  // Parts of at least 4096 elements, of which there are no more than fill the GPU.
  const worthwhile = Math.ceil(Math.max(sizeA, sizeD) / 4096);
  const parts = Math.max(1, Math.min(16, worthwhile, Math.ceil(fullGpu / (2 * c.samples))));
  const {vectorA, vectorD} = momentShape('grad_moment', c);
  const largest: Stage = {
    shader: 'grad_moment.largest',
    constants: {samples: c.samples, sizeA, sizeD, parts, largestAt},
    workgroups: spread(2 * parts * c.samples, 1, limits),
    bindings: [read('activations'), read('deltas'), readWrite(scratch)],
  };
  const moment: Stage = {
    shader: `grad_moment.${precision}`,
    constants: {
      ...c,
      tileP,
      tileQ,
      tileK,
      padding,
      ...(precision === 'f16x3' && {chain}),
      samplesPerSlice: Math.ceil(c.samples / slices),
      parts,
      largestAt,
      vectorA: Number(vectorA),
      vectorD: Number(vectorD),
    },
    workgroups: spread(tiles, slices, limits),
    bindings: [
      read('activations'),
      read('deltas'),
      readWrite(scratch),
      read(vectorA ? 'activations' : nothing),
      read(vectorD ? 'deltas' : nothing),
    ],
  };
  // Even one slice goes through the scratch buffer, which also holds the largest magnitudes: a buffer that is written
  // can have no second binding.
  const reduce: Stage = {
    shader: 'grad_moment.reduce',
    constants: {size: sums, slices, accumulate: Number(!overwrite)},
    workgroups: spread(Math.ceil(sums / 256), 1, limits),
    bindings: [read(scratch), readWrite('moment')],
  };
  return {stages: [largest, moment, reduce], scratchLength: largestAt + 2 * parts * c.samples};
}
