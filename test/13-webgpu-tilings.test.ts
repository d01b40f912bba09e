/**
 * The moment kernels under every tiling that a plan or a tuning may choose: each meets each shape and option in the pairwise
 * table, and all combinations of them with ENGRAM_GPU_FULL=1 (`npm run test:gpu:full`, for changes of a shader).
 */
import {afterAll, beforeAll, expect, it} from 'vitest';
import {type MomentShape, type Tiling, tilingsOf} from '../dist/kernels/webgpu-tilings.js';
import {describeGpu, device} from './gpu.js';
import {momentParity, pairwise, product, reportParity} from './gpu-parity.js';
import {geometry} from './volumes.js';

const full = process.env.ENGRAM_GPU_FULL === '1';
const tableOf = full ? product : pairwise;
const timeout = full ? 4 * 3600_000 : 120_000;
const limits = {maxComputeInvocationsPerWorkgroup: 256, maxComputeWorkgroupStorageSize: 16384};

/** All tiles: what the rule considers, whatever the shape. */
const tiles = [
  ...new Map(
    tilingsOf(
      {samples: 1, fanIn: 1, fanOut: 1, positions: 1, stagedAlong: 'positions', vectorA: true, vectorD: true},
      limits,
    ).map(({micro, tileP, tileQ}) => [`${micro} ${tileP} ${tileQ}`, {micro, tileP, tileQ}]),
  ).values(),
];

const factors = {
  tile: tiles,
  prefetch: [0, 1],
  depth: ['one', 'few', 'most'],
  slices: [1, 3],
  fanIn: full ? [1, 68, 129] : [68, 129],
  fanOut: full ? [5, 64, 130] : [5, 64],
} as const;
/** The dense kernel shares tiles, stages and slices with the other one, and reads rows only. */
const denseFactors = {...factors, depth: ['few', 'most'], fanIn: [full ? 68 : 129], fanOut: [full ? 130 : 64]} as const;
type Row = ReturnType<typeof pairwise<typeof factors>>[number];

function tilingOf({tile, prefetch, depth, slices}: Row, samples: number): Tiling {
  const {micro, tileP, tileQ} = tile;
  const fromMemory = limits.maxComputeWorkgroupStorageSize / (4 * (tileP + tileQ));
  const fromRegisters = (16 * tileP * tileQ) / micro ** 2 / Math.max(tileP, tileQ);
  const most = Math.floor(Math.min(32, fromMemory, prefetch ? fromRegisters : 32));
  const tileK = {one: 1, few: Math.min(5, most), most}[depth];
  return {...tile, prefetch, tileK, samplesPerSlice: Math.ceil(samples / slices)};
}

afterAll(() => reportParity(full ? 10_000 : 150));

describeGpu('tilings', () => {
  beforeAll(() => {
    expect(device.limits.maxComputeWorkgroupStorageSize).toBeGreaterThanOrEqual(limits.maxComputeWorkgroupStorageSize);
    expect(tiles).toHaveLength(29);
  });

  it(
    'of grad_moment: rows and patches',
    async () => {
      const samples = 4;
      for (const [i, row] of tableOf(factors).entries()) {
        // Rows, or 1 x 4 patches of as many channels: 7 and 37 positions are not whole stages.
        const patches = row.fanIn % 4 === 0 && i % 2 === 0;
        const axis = patches ? {in: 9, filter: 4, before: 1, after: 0} : {in: 37, filter: 1};
        const inChannels = patches ? row.fanIn / 4 : row.fanIn;
        const shape = {samples, uses: 1, inChannels, fanOut: row.fanOut, ...geometry(axis)};
        const phi = (['abs', 'square', 'identity'] as const)[i % 3];
        const positions = shape.outDepth * shape.outHeight * shape.outWidth;
        const lengths = {
          activations: samples * shape.inDepth * shape.inHeight * shape.inWidth * inChannels,
          deltas: samples * positions * row.fanOut,
          moment: row.fanIn * row.fanOut,
        };
        await momentParity('grad_moment', {phi, ...shape}, 'normal', lengths, positions, 1, tilingOf(row, samples));
      }
    },
    timeout,
  );

  it(
    'of grad_moment_dense',
    async () => {
      const samples = 50;
      for (const [i, row] of tableOf(denseFactors).entries()) {
        const {fanIn, fanOut} = row;
        const lengths = {activations: samples * fanIn, deltas: samples * fanOut, moment: fanIn * fanOut};
        const params = {phi: (['abs', 'square', 'identity'] as const)[i % 3], samples, fanIn, fanOut};
        await momentParity('grad_moment_dense', params, 'normal', lengths, samples, 1, tilingOf(row, samples));
      }
    },
    timeout,
  );

  it('are all within the limits of the device, whatever the shape, and cover M', () => {
    const shapes: MomentShape[] = product({
      samples: [1, 7, 256],
      fanIn: [1, 27, 576, 4608],
      fanOut: [1, 64, 1000],
      positions: [1, 16, 49, 197, 12544],
      stagedAlong: ['positions', 'samples'],
    } as const).map((shape) => ({...shape, vectorA: false, vectorD: false}));
    for (const shape of shapes) {
      for (const room of [16384, 49152]) {
        const own = {maxComputeInvocationsPerWorkgroup: 256, maxComputeWorkgroupStorageSize: room};
        for (const {micro, tileP, tileQ, tileK, samplesPerSlice, prefetch} of tilingsOf(shape, own)) {
          expect(4 * tileK * (tileP + tileQ)).toBeLessThanOrEqual(room);
          const threads = (tileP * tileQ) / micro ** 2;
          expect(threads).toBeLessThanOrEqual(256);
          expect(tileK).toBeGreaterThanOrEqual(1);
          if (prefetch) expect((tileK * Math.max(tileP, tileQ)) / 4).toBeLessThanOrEqual(4 * threads);
          const slices = Math.ceil(shape.samples / samplesPerSlice);
          if (slices > 1) expect(slices * shape.fanIn * shape.fanOut).toBeLessThanOrEqual(8 * 2 ** 20);
        }
      }
    }
  });
});
