// Maximum and mean over windows of NDHWC images, and their gradients. As in tfjs' cpu backend NaN is never the maximum,
// pixels beyond the border take no part, and a mean's gradient is spread as if they did.
#pragma once
#include "../kernel_table.h"
#include "depthwise.h"

namespace engram::ENGRAM_ISA {

/** Channels that are looked at together. */
constexpr int64_t poolChannels = 64;

/** Calls body(pixel) for the pixels of window (z, y, x) that lie inside the image, in order. */
template <class Call, class Body>
static void forPixels(const Call& s, int64_t z, int64_t y, int64_t x, Body body) {
  const Taps tapsZ{s.filterDepth, z * s.strideDepth - s.padFront, s.dilationDepth};
  const Taps tapsY{s.filterHeight, y * s.strideHeight - s.padTop, s.dilationHeight};
  const Taps tapsX{s.filterWidth, x * s.strideWidth - s.padLeft, s.dilationWidth};
  const TapRange insideZ(tapsZ, 0, s.inDepth), insideY(tapsY, 0, s.inHeight), insideX(tapsX, 0, s.inWidth);
  for (int64_t i = insideZ.from; i < insideZ.to; ++i) {
    for (int64_t j = insideY.from; j < insideY.to; ++j) {
      const int64_t row = (tapsZ[i] * s.inHeight + tapsY[j]) * s.inWidth;
      for (int64_t k = insideX.from; k < insideX.to; ++k) body(row + tapsX[k]);
    }
  }
}

/** Calls body(window's number, pixel's channels of the image, z, y, x, first channel, channels) for windows of a row. */
template <class Call, class Body>
static void forWindowsOfRow(const Call& s, int64_t row, Body body) {
  const int64_t y = row % s.outHeight, z = row / s.outHeight % s.outDepth, image = row / s.outHeight / s.outDepth;
  const int64_t size = s.inDepth * s.inHeight * s.inWidth * s.channels;
  for (int64_t x = 0; x < s.outWidth; ++x) {
    for (int64_t first = 0; first < s.channels; first += poolChannels) {
      body(row * s.outWidth + x, image * size + first, z, y, x, first, smaller(poolChannels, s.channels - first));
    }
  }
}

template <class Call>
static double poolingWork(const Call& s) {
  return 2.0 * static_cast<double>(s.samples * s.outDepth * s.outHeight * s.outWidth * s.channels) *
         static_cast<double>(s.filterDepth * s.filterHeight * s.filterWidth);
}

/** The maxima of a window, channel by channel, and the pixels of the image that have them; -1 where none has. */
struct Maxima {
  float value[poolChannels];
  int32_t pixel[poolChannels];
};

/** Of equal pixels the first one is taken, or the last. */
template <bool last, class Call>
static void findMaxima(const Call& s, const float* image, int64_t z, int64_t y, int64_t x, int64_t count,
                       Maxima& maxima) {
  for (int64_t c = 0; c < count; ++c) {
    maxima.value[c] = -__builtin_inff();
    maxima.pixel[c] = -1;
  }
  forPixels(s, z, y, x, [&](int64_t pixel) {
    const float* values = image + pixel * s.channels;
    const int32_t number = static_cast<int32_t>(pixel);
    for (int64_t c = 0; c < count; ++c) {
      const bool more = last ? values[c] >= maxima.value[c] : values[c] > maxima.value[c];
      maxima.value[c] = more ? values[c] : maxima.value[c];
      maxima.pixel[c] = more ? number : maxima.pixel[c];
    }
  });
}

static inline void max_pool(const max_pool_call& s) {
  parallel(s.samples * s.outDepth * s.outHeight, poolingWork(s), [&](int64_t row) {
    forWindowsOfRow(s, row, [&](int64_t o, int64_t image, int64_t z, int64_t y, int64_t x, int64_t first,
                                int64_t count) {
      float best[poolChannels];
      for (int64_t c = 0; c < count; ++c) best[c] = -__builtin_inff();
      forPixels(s, z, y, x, [&](int64_t pixel) {
        const float* values = s.images + image + pixel * s.channels;
        for (int64_t c = 0; c < count; ++c) best[c] = values[c] > best[c] ? values[c] : best[c];
      });
      float* to = s.results + o * s.channels + first;
      for (int64_t c = 0; c < count; ++c) to[c] = best[c];
    });
  });
}

template <bool last>
static void spreadMaxima(const max_pool_gradient_call& s, int64_t sample) {
  const int64_t size = s.inDepth * s.inHeight * s.inWidth * s.channels, rows = s.outDepth * s.outHeight;
  for (int64_t i = 0; i < size; ++i) s.gradient[sample * size + i] = 0;
  for (int64_t row = sample * rows; row < (sample + 1) * rows; ++row) {
    forWindowsOfRow(s, row, [&](int64_t o, int64_t image, int64_t z, int64_t y, int64_t x, int64_t first,
                                int64_t count) {
      Maxima maxima;
      findMaxima<last>(s, s.images + image, z, y, x, count, maxima);
      const float* delta = s.deltas + o * s.channels + first;
      float* gradient = s.gradient + image;
      for (int64_t c = 0; c < count; ++c) {
        if (maxima.pixel[c] >= 0) gradient[maxima.pixel[c] * s.channels + c] += delta[c];
      }
    });
  }
}

/** Windows overlap: an image stays on a thread. */
static inline void max_pool_gradient(const max_pool_gradient_call& s) {
  parallel(s.samples, poolingWork(s), [&](int64_t sample) {
    if (s.tie == max_pool_gradient_tie::last) {
      spreadMaxima<true>(s, sample);
    } else {
      spreadMaxima<false>(s, sample);
    }
  });
}

/** In doubles, as the reference sums: the mean is its, bit for bit. */
static inline void avg_pool(const avg_pool_call& s) {
  parallel(s.samples * s.outDepth * s.outHeight, poolingWork(s), [&](int64_t row) {
    forWindowsOfRow(s, row, [&](int64_t o, int64_t image, int64_t z, int64_t y, int64_t x, int64_t first,
                                int64_t count) {
      double sums[poolChannels] = {};
      int64_t pixels = 0;
      forPixels(s, z, y, x, [&](int64_t pixel) {
        const float* values = s.images + image + pixel * s.channels;
        for (int64_t c = 0; c < count; ++c) sums[c] += static_cast<double>(values[c]);
        ++pixels;
      });
      const double divisor = static_cast<double>(larger(s.leastPixels, pixels));
      float* to = s.results + o * s.channels + first;
      for (int64_t c = 0; c < count; ++c) to[c] = static_cast<float>(sums[c] / divisor);
    });
  });
}

/** Each pixel gathers the deltas of the windows that it lies in. */
static inline void avg_pool_gradient(const avg_pool_gradient_call& s) {
  const double share = 1.0 / static_cast<double>(s.filterDepth * s.filterHeight * s.filterWidth);
  parallel(s.samples * s.inDepth * s.inHeight, poolingWork(s), [&](int64_t row) {
    const int64_t y = row % s.inHeight, z = row / s.inHeight % s.inDepth, image = row / s.inHeight / s.inDepth;
    const MeetingTaps tapsZ(z % s.strideDepth, s.filterDepth, s.strideDepth, s.dilationDepth, s.padFront);
    const MeetingTaps tapsY(y % s.strideHeight, s.filterHeight, s.strideHeight, s.dilationHeight, s.padTop);
    const int64_t baseZ = z / s.strideDepth, baseY = y / s.strideHeight;
    const TapRange insideZ(tapsZ.taps, baseZ, s.outDepth), insideY(tapsY.taps, baseY, s.outHeight);
    for (int64_t x0 = 0; x0 < smaller(s.strideWidth, s.inWidth); ++x0) {
      const MeetingTaps tapsX(x0, s.filterWidth, s.strideWidth, s.dilationWidth, s.padLeft);
      for (int64_t x = x0; x < s.inWidth; x += s.strideWidth) {
        const int64_t baseX = x / s.strideWidth;
        const TapRange insideX(tapsX.taps, baseX, s.outWidth);
        for (int64_t first = 0; first < s.channels; first += poolChannels) {
          const int64_t count = smaller(poolChannels, s.channels - first);
          double sums[poolChannels] = {};
          for (int64_t i = insideZ.from; i < insideZ.to; ++i) {
            for (int64_t j = insideY.from; j < insideY.to; ++j) {
              const int64_t grid = (image * s.outDepth + baseZ + tapsZ.taps[i]) * s.outHeight + baseY + tapsY.taps[j];
              for (int64_t k = insideX.from; k < insideX.to; ++k) {
                const float* delta = s.deltas + (grid * s.outWidth + baseX + tapsX.taps[k]) * s.channels + first;
                for (int64_t c = 0; c < count; ++c) sums[c] += static_cast<double>(delta[c]);
              }
            }
          }
          float* to = s.gradient + (row * s.inWidth + x) * s.channels + first;
          for (int64_t c = 0; c < count; ++c) to[c] = static_cast<float>(sums[c] * share);
        }
      }
    }
  });
}

}  // namespace engram::ENGRAM_ISA
