/**
 * How `grad_moment` and `grad_moment_dense` are cut for a GPU: the tile of M that a workgroup keeps, what it stages at a
 * time, and how the samples are sliced.
 */

/** Kernels that keep tiles of M in registers. */
export type MomentKernel = 'grad_moment' | 'grad_moment_dense';

export function isMomentKernel(kernel: string): kernel is MomentKernel {
  return kernel === 'grad_moment' || kernel === 'grad_moment_dense';
}

/** What a call costs depends on these alone. */
export interface MomentShape {
  readonly samples: number;
  /** P, rows of M. */
  readonly fanIn: number;
  /** Q, columns of M. */
  readonly fanOut: number;
  /** L; 1 for the dense kernel, which stages samples instead. */
  readonly positions: number;
  /** What the kernel walks between two uses of phi: positions, or samples for the dense one. */
  readonly stagedAlong: 'positions' | 'samples';
  /** Whether activations and deltas can be read four at a time. */
  readonly vectorA: boolean;
  readonly vectorD: boolean;
}

/** Override constants that a plan chooses; the names are those of the shaders. */
export interface Tiling {
  /** Sums of a thread: micro x micro, 8 or 4. */
  readonly micro: number;
  readonly tileP: number;
  readonly tileQ: number;
  /** Positions (samples for the dense kernel) in workgroup memory at a time. */
  readonly tileK: number;
  readonly samplesPerSlice: number;
  /** 1: the next stage is read into registers while the present one is computed. */
  readonly prefetch: number;
}

/** The limits of a device that a tiling depends on. */
export interface TilingLimits {
  readonly maxComputeInvocationsPerWorkgroup: number;
  readonly maxComputeWorkgroupStorageSize: number;
}

export const warp = 32; // threads that run in step on the GPUs the rules are sized for
export const fullGpu = 1024; // warps below which a big GPU idles
export const scratchLimit = 8 * 2 ** 20; // elements: partial sums may take 32 MiB

const edges = [16, 32, 64, 128];
const micros = [8, 4];

type Numbers = Readonly<Record<string, number>>;

export function momentShape(kernel: MomentKernel, c: Numbers): MomentShape {
  const {samples, fanOut} = c;
  const vectorD = fanOut % 4 === 0;
  if (kernel === 'grad_moment_dense') {
    const vectorA = c.fanIn % 4 === 0;
    return {samples, fanIn: c.fanIn, fanOut, positions: 1, stagedAlong: 'samples', vectorA, vectorD};
  }
  return {
    samples,
    fanIn: c.filterDepth * c.filterHeight * c.filterWidth * c.inChannels,
    fanOut,
    positions: c.uses * c.outDepth * c.outHeight * c.outWidth,
    stagedAlong: 'positions',
    vectorA: c.inChannels % 4 === 0,
    vectorD,
  };
}

/** The tiling with the least cost. The call must have something to compute. */
export function bestTiling(shape: MomentShape, limits: TilingLimits): Tiling {
  return tilingsOf(shape, limits)[0];
}

/**
 * All tilings that fit the device, the one that should be fastest first. Its cost is
 *
 *     padded sums x (1 + 4/micro + 4/tileP + 4/tileQ) x idle
 *
 * for the arithmetic with what the tile wastes beyond the edges, reads of workgroup memory, staging of both operands,
 * and warps that the GPU lacks (or lanes that a warp lacks).
 *
 * Samples are split into slices until the GPU is full, but a slice keeps 512 multiply-adds for every sum it writes, so
 * that joining the slices costs little, and the partial sums stay within the scratch limit.
 */
