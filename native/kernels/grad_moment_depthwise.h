// M[ky,kx,c,m] += sum_b phi(sum_l A D), a filter of its own for every channel: no matrix product, but one multiply-add a
// channel, tap and pixel, with the channels as lanes. A task owns some channels of a part of the batch.
#pragma once
#include "../core/phi.h"
#include "../kernel_table.h"

namespace engram::ENGRAM_ISA {

/** Pixels along one axis of the grid whose tap lies inside the image: o0..o1-1. */
struct Inside {
  int64_t o0, o1;
  Inside(int64_t in, int64_t out, int64_t stride, int64_t offset) {
    o0 = offset >= 0 ? 0 : stride == 0 ? out : ceilDivide(-offset, stride);
    const int64_t room = in - offset;  // o * stride must stay below
    o1 = room <= 0 ? 0 : stride == 0 ? out : smaller(out, ceilDivide(room, stride));
  }
};

/** g[q] += sum over `count` pixels of a[q]·d[q]; the pixels lie aStep and dStep floats apart. */
static inline void sumPixels(const float* a, int64_t aStep, const float* d, int64_t dStep, int64_t count,
                             int64_t channels, float* g) {
  int64_t q = 0;
  for (; q + 4 * width <= channels; q += 4 * width) {  // four chains hide the latency of a multiply-add
    Vec s0 = zero(), s1 = zero(), s2 = zero(), s3 = zero();
    for (int64_t i = 0; i < count; ++i) {
      const float *x = a + i * aStep + q, *y = d + i * dStep + q;
      s0 = fma(load(x), load(y), s0);
      s1 = fma(load(x + width), load(y + width), s1);
      s2 = fma(load(x + 2 * width), load(y + 2 * width), s2);
      s3 = fma(load(x + 3 * width), load(y + 3 * width), s3);
    }
    store(g + q, add(load(g + q), s0));
    store(g + q + width, add(load(g + q + width), s1));
    store(g + q + 2 * width, add(load(g + q + 2 * width), s2));
    store(g + q + 3 * width, add(load(g + q + 3 * width), s3));
  }
  for (; q + width <= channels; q += width) {
    Vec sum = zero();
    for (int64_t i = 0; i < count; ++i) sum = fma(load(a + i * aStep + q), load(d + i * dStep + q), sum);
    store(g + q, add(load(g + q), sum));
  }
  for (; q < channels; ++q) {
    float sum = 0;
    for (int64_t i = 0; i < count; ++i) sum += a[i * aStep + q] * d[i * dStep + q];
    g[q] += sum;
  }
}

static inline void grad_moment_depthwise(const grad_moment_depthwise_call& s) {
  const int64_t lengths[] = {s.samples, s.uses, s.inHeight, s.inWidth, s.inChannels, s.multiplier, s.filterHeight,
                             s.filterWidth, s.outHeight, s.outWidth};
  for (const int64_t length : lengths) {
    if (length == 0) return;
  }
  const int64_t channels = s.inChannels, multiplier = s.multiplier, fanOut = channels * multiplier;
  const int64_t taps = s.filterHeight * s.filterWidth, pixels = s.inHeight * s.inWidth, grid = s.outHeight * s.outWidth;
  // So few channels a task that a row of the image and one of the deltas fit the first cache.
  constexpr int64_t enough = 16, block = 64;
  const int64_t blockChannels = smaller(channels, larger(1, block / multiplier));
  const int64_t blocks = ceilDivide(channels, blockChannels);
  const double work = 2.0 * static_cast<double>(s.samples * s.uses * grid) * static_cast<double>(taps * fanOut);
  const int64_t parts = blocks >= enough || work < 2 * smallWork ? 1 : smaller(s.samples, ceilDivide(enough, blocks));
  const Sums sums(parts > 1 ? parts * taps * fanOut : 0);
  const End phi = endOf(s.phi);

  parallel(parts * blocks, work, [&](int64_t task) {
    const int64_t part = task / blocks, c0 = task % blocks * blockChannels;
    const int64_t count = smaller(blockChannels, channels - c0), lanes = count * multiplier;
    float* moment = parts > 1 ? sums.memory + part * taps * fanOut : s.moment;
    // Several filters a channel are one filter a lane, once each pixel's channels are repeated.
    const bool repeated = multiplier > 1;
    float* g = scratch(taps * lanes + (repeated ? pixels * lanes : 0));
    float* copy = g + taps * lanes;
    const int64_t aStep = repeated ? lanes : channels;
    for (int64_t b = s.samples * part / parts; b < s.samples * (part + 1) / parts; ++b) {
      for (int64_t i = 0; i < taps * lanes; ++i) g[i] = 0;
      for (int64_t image = b * s.uses; image < (b + 1) * s.uses; ++image) {
        const float* a = s.activations + image * pixels * channels + c0;
        const float* d = s.deltas + image * grid * fanOut + c0 * multiplier;
        if (repeated) {
          float* to = copy;
          for (int64_t pixel = 0; pixel < pixels; ++pixel) {
            if (pixel % 1024 == 0) checkpoint();
            for (int64_t c = 0; c < count; ++c) {
              for (int64_t m = 0; m < multiplier; ++m) *to++ = a[pixel * channels + c];
            }
          }
          a = copy;
        }
        for (int64_t tap = 0; tap < taps; ++tap) {
          const int64_t offsetY = tap / s.filterWidth * s.dilationHeight - s.padTop;
          const int64_t offsetX = tap % s.filterWidth * s.dilationWidth - s.padLeft;
          const Inside y(s.inHeight, s.outHeight, s.strideHeight, offsetY);
          const Inside x(s.inWidth, s.outWidth, s.strideWidth, offsetX);
          if (x.o0 >= x.o1) continue;
          for (int64_t oy = y.o0; oy < y.o1; ++oy) {
            if (oy % 64 == 0) checkpoint();
            const int64_t pixel = (oy * s.strideHeight + offsetY) * s.inWidth + x.o0 * s.strideWidth + offsetX;
            sumPixels(a + pixel * aStep, s.strideWidth * aStep, d + (oy * s.outWidth + x.o0) * fanOut, fanOut,
                      x.o1 - x.o0, lanes, g + tap * lanes);
          }
        }
      }
      for (int64_t tap = 0; tap < taps; ++tap) {
        float* to = moment + tap * fanOut + c0 * multiplier;
        for (int64_t q = 0; q < lanes; ++q) to[q] += applyPhi(phi, g[tap * lanes + q]);
      }
    }
  });
  if (parts > 1) addParts(s.moment, sums.memory, parts, taps * fanOut);
}

}  // namespace engram::ENGRAM_ISA
