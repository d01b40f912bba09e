/** A call on little memory that works for minutes without vectors: what must be stopped, or outlived. */
import {bufferLength} from '../dist/kernels/check.js';
import {type Params, row} from '../dist/kernels/table.js';

export function endless(): {params: Params<'grad_moment'>; arrays: Record<string, Float32Array>} {
  const params = {
    ...Object.fromEntries(Object.keys(row('grad_moment').params).map((name) => [name, name.startsWith('pad') ? 0 : 1])),
    ...{phi: 'abs' as const, inHeight: 256, inWidth: 256, inChannels: 8, fanOut: 16},
    ...{filterHeight: 128, filterWidth: 128, outHeight: 256, outWidth: 256, padTop: 64, padLeft: 64},
  };
  const arrays = Object.fromEntries(
    Object.entries(row('grad_moment').buffers).map(([name, buffer]) => [
      name,
      new Float32Array(bufferLength(buffer, params)).fill(1),
    ]),
  );
  return {params: params as unknown as Params<'grad_moment'>, arrays};
}