export function tilingsOf(shape: MomentShape, limits: TilingLimits): Tiling[] {
  const found: {cost: number; tiling: Tiling}[] = [];
  for (const micro of micros) {
    for (const tileP of edges) {
      for (const tileQ of edges) {
        const threads = (tileP * tileQ) / micro ** 2;
        if (threads > Math.min(256, limits.maxComputeInvocationsPerWorkgroup)) continue;
        const tiles = Math.ceil(shape.fanIn / tileP) * Math.ceil(shape.fanOut / tileQ);
        const warps = Math.ceil(threads / warp) * tiles;
        const slices = sliceCount(Math.ceil((2 * fullGpu) / warps), shape);
        const samplesPerSlice = Math.ceil(shape.samples / slices);
        const idle = Math.max(1, fullGpu / (warps * slices)) * Math.max(1, warp / threads);
        const cost = tiles * tileP * tileQ * (1 + 4 / micro + 4 / tileP + 4 / tileQ) * idle;
        const staged = shape.stagedAlong === 'positions' ? shape.positions : samplesPerSlice;
        const deepest = Math.min(32, Math.floor(limits.maxComputeWorkgroupStorageSize / (4 * (tileP + tileQ))));
        // Registers let only one workgroup of 256 x 64 sums onto a processor: nothing else hides the latency of memory.
        const alone = micro === 8 && threads === 256;
        for (const prefetch of [0, 1]) {
          const tileK = depth(staged, prefetch ? Math.min(deepest, mostAhead(tileP, tileQ, threads)) : deepest);
          const tiling = {micro, tileP, tileQ, tileK, samplesPerSlice, prefetch};
          found.push({cost: Number(alone) === prefetch ? cost : 1.1 * cost, tiling});
        }
      }
    }
  }
  return found.sort((a, b) => a.cost - b.cost).map(({tiling}) => tiling);
}

/** Positions whose share a thread can read ahead: the shaders have registers for four quads of each operand. */
function mostAhead(tileP: number, tileQ: number, threads: number): number {
  return Math.floor((4 * 4 * threads) / Math.max(tileP, tileQ));
}

/** Whether the shaders can run a tiling on this device: one that was stored, or made by hand. */
export function fits(tiling: Tiling, shape: MomentShape, limits: TilingLimits): boolean {
  const {micro, tileP, tileQ, tileK, samplesPerSlice, prefetch} = tiling;
  if (!micros.includes(micro) || !edges.includes(tileP) || !edges.includes(tileQ)) return false;
  const whole = [tileK, samplesPerSlice].every((n) => Number.isSafeInteger(n) && n >= 1);
  if (!whole || (prefetch !== 0 && prefetch !== 1)) return false;
  const threads = (tileP * tileQ) / micro ** 2;
  const slices = Math.ceil(shape.samples / samplesPerSlice);
  return (
    threads <= limits.maxComputeInvocationsPerWorkgroup &&
    4 * tileK * (tileP + tileQ) <= limits.maxComputeWorkgroupStorageSize &&
    (prefetch === 0 || tileK <= mostAhead(tileP, tileQ, threads)) &&
    (slices === 1 || slices * shape.fanIn * shape.fanOut <= scratchLimit)
  );
}

/** Slices of the samples: as many as wanted, none empty, each with enough work, all within the scratch limit. */
export function sliceCount(wanted: number, shape: MomentShape): number {
  const {samples, positions, fanIn, fanOut} = shape;
  const worthwhile = Math.floor((samples * positions) / 512);
  const most = Math.min(wanted, samples, worthwhile, Math.floor(scratchLimit / (fanIn * fanOut)));
  return most <= 1 ? 1 : Math.ceil(samples / Math.ceil(samples / most));
}

/** Positions staged at a time, at most `deepest`: least zero padding, counting two for the barriers of each stage. */
function depth(positions: number, deepest: number): number {
  if (positions <= Math.min(8, deepest)) return positions;
  let best = Math.min(8, deepest);
  const cost = (k: number) => Math.ceil(positions / k) * (k + 2);
  for (let k = best + 1; k <= deepest; k++) if (cost(k) < cost(best)) best = k;
  return best;
}
