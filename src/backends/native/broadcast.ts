/** How two operands lie in the result of their broadcast, as the addon's operations take it. */
import * as tf from '@tensorflow/tfjs-core';

/** Axes of a row of the backend's table. */
const most = 6;
const countNames = Array.from({length: most}, (_, k) => `count${k}`);
const aNames = countNames.map((_, k) => `aStep${k}`);
const bNames = countNames.map((_, k) => `bStep${k}`);

export interface Broadcast {
  /** The result's. */
  shape: number[];
  /** Counts of at most six axes, steps of both operands along them, and the operands' sizes. */
  params: Record<string, number>;
}

/**
 * The result's shape, and its axes: those that both operands walk as one are one, a repeated operand has a step of 0.
 *
 * @returns null where more than six axes remain
 * @throws Error as tfjs does, for shapes that cannot be broadcast
 */
export function broadcastOf(a: number[], b: number[]): Broadcast | null {
  const params: Record<string, number> = {};
  for (let k = 0; k < most; k++) {
    params[countNames[k]] = 1;
    params[aNames[k]] = 0;
    params[bNames[k]] = 0;
  }
  if (tf.util.arraysEqual(a, b)) {
    const size = tf.util.sizeFromShape(a);
    return {shape: a, params: {...params, count5: size, aStep5: 1, bStep5: 1, aSize: size, bSize: size}};
  }
  const shape = tf.broadcast_util.assertAndGetBroadcastShape(a, b);
  let k = most; // the innermost axis comes last
  let aSize = 1;
  let bSize = 1;
  for (let axis = 1; axis <= shape.length; axis++) {
    const count = shape[shape.length - axis];
    const aCount = a[a.length - axis] ?? 1;
    const bCount = b[b.length - axis] ?? 1;
    if (count !== 1) {
      const aStep = aCount === 1 ? 0 : aSize;
      const bStep = bCount === 1 ? 0 : bSize;
      const inner = k < most ? params[countNames[k]] : 0;
      const asOne = k < most && aStep === params[aNames[k]] * inner && bStep === params[bNames[k]] * inner;
      if (!asOne) {
        if (--k < 0) return null;
        params[aNames[k]] = aStep;
        params[bNames[k]] = bStep;
      }
      params[countNames[k]] *= count;
    }
    aSize *= aCount;
    bSize *= bCount;
  }
  params.aSize = aSize;
  params.bSize = bSize;
  return {shape, params};
}
