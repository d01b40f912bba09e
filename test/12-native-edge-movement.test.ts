/** Hostile calls of the operations that move words, slide windows and resize: refused, or harmless. */
import {expect, it} from 'vitest';
import type {Operation} from '../dist/backends/native/table.js';
import {operate as operateOn} from '../dist/backends/native/tensors.js';
import type {HostInput} from '../dist/kernels/engine.js';
import {addon, describeAddon} from './native.js';

type Params = Record<string, string | number>;
const f32 = (length: number): Float32Array => new Float32Array(length);
const operate = (operation: Operation, params: Params, buffers: HostInput[]) =>
  operateOn({addon} as Parameters<typeof operateOn>[0], operation, params, buffers);

/** A walk of one axis, or of more. */
function copy(axes: [count: number, from: number, to: number][], start: number, from: number, to: number, toStart = 0) {
  const params: Params = {fromStart: start, toStart, fromSize: from, toSize: to};
  for (let k = 0; k < 6; k++) {
    [params[`count${k}`], params[`from${k}`], params[`to${k}`]] = axes[k] ?? [1, 0, 0];
  }
  operate('copy', params, [f32(from), f32(to)]);
}

const window = (change: Params): Params => ({
  ...{samples: 1, inHeight: 1, inWidth: 4, filterHeight: 1, filterWidth: 2, outHeight: 1, outWidth: 3},
  ...{strideHeight: 1, strideWidth: 1, dilationHeight: 1, dilationWidth: 1, padTop: 0, padLeft: 0, ...change},
});
const deep = {inDepth: 1, filterDepth: 1, outDepth: 1, strideDepth: 1, dilationDepth: 1, padFront: 0, channels: 1};
const pool = (change: Params): Params => window({...deep, ...change});
const depthwise = (change: Params): Params => window({inChannels: 1, multiplier: 1, ...change});

