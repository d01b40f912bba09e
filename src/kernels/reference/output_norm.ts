/** s_b = ||F(x_b)||^2 and its derivative 2F, the seed of the backward pass (MAS paper, section 4.1). */
import type {Body} from './body.js';

export const output_norm: Body<'output_norm'> = (s, {outputs, norms, seed}) => {
  for (let b = 0; b < s.samples; b++) {
    let norm = 0;
    for (let k = 0; k < s.outputs; k++) {
      const f = outputs[b * s.outputs + k];
      norm += f * f;
      seed[b * s.outputs + k] = 2 * f;
    }
    norms[b] = norm;
  }
};
