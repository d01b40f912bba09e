/** M[ky,kx,c,m] += sum_b phi(sum_l A D): each input channel c has filters of its own, `multiplier` of them. */
import type {Body} from './body.js';
import {phi} from './phi.js';

export const grad_moment_depthwise: Body<'grad_moment_depthwise'> = (s, {activations, deltas, moment}) => {
  const apply = phi[s.phi];
  const outPixels = s.outHeight * s.outWidth;
  const channels = s.inChannels * s.multiplier;
  for (let ky = 0; ky < s.filterHeight; ky++) {
    for (let kx = 0; kx < s.filterWidth; kx++) {
      for (let q = 0; q < channels; q++) {
        const c = Math.floor(q / s.multiplier);
        let total = 0;
        for (let b = 0; b < s.samples; b++) {
          let g = 0;
          for (let u = 0; u < s.uses; u++) {
            const image = b * s.uses + u;
            for (let oy = 0; oy < s.outHeight; oy++) {
              const iy = oy * s.strideHeight + ky * s.dilationHeight - s.padTop;
              if (iy < 0 || iy >= s.inHeight) continue;
              for (let ox = 0; ox < s.outWidth; ox++) {
                const ix = ox * s.strideWidth + kx * s.dilationWidth - s.padLeft;
                if (ix < 0 || ix >= s.inWidth) continue;
                const a = activations[((image * s.inHeight + iy) * s.inWidth + ix) * s.inChannels + c];
                g += a * deltas[(image * outPixels + oy * s.outWidth + ox) * channels + q];
              }
            }
          }
          total += apply(g);
        }
        moment[(ky * s.filterWidth + kx) * channels + q] += total;
      }
    }
  }
};
