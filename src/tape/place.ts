/** A use of a part of a variable as a use of the whole: where the part ends, zeros go on. */
import * as tf from '@tensorflow/tfjs-core';
import {margins, type Part} from './layout.js';
import {cloneUse, keepUse, type Use} from './use.js';

/** The use of the whole variable (its tensors kept), or undefined if the operands of this kind cannot be padded. */
export function placeUse(use: Use, part: Part | null): Use | undefined {
  if (use.layout) return undefined;
  if (part === null) return keepUse(() => cloneUse(use));
  const {outer, length, inner, size} = part;
  const [before, after] = margins(part).map((count) => count * inner);
  switch (use.kind) {
    case 'matrix product': {
      const columns = use.deltas.shape[2]!;
      if (use.activations.shape[2] === outer) {
        return keepUse(() => ({...cloneUse(use), deltas: padLast(use.deltas, before, after)}));
      }
      if (outer !== 1 || before % columns !== 0 || after % columns !== 0) return undefined;
      const padding = [before, after].map((elements) => elements / columns);
      return keepUse(() => ({...cloneUse(use), activations: padLast(use.activations, padding[0], padding[1])}));
    }
    case 'convolution': {
      const {geometry, deltas} = use;
      const fanIn = geometry.filterDepth * geometry.filterHeight * geometry.filterWidth * geometry.inChannels;
      if (fanIn !== outer) return undefined;
      const whole = {...geometry, fanOut: before + geometry.fanOut + after};
      return keepUse(() => ({...cloneUse(use), geometry: whole, deltas: padLast(deltas, before, after)}));
    }
    case 'sum': {
      const place = (x: tf.Tensor) => {
        const [samples, positions] = x.shape;
        const rows = tf.reshape(x, [samples, positions!, outer, size * inner]);
        return tf.reshape(padLast(rows, before, after), [samples, positions!, outer * length * inner]);
      };
      const {activations, deltas} = use;
      return keepUse(() => ({...use, activations: activations && place(activations), deltas: place(deltas)}));
    }
    default:
      return undefined;
  }
}

function padLast(x: tf.Tensor, before: number, after: number): tf.Tensor {
  const last = x.shape.at(-1)!;
  const rows = tf.reshape(x, [-1, last]) as tf.Tensor2D; // GPU backends pad no more than four axes
  const padded = tf.pad2d(rows, [
    [0, 0],
    [before, after],
  ]);
  return tf.reshape(padded, [...x.shape.slice(0, -1), before + last + after]);
}
