/** (hi, lo) += batch with the rounding error kept in lo (Knuth's two-sum), then batch = 0. All steps are 32-bit. */
import type {Body} from './body.js';

export const fold: Body<'fold'> = (s, {batch, hi, lo}) => {
  const {fround} = Math;
  for (let i = 0; i < s.size; i++) {
    const a = hi[i];
    const b = batch[i];
    const sum = fround(a + b);
    const fromB = fround(sum - a);
    const fromA = fround(sum - fromB);
    const error = fround(fround(a - fromA) + fround(b - fromB));
    hi[i] = sum;
    lo[i] = fround(lo[i] + error);
    batch[i] = 0;
  }
};
