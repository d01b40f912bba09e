// Maximum and mean over windows of NDHWC images, and their gradients. As in tfjs' cpu backend NaN is never the maximum,
// pixels beyond the border take no part, and a mean's gradient is spread as if they did.
#pragma once
#include "../kernel_table.h"
#include "depthwise.h"

namespace engram::ENGRAM_ISA {

/** Channels of which a mean is taken together. */
constexpr int64_t poolChannels = 64;

/** Calls body(pixel) for the pixels of window (z, y, x) that lie inside the image, in order, or from the last one on. */
template <bool backwards = false, class Call, class Body>
static inline __attribute__((always_inline)) void forPixels(const Call& s, int64_t z, int64_t y, int64_t x, Body body) {
  const Taps tapsZ{s.filterDepth, z * s.strideDepth - s.padFront, s.dilationDepth};
  const Taps tapsY{s.filterHeight, y * s.strideHeight - s.padTop, s.dilationHeight};
  const Taps tapsX{s.filterWidth, x * s.strideWidth - s.padLeft, s.dilationWidth};
  const TapRange insideZ(tapsZ, 0, s.inDepth), insideY(tapsY, 0, s.inHeight), insideX(tapsX, 0, s.inWidth);
  const auto turned = [](int64_t i, const TapRange& inside) { return backwards ? inside.from + inside.to - 1 - i : i; };
  for (int64_t i = insideZ.from; i < insideZ.to; ++i) {
    for (int64_t j = insideY.from; j < insideY.to; ++j) {
      const int64_t row = (tapsZ[turned(i, insideZ)] * s.inHeight + tapsY[turned(j, insideY)]) * s.inWidth;
      for (int64_t k = insideX.from; k < insideX.to; ++k) body(row + tapsX[turned(k, insideX)]);
    }
  }
}

/** Calls body(window's number, pixel's channels of the image, z, y, x, first channel, channels) for windows of a row. */
template <class Call, class Body>
static inline __attribute__((always_inline)) void forWindowsOfRow(const Call& s, int64_t row, int64_t together,
                                                                  Body body) {
  const int64_t y = row % s.outHeight, z = row / s.outHeight % s.outDepth, image = row / s.outHeight / s.outDepth;
  const int64_t size = s.inDepth * s.inHeight * s.inWidth * s.channels;
  for (int64_t x = 0; x < s.outWidth; ++x) {
    for (int64_t first = 0; first < s.channels; first += together) {
      body(row * s.outWidth + x, image * size + first, z, y, x, first, smaller(together, s.channels - first));
    }
  }
}

template <class Call>
static double poolingWork(const Call& s) {
  constexpr double cost = 8;  // operations per value looked at, what finding it takes included
  return cost * static_cast<double>(s.samples * s.outDepth * s.outHeight * s.outWidth * s.channels) *
         static_cast<double>(s.filterDepth * s.filterHeight * s.filterWidth);
}

/** The first `count` lanes of a vector; reads as many as the array, which ends at `limit`, has. */
static inline Vec loadLanes(const float* from, int64_t count, const float* limit) {
  if (limit - from >= width) return load(from);
  float lanes[width] = {};
  for (int64_t c = 0; c < count; ++c) lanes[c] = from[c];
  return load(lanes);
}

/** Stores the first `count` lanes, and the others too where `limit` leaves room: for arrays written front to back. */
static inline void storeLanes(float* to, Vec x, int64_t count, const float* limit) {
  if (limit - to >= width) return store(to, x);
  float lanes[width];
  store(lanes, x);
  for (int64_t c = 0; c < count; ++c) to[c] = lanes[c];
}

/** The maxima of a window, channel by channel; -Infinity where there is none. */
template <class Call>
static inline Vec maximaOf(const Call& s, const float* image, int64_t z, int64_t y, int64_t x, int64_t count,
                           const float* limit) {
  Vec best = set(-__builtin_inff());
  forPixels(s, z, y, x, [&](int64_t pixel) {
    const Vec values = loadLanes(image + pixel * s.channels, count, limit);
    best = values > best ? values : best;
  });
  return best;
}

static inline void max_pool(const max_pool_call& s) {
  const float* end = s.images + s.samples * s.inDepth * s.inHeight * s.inWidth * s.channels;
  parallel(s.samples * s.outDepth * s.outHeight, poolingWork(s), [&](int64_t row) {
    float* const rowEnd = s.results + (row + 1) * s.outWidth * s.channels;
    forWindowsOfRow(s, row, width, [&](int64_t o, int64_t image, int64_t z, int64_t y, int64_t x, int64_t first,
                                       int64_t count) {
      const Vec best = maximaOf(s, s.images + image, z, y, x, count, end);
      storeLanes(s.results + o * s.channels + first, best, count, rowEnd);
    });
  });
}

/** Each window's delta goes to the first of its largest pixels, or to the last; then it is spent. */
template <bool last>
static void spreadMaxima(const max_pool_gradient_call& s, int64_t sample) {
  const int64_t size = s.inDepth * s.inHeight * s.inWidth * s.channels, rows = s.outDepth * s.outHeight;
  const float* end = s.images + s.samples * size;
  float* const gradientEnd = s.gradient + (sample + 1) * size;
  for (int64_t i = 0; i < size; ++i) s.gradient[sample * size + i] = 0;
  for (int64_t row = sample * rows; row < (sample + 1) * rows; ++row) {
    forWindowsOfRow(s, row, width, [&](int64_t o, int64_t image, int64_t z, int64_t y, int64_t x, int64_t first,
                                       int64_t count) {
      const Vec best = maximaOf(s, s.images + image, z, y, x, count, end);
      // Lanes of other channels get nothing, so they may be written back.
      float lanes[width] = {};
      for (int64_t c = 0; c < count; ++c) lanes[c] = s.deltas[o * s.channels + first + c];
      Vec delta = load(lanes);
      // Among equals the first pixel is one that is more than all before it: none is more than -Infinity.
      if (!last) delta = best > set(-__builtin_inff()) ? delta : zero();
      forPixels<last>(s, z, y, x, [&](int64_t pixel) {
        const Vec values = loadLanes(s.images + image + pixel * s.channels, count, end);
        float* gradient = s.gradient + image + pixel * s.channels;
        const Vec before = loadLanes(gradient, count, gradientEnd);
        storeLanes(gradient, add(before, values == best ? delta : zero()), count, gradientEnd);
        delta = values == best ? zero() : delta;
      });
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
    forWindowsOfRow(s, row, poolChannels, [&](int64_t o, int64_t image, int64_t z, int64_t y, int64_t x, int64_t first,
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
