/** count += number of NaN and Infinity among the values. */
import type {Body} from './body.js';

export const count_nonfinite: Body<'count_nonfinite'> = (s, {values, count}) => {
  let found = 0;
  for (let i = 0; i < s.size; i++) if (!Number.isFinite(values[i])) found++;
  count[0] += found;
};
