/** merged = a*stored + b*incoming, or max(a*stored, b*incoming): how a task's importance joins the memory. */
import type {Body} from './body.js';

export const merge: Body<'merge'> = (s, {stored, incoming, merged}) => {
  const {fround} = Math;
  const a = fround(s.storedWeight);
  const b = fround(s.incomingWeight);
  for (let i = 0; i < s.size; i++) {
    const x = fround(a * stored[i]);
    const y = fround(b * incoming[i]);
    merged[i] = s.rule === 'max' ? Math.max(x, y) : fround(x + y);
  }
};
