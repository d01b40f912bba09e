/** M[row] += sum_b phi(sum of D at the positions l of sample b whose id is that row): an embedding's table of rows. */
import type {Body} from './body.js';
import {phi} from './phi.js';

export const grad_moment_gather: Body<'grad_moment_gather'> = (s, {ids, deltas, moment}) => {
  const apply = phi[s.phi];
  // Where each row is looked up, sample after sample. Rows that no id names are never touched.
  const places = new Map<number, number[]>();
  for (let i = 0; i < s.samples * s.positions; i++) {
    const row = ids[i];
    if (row < 0 || row >= s.rows) continue;
    const list = places.get(row);
    if (list) list.push(i);
    else places.set(row, [i]);
  }
  const sampleOf = (i: number) => Math.floor(i / s.positions);
  for (const [row, list] of places) {
    for (let q = 0; q < s.fanOut; q++) {
      let total = 0;
      let g = 0;
      for (const [n, i] of list.entries()) {
        g += deltas[i * s.fanOut + q];
        if (n + 1 < list.length && sampleOf(list[n + 1]) === sampleOf(i)) continue;
        total += apply(g);
        g = 0;
      }
      moment[row * s.fanOut + q] += total;
    }
  }
};
