/** M[p,q] += sum_b phi(sum_l A[b,l,p] D[b,l,q]), A gathered as convolution patches. Needs no per-sample gradient. */
import type {Body} from './body.js';
import {phi} from './phi.js';

export const grad_moment: Body<'grad_moment'> = (s, {activations, deltas, moment}) => {
  const apply = phi[s.phi];
  const fanIn = s.filterDepth * s.filterHeight * s.filterWidth * s.inChannels;
  for (let p = 0; p < fanIn; p++) {
    const c = p % s.inChannels;
    const tap = (p - c) / s.inChannels;
    const kx = tap % s.filterWidth;
    const ky = Math.floor(tap / s.filterWidth) % s.filterHeight;
    const kz = Math.floor(tap / (s.filterWidth * s.filterHeight));
    for (let q = 0; q < s.fanOut; q++) {
      let total = 0;
      for (let b = 0; b < s.samples; b++) {
        let g = 0;
        for (let image = b * s.uses; image < (b + 1) * s.uses; image++) {
          for (let oz = 0; oz < s.outDepth; oz++) {
            const iz = oz * s.strideDepth + kz * s.dilationDepth - s.padFront;
            if (iz < 0 || iz >= s.inDepth) continue;
            for (let oy = 0; oy < s.outHeight; oy++) {
              const iy = oy * s.strideHeight + ky * s.dilationHeight - s.padTop;
              if (iy < 0 || iy >= s.inHeight) continue;
              for (let ox = 0; ox < s.outWidth; ox++) {
                const ix = ox * s.strideWidth + kx * s.dilationWidth - s.padLeft;
                if (ix < 0 || ix >= s.inWidth) continue;
                const pixel = ((image * s.inDepth + iz) * s.inHeight + iy) * s.inWidth + ix;
                const position = ((image * s.outDepth + oz) * s.outHeight + oy) * s.outWidth + ox;
                g += activations[pixel * s.inChannels + c] * deltas[position * s.fanOut + q];
              }
            }
          }
        }
        total += apply(g);
      }
      moment[p * s.fanOut + q] += total;
    }
  }
};