describeAddon('the edge of the addon, for what is moved', () => {
  it('accepts walks that end with their buffers', () => {
    copy([[4, 1, 1]], 0, 4, 4);
    copy([[4, -1, 1]], 3, 4, 4);
    copy([[4, 0, 1]], 0, 1, 4);
    copy(
      [
        [2, 1, 2],
        [2, 2, 1],
      ],
      0,
      4,
      4,
    );
    copy([[0, 2 ** 32 - 1, 7]], 0, 0, 0);
  });

  it.each<[string, [number, number, number][], number, number, number, number]>([
    ['behind the source', [[5, 1, 1]], 0, 4, 5, 0],
    ['before the source', [[4, -1, 1]], 2, 4, 4, 0],
    ['behind the result', [[4, 1, 2]], 0, 4, 4, 0],
    ['before the result', [[4, 1, -1]], 0, 4, 4, 2],
    ['from beyond the source', [[1, 0, 0]], 4, 4, 4, 0],
    ['to beyond the result', [[1, 0, 0]], 0, 4, 4, 4],
    [
      'out by two axes',
      [
        [2, 3, 1],
        [2, 2, 2],
      ],
      0,
      5,
      4,
      0,
    ],
    [
      'with steps that wrap round',
      [
        [2 ** 32 - 1, 2 ** 32 - 1, 0],
        [2, 1, 1],
      ],
      0,
      4,
      4,
      0,
    ],
    [
      'over the result again and again',
      [
        [2 ** 31, 0, 0],
        [2 ** 31, 0, 0],
      ],
      0,
      4,
      4,
      0,
    ],
    ['with a fraction of a step', [[2, 0.5, 1]], 0, 4, 4, 0],
  ])('refuses a walk %s', (_, axes, start, from, to, toStart) => {
    expect(() => copy(axes, start, from, to, toStart)).toThrow(/^expected copy/);
  });

  it('refuses copies into their own source, and words of another size', () => {
    const params: Params = {fromStart: 0, toStart: 0, fromSize: 4, toSize: 4};
    for (let k = 0; k < 6; k++) [params[`count${k}`], params[`from${k}`], params[`to${k}`]] = [1, 0, 0];
    const same = f32(4);
    expect(() => operate('copy', params, [same, same])).toThrow('share no memory');
    expect(() => operate('copy', params, [new Float64Array(4) as never, same])).toThrow('Float32Array, Int32Array');
    operate('copy', params, [Int32Array.of(5, 6, 7, 8), same]);
  });

  it('passes over ids that no row has', () => {
    const ids = Int32Array.of(-1, 2, 2 ** 31 - 1, -(2 ** 31), 1);
    const to = f32(5).fill(9);
    operate('gather_rows', {batches: 1, outer: 1, rows: 2, picks: 5, length: 1}, [Float32Array.of(3, 4), ids, to]);
    expect([...to]).toEqual([0, 0, 0, 0, 4]);
    const whole = f32(2);
    operate('scatter_rows', {rows: 2, picks: 5, length: 1}, [ids, f32(5).fill(1), whole]);
    expect([...whole]).toEqual([0, 1]);
    const wrong = {batches: 2, outer: 1, rows: 2, picks: 5, length: 1};
    expect(() => operate('gather_rows', wrong, [Float32Array.of(3, 4), ids, to])).toThrow('gather_rows.from');
  });

  it('refuses gradients by a stride of 0', () => {
    const buffers = () => [f32(3), f32(4)];
    for (const stride of ['strideDepth', 'strideHeight', 'strideWidth']) {
      expect(() => operate('avg_pool_gradient', pool({[stride]: 0}), buffers())).toThrow(`${stride} to be at least 1`);
    }
    const input = depthwise({strideWidth: 0});
    expect(() => operate('depthwise_conv2d_input', input, [f32(3), f32(2), f32(4)])).toThrow('strideWidth');
  });

  it('stays inside its memory whatever windows it is given', () => {
    const most = 2 ** 32 - 1;
    const odd = [0, 1, 3, 1000, most];
    for (const stride of odd) {
      for (const dilation of odd) {
        for (const padLeft of odd) {
          const change = {strideWidth: stride, dilationWidth: dilation, padLeft};
          operate('max_pool', pool(change), [f32(4), f32(3)]);
          operate('avg_pool', {...pool({...change, padLeft: -padLeft}), leastPixels: 0}, [f32(4), f32(3)]);
          operate('max_pool_gradient', {...pool(change), tie: 'last'}, [f32(4), f32(3), f32(4)]);
          const end = {activation: 'linear', biased: 0, alpha: 0};
          operate('depthwise_conv2d', {...depthwise(change), ...end}, [f32(4), f32(2), f32(0), f32(3)]);
          if (stride === 0) continue;
          operate('avg_pool_gradient', pool(change), [f32(3), f32(4)]);
          operate('depthwise_conv2d_input', depthwise(change), [f32(3), f32(2), f32(4)]);
        }
      }
    }
    const endless = pool({samples: 0, outWidth: most, strideWidth: most});
    expect(() => operate('max_pool', endless, [f32(0), f32(0)])).toThrow('below 2^53');
    const many = pool({samples: 0, inHeight: 2 ** 16, inWidth: 2 ** 15});
    expect(() => operate('max_pool_gradient', {...many, tie: 'first'}, [f32(0), f32(0), f32(0)])).toThrow('2^31');
  });

  it('resizes nothing out of nothing', () => {
    const sizes = {samples: 1, inHeight: 0, inWidth: 2, outHeight: 2, outWidth: 2, channels: 1, alignCorners: 0};
    for (const operation of ['resize_bilinear', 'resize_nearest'] as const) {
      expect(() => operate(operation, {...sizes, halfPixels: 0}, [f32(0), f32(4)])).toThrow(
        'inHeight to be at least 1',
      );
      expect(() => operate(`${operation}_gradient`, sizes, [f32(4), f32(0)])).toThrow('inHeight to be at least 1');
      operate(operation, {...sizes, inHeight: 1, outHeight: 0, halfPixels: 0}, [f32(2), f32(0)]);
    }
  });
});
