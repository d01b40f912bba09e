/** M[p,q] += sum_b phi(A[b,p] D[b,q]): with one position the sum over l is a single product. */
import type {Body} from './body.js';
import {phi} from './phi.js';

export const grad_moment_dense: Body<'grad_moment_dense'> = (s, {activations, deltas, moment}) => {
  const apply = phi[s.phi];
  for (let p = 0; p < s.fanIn; p++) {
    for (let q = 0; q < s.fanOut; q++) {
      let total = 0;
      for (let b = 0; b < s.samples; b++) total += apply(activations[b * s.fanIn + p] * deltas[b * s.fanOut + q]);
      moment[p * s.fanOut + q] += total;
    }
  }
};
