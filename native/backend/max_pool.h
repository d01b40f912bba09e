// Maximum over windows of NHWC images, and its gradient, which goes to the first pixel that has the maximum. As in
// tfjs' cpu backend NaN is never the maximum.
#pragma once
#include "../core/parallel.h"
#include "../kernel_table.h"

namespace engram::ENGRAM_ISA {

/** Channels that are looked at together. */
constexpr int64_t poolChannels = 64;

/** The maxima of a window, channel by channel, and the pixels of the image that have them; -1 where none has. */
struct Maxima {
  float value[poolChannels];
  int32_t pixel[poolChannels];
};

/** Looks for them in channels first..first+count-1 of the window at output position (image, y, x). */
template <class Call>
static void findMaxima(const Call& s, int64_t image, int64_t y, int64_t x, int64_t first, int64_t count,
                       Maxima& maxima) {
  for (int64_t c = 0; c < count; ++c) {
    maxima.value[c] = -__builtin_inff();
    maxima.pixel[c] = -1;
  }
  for (int64_t fy = 0; fy < s.filterHeight; ++fy) {
    const int64_t row = y * s.strideHeight + fy * s.dilationHeight - s.padTop;
    if (row < 0 || row >= s.inHeight) continue;
    for (int64_t fx = 0; fx < s.filterWidth; ++fx) {
      const int64_t column = x * s.strideWidth + fx * s.dilationWidth - s.padLeft;
      if (column < 0 || column >= s.inWidth) continue;
      const int32_t pixel = static_cast<int32_t>(row * s.inWidth + column);
      const float* values = s.images + ((image * s.inHeight + row) * s.inWidth + column) * s.channels + first;
      for (int64_t c = 0; c < count; ++c) {
        const bool more = values[c] > maxima.value[c];
        maxima.value[c] = more ? values[c] : maxima.value[c];
        maxima.pixel[c] = more ? pixel : maxima.pixel[c];
      }
    }
  }
}

/** Calls body(image, position in it, first channel, channels, maxima) for all windows; an image stays on a thread. */
template <class Call, class Body>
static void forWindows(const Call& s, Body body) {
  const double work = 2.0 * static_cast<double>(s.samples * s.outHeight * s.outWidth * s.channels) *
                      static_cast<double>(s.filterHeight * s.filterWidth);
  parallel(s.samples, work, [&](int64_t image) {
    for (int64_t o = 0; o < s.outHeight * s.outWidth; ++o) {
      for (int64_t first = 0; first < s.channels; first += poolChannels) {
        Maxima maxima;
        const int64_t count = smaller(poolChannels, s.channels - first);
        findMaxima(s, image, o / s.outWidth, o % s.outWidth, first, count, maxima);
        body(image, o, first, count, maxima);
      }
    }
  });
}

static inline void max_pool(const max_pool_call& s) {
  forWindows(s, [&](int64_t image, int64_t o, int64_t first, int64_t count, const Maxima& maxima) {
    float* to = s.results + (image * s.outHeight * s.outWidth + o) * s.channels + first;
    for (int64_t c = 0; c < count; ++c) to[c] = maxima.value[c];
  });
}

static inline void max_pool_gradient(const max_pool_gradient_call& s) {
  const int64_t imageSize = s.inHeight * s.inWidth * s.channels;
  for (int64_t i = 0; i < s.samples * imageSize; ++i) s.gradient[i] = 0;
  forWindows(s, [&](int64_t image, int64_t o, int64_t first, int64_t count, const Maxima& maxima) {
    const float* delta = s.deltas + (image * s.outHeight * s.outWidth + o) * s.channels + first;
    float* gradient = s.gradient + image * imageSize + first;
    for (int64_t c = 0; c < count; ++c) {
      if (maxima.pixel[c] >= 0) gradient[maxima.pixel[c] * s.channels + c] += delta[c];
    }
  });
}

}  // namespace engram::ENGRAM_ISA
