/** M[p,q] += sum_b phi(sum_l A[b,l,p] D[b,l,q]), A gathered as convolution patches. Needs no per-sample gradient. */
import type {Body} from './body.js';
import {phi} from './phi.js';

export const grad_moment: Body<'grad_moment'> = (s, {activations, deltas, moment}) => {
  const apply = phi[s.phi];
  const outPixels = s.outHeight * s.outWidth;
  for (let ky = 0; ky < s.filterHeight; ky++) {
    for (let kx = 0; kx < s.filterWidth; kx++) {
      for (let c = 0; c < s.inChannels; c++) {
        for (let q = 0; q < s.fanOut; q++) {
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
                  g += a * deltas[(image * outPixels + oy * s.outWidth + ox) * s.fanOut + q];
                }
              }
            }
            total += apply(g);
          }
          moment[((ky * s.filterWidth + kx) * s.inChannels + c) * s.fanOut + q] += total;
        }
      }
    }
  }
};
