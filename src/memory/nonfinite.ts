/** Finds NaN and Infinity on the device by their bits: comparisons on a GPU may not see them. */
import type * as tf from '@tensorflow/tfjs-core';
import type {Cell} from '../kernels/tensor-engine.js';
import {tensorEngine} from '../kernels/tensors.js';

/** Names of the values that are not all finite. One number is read back where all are. */
export async function nonfiniteIn(named: Iterable<readonly [string, tf.Tensor | Cell]>): Promise<string[]> {
  const all = [...named];
  if ((await countIn(all.map(([, values]) => values))) === 0) return [];
  const names = new Set<string>();
  for (const [name, values] of all) if ((await countIn([values])) > 0) names.add(name);
  return [...names];
}

async function countIn(values: readonly (tf.Tensor | Cell)[]): Promise<number> {
  const engine = tensorEngine();
  const count = engine.cell(1, 'u32');
  try {
    for (const each of values) {
      if (each.size > 0) engine.run('count_nonfinite', {size: each.size}, {values: each, count}, {});
    }
    return (await count.read())[0];
  } finally {
    count.dispose();
  }
}
