/** How two operands lie in the result of their broadcast, as the addon's operations take it. */
import * as tf from '@tensorflow/tfjs-core';

/** Axes of a row of the backend's table. */
const most = 6;

export interface Broadcast {
  /** The result's. */
  shape: number[];
  /** The row's parameters: the choice of `op` if it has one, counts, steps of a, steps of b, and the operands' sizes. */
  params: Float64Array;
}

/**
 * The result's shape, and its axes: those that both operands walk as one are one, a repeated operand has a step of 0.
 *
 * @param op number of the choice, for rows that have one
 * @returns null where more than six axes remain
 * @throws Error as tfjs does, for shapes that cannot be broadcast
 */
export function broadcastOf(a: number[], b: number[], op?: number): Broadcast | null {
  const first = op === undefined ? 0 : 1;
  const params = new Float64Array(first + 3 * most + 2);
  if (op !== undefined) params[0] = op;
  const counts = params.subarray(first, first + most).fill(1);
  const aSteps = params.subarray(first + most, first + 2 * most);
  const bSteps = params.subarray(first + 2 * most, first + 3 * most);
  let aSize = 1;
  let bSize = 1;
  let shape = a;
  if (tf.util.arraysEqual(a, b)) {
    aSize = bSize = counts[most - 1] = tf.util.sizeFromShape(a);
    aSteps[most - 1] = bSteps[most - 1] = 1;
  } else {
    shape = tf.broadcast_util.assertAndGetBroadcastShape(a, b);
    let k = most; // the innermost axis comes last
    for (let axis = 1; axis <= shape.length; axis++) {
      const count = shape[shape.length - axis];
      const aCount = a[a.length - axis] ?? 1;
      const bCount = b[b.length - axis] ?? 1;
      if (count !== 1) {
        const aStep = aCount === 1 ? 0 : aSize;
        const bStep = bCount === 1 ? 0 : bSize;
        const asOne = k < most && aStep === aSteps[k] * counts[k] && bStep === bSteps[k] * counts[k];
        if (!asOne) {
          if (--k < 0) return null;
          aSteps[k] = aStep;
          bSteps[k] = bStep;
        }
        counts[k] *= count;
      }
      aSize *= aCount;
      bSize *= bCount;
    }
  }
  params[params.length - 2] = aSize;
  params[params.length - 1] = bSize;
  return {shape, params};
}
