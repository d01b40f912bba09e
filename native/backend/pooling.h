// Maximum and mean over windows of NDHWC images, and their gradients. As in tfjs' cpu backend NaN is never the maximum,
// pixels beyond the border take no part, and a mean's gradient is spread as if they did.
#pragma once
#include "../kernel_table.h"
#include "depthwise.h"

namespace engram::ENGRAM_ISA {

/** Channels of which a mean is taken together. */
constexpr int64_t poolChannels = 64;

/** What of a window lies inside the image along an axis; distances in floats. */
struct Span {
  int64_t first = 0, count, step = 0;
  /** `pixel` floats lie between neighbours along the axis. */
  Span(const Taps& taps, int64_t size, int64_t pixel) {
    const TapRange inside(taps, 0, size);
    count = inside.to - inside.from;
    if (count > 0) first = taps[inside.from] * pixel;
    if (count > 1) step = taps.step * pixel;
  }
};

/** The pixels of a window that lie inside the image. */
struct WindowPixels {
  int64_t first;  // floats, from the first channel of all images
  Span z, y, x;
  int64_t count() const { return z.count * y.count * x.count; }
};

/** Calls body(floats to a pixel) for the pixels of a window in order, or from the last one on. */
template <bool backwards = false, class Body>
static inline __attribute__((always_inline)) void forPixels(const WindowPixels& window, Body body) {
  const Span z = window.z, y = window.y, x = window.x;
  const auto turned = [](int64_t i, const Span& span) { return (backwards ? span.count - 1 - i : i) * span.step; };
  for (int64_t i = 0; i < z.count; ++i) {
    for (int64_t j = 0; j < y.count; ++j) {
      const int64_t row = window.first + turned(i, z) + turned(j, y);
      for (int64_t k = 0; k < x.count; ++k) body(row + turned(k, x));
    }
  }
}

/** Calls body(window's number, its pixels) for the windows of row `row` of all images' grids. */
template <class Call, class Body>
static inline __attribute__((always_inline)) void forWindowsOfRow(const Call& s, int64_t row, Body body) {
  const int64_t gridY = row % s.outHeight, gridZ = row / s.outHeight % s.outDepth;
  const int64_t image = row / s.outHeight / s.outDepth, rowFloats = s.inWidth * s.channels;
  const Taps tapsZ{s.filterDepth, gridZ * s.strideDepth - s.padFront, s.dilationDepth};
  const Taps tapsY{s.filterHeight, gridY * s.strideHeight - s.padTop, s.dilationHeight};
  const Span z(tapsZ, s.inDepth, s.inHeight * rowFloats), y(tapsY, s.inHeight, rowFloats);
  const int64_t first = image * s.inDepth * s.inHeight * rowFloats + z.first + y.first;
  for (int64_t gridX = 0; gridX < s.outWidth; ++gridX) {
    const Taps tapsX{s.filterWidth, gridX * s.strideWidth - s.padLeft, s.dilationWidth};
    const Span x(tapsX, s.inWidth, s.channels);
    body(row * s.outWidth + gridX, WindowPixels{first + x.first, z, y, x});
  }
}

template <class Call>
static double poolingWork(const Call& s) {
  constexpr double cost = 8;  // operations per value looked at, what finding it takes included
  return cost * static_cast<double>(s.samples * s.outDepth * s.outHeight * s.outWidth * s.channels) *
         static_cast<double>(s.filterDepth * s.filterHeight * s.filterWidth);
}

/** The maxima of a window, for `count` channels from `channel` on; -Infinity where there is none. */
static inline Vec maximaOf(const float* images, const WindowPixels& window, int64_t channel, int64_t count) {
  Vec best = set(-__builtin_inff());
  forPixels(window, [&](int64_t pixel) {
    const Vec values = loadFirst(images + pixel + channel, count);
    best = values > best ? values : best;
  });
  return best;
}

static inline void max_pool(const max_pool_call& s) {
  parallel(s.samples * s.outDepth * s.outHeight, poolingWork(s), [&](int64_t row) {
    forWindowsOfRow(s, row, [&](int64_t o, const WindowPixels& window) {
      for (int64_t c = 0; c < s.channels; c += width) {
        const int64_t count = smaller(width, s.channels - c);
        storeFirst(s.results + o * s.channels + c, maximaOf(s.images, window, c, count), count);
      }
    });
  });
}

/**
 * Each window's delta goes to the first of its largest pixels, or to the last; then it is spent. Windows that share
 * pixels are `added`: the others meet each pixel once.
 */
template <bool last, bool added>
static void spreadMaxima(const max_pool_gradient_call& s, int64_t sample) {
  const int64_t size = s.inDepth * s.inHeight * s.inWidth * s.channels, rows = s.outDepth * s.outHeight;
  const int64_t channels = s.channels;
  const float *images = s.images, *deltas = s.deltas;
  float* const gradient = s.gradient;
  for (int64_t i = 0; i < size; ++i) gradient[sample * size + i] = 0;
  for (int64_t row = sample * rows; row < (sample + 1) * rows; ++row) {
    forWindowsOfRow(s, row, [&](int64_t o, const WindowPixels& window) {
      for (int64_t c = 0; c < channels; c += width) {
        const int64_t count = smaller(width, channels - c);
        const Vec best = maximaOf(images, window, c, count);
        Vec delta = loadFirst(deltas + o * channels + c, count);
        // Among equals the first pixel is one that is more than all before it: none is more than -Infinity.
        if (!last) delta = best > set(-__builtin_inff()) ? delta : zero();
        forPixels<last>(window, [&](int64_t pixel) {
          const Vec values = loadFirst(images + pixel + c, count);
          float* to = gradient + pixel + c;
          const Vec share = values == best ? delta : zero();
          storeFirst(to, added ? add(loadFirst(to, count), share) : share, count);
          delta = values == best ? zero() : delta;
        });
      }
    });
  }
}

/** Whether a window may meet a pixel twice, or two windows the same, along an axis. */
static inline bool meetAgain(int64_t filter, int64_t stride, int64_t dilation) {
  return stride < (filter - 1) * dilation + 1 || (filter > 1 && dilation < 1);
}

/** Windows may overlap: an image stays on a thread. */
static inline void max_pool_gradient(const max_pool_gradient_call& s) {
  const bool last = s.tie == max_pool_gradient_tie::last;
  const bool added = meetAgain(s.filterDepth, s.strideDepth, s.dilationDepth) ||
                     meetAgain(s.filterHeight, s.strideHeight, s.dilationHeight) ||
                     meetAgain(s.filterWidth, s.strideWidth, s.dilationWidth);
  const auto spread = last ? added ? spreadMaxima<true, true> : spreadMaxima<true, false>
                           : added ? spreadMaxima<false, true> : spreadMaxima<false, false>;
  parallel(s.samples, poolingWork(s), [&](int64_t sample) { spread(s, sample); });
}

/** In doubles, as the reference sums: the mean is its, bit for bit. */
static inline void avg_pool(const avg_pool_call& s) {
  parallel(s.samples * s.outDepth * s.outHeight, poolingWork(s), [&](int64_t row) {
    forWindowsOfRow(s, row, [&](int64_t o, const WindowPixels& window) {
      const double divisor = static_cast<double>(larger(s.leastPixels, window.count()));
      for (int64_t first = 0; first < s.channels; first += poolChannels) {
        const int64_t count = smaller(poolChannels, s.channels - first);
        double sums[poolChannels] = {};
        forPixels(window, [&](int64_t pixel) {
          const float* values = s.images + pixel + first;
          for (int64_t c = 0; c < count; ++c) sums[c] += static_cast<double>(values[c]);
        });
        float* to = s.results + o * s.channels + first;
        for (int64_t c = 0; c < count; ++c) to[c] = static_cast<float>(sums[c] / divisor);
      }
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
