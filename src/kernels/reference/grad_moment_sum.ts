/** M[q] += sum_b phi(sum_l X[b,l,q] D[b,l,q]): biases (X = 1) and scales of a normalisation. */
import type {Body} from './body.js';
import {phi} from './phi.js';

export const grad_moment_sum: Body<'grad_moment_sum'> = (s, {activations, deltas, moment}) => {
  const apply = phi[s.phi];
  for (let q = 0; q < s.fanOut; q++) {
    let total = 0;
    for (let b = 0; b < s.samples; b++) {
      let g = 0;
      for (let l = 0; l < s.positions; l++) {
        const at = (b * s.positions + l) * s.fanOut + q;
        g += s.scaled ? activations[at] * deltas[at] : deltas[at];
      }
      total += apply(g);
    }
    moment[q] += total;
  }
};
