// NHWC images in another size, bilinear or from the nearest pixel, and the gradients. Places are worked out in doubles,
// as in tfjs' cpu backend, so that both take the same pixels.
#pragma once
#include "copy.h"

namespace engram::ENGRAM_ISA {

/** Where the pixels of one axis come from. */
struct Resized {
  int64_t in;
  double ratio;
  bool align, half;

  Resized(int64_t in_, int64_t out, bool align_, bool half_) : in(in_), align(align_), half(half_) {
    const int64_t ends = align && out > 1 ? 1 : 0;
    ratio = static_cast<double>(in - ends) / static_cast<double>(out - ends);
  }
  int64_t inside(double i) const { return smaller(larger(0, static_cast<int64_t>(i)), in - 1); }
  int64_t nearest(int64_t o) const {
    const double at = ratio * (half ? static_cast<double>(o) + 0.5 : static_cast<double>(o));
    const double below = __builtin_floor(at);
    return inside(align && at - below >= 0.5 ? below + 1 : below);
  }
};

/** The two pixels that a resized one lies between, and how far it is from the first. */
struct Between {
  int64_t low, high;
  double part;
  Between(const Resized& axis, int64_t o) {
    const double i = static_cast<double>(o), at = axis.half ? axis.ratio * (i + 0.5) - 0.5 : axis.ratio * i;
    low = axis.inside(__builtin_floor(at));
    high = axis.inside(__builtin_ceil(at));
    part = at - static_cast<double>(low);
  }
};

/** Both axes of a call; the gradients of tfjs know no half pixels. */
template <class Call>
static Resized heightOf(const Call& s, int64_t half) {
  return {s.inHeight, s.outHeight, s.alignCorners != 0, half != 0};
}
template <class Call>
static Resized widthOf(const Call& s, int64_t half) {
  return {s.inWidth, s.outWidth, s.alignCorners != 0, half != 0};
}
template <class Call>
static double resizingWork(const Call& s, double pixel) {
  return pixel * static_cast<double>(s.samples * s.outHeight) * static_cast<double>(s.outWidth * s.channels);
}

static inline void resize_bilinear(const resize_bilinear_call& s) {
  const Resized height = heightOf(s, s.halfPixels), width_ = widthOf(s, s.halfPixels);
  const int64_t row = s.inWidth * s.channels;
  parallel(s.samples * s.outHeight, resizingWork(s, 6), [&](int64_t task) {
    const Between y(height, task % s.outHeight);
    const float* image = s.images + task / s.outHeight * s.inHeight * row;
    for (int64_t o = 0; o < s.outWidth; ++o) {
      const Between x(width_, o);
      const int64_t left = x.low * s.channels, right = x.high * s.channels;
      const float *top = image + y.low * row, *bottom = image + y.high * row;
      float* to = s.results + (task * s.outWidth + o) * s.channels;
      ENGRAM_INDEPENDENT
      for (int64_t c = 0; c < s.channels; ++c) {
        const double a = top[left + c], b = top[right + c], d = bottom[left + c], e = bottom[right + c];
        const double upper = a + (b - a) * x.part, lower = d + (e - d) * x.part;
        to[c] = static_cast<float>(upper + (lower - upper) * y.part);
      }
    }
  });
}

static inline void resize_bilinear_gradient(const resize_bilinear_gradient_call& s) {
  const Resized height = heightOf(s, 0), width_ = widthOf(s, 0);
  const int64_t row = s.inWidth * s.channels;
  parallel(s.samples, resizingWork(s, 8), [&](int64_t sample) {
    float* gradient = s.gradient + sample * s.inHeight * row;
    for (int64_t i = 0; i < s.inHeight * row; ++i) gradient[i] = 0;
    const float* delta = s.deltas + sample * s.outHeight * s.outWidth * s.channels;
    for (int64_t r = 0; r < s.outHeight; ++r) {
      const Between y(height, r);
      for (int64_t o = 0; o < s.outWidth; ++o, delta += s.channels) {
        const Between x(width_, o);
        const auto spread = [&](int64_t pixelY, int64_t pixelX, double share) {
          float* to = gradient + pixelY * row + pixelX * s.channels;
          ENGRAM_INDEPENDENT
          for (int64_t c = 0; c < s.channels; ++c) {
            to[c] = static_cast<float>(static_cast<double>(to[c]) + static_cast<double>(delta[c]) * share);
          }
        };
        spread(y.low, x.low, (1 - y.part) * (1 - x.part));
        spread(y.low, x.high, (1 - y.part) * x.part);
        spread(y.high, x.low, y.part * (1 - x.part));
        spread(y.high, x.high, y.part * x.part);
      }
    }
  });
}

static inline void resize_nearest(const resize_nearest_call& s) {
  const Resized height = heightOf(s, s.halfPixels), width_ = widthOf(s, s.halfPixels);
  parallel(s.samples * s.outHeight, resizingWork(s, 2), [&](int64_t task) {
    const int64_t y = task / s.outHeight * s.inHeight + height.nearest(task % s.outHeight);
    for (int64_t o = 0; o < s.outWidth; ++o) {
      const float* from = s.images + (y * s.inWidth + width_.nearest(o)) * s.channels;
      float* to = s.results + (task * s.outWidth + o) * s.channels;
      ENGRAM_INDEPENDENT
      for (int64_t c = 0; c < s.channels; ++c) to[c] = from[c];
    }
  });
}

static inline void resize_nearest_gradient(const resize_nearest_gradient_call& s) {
  const Resized height = heightOf(s, 0), width_ = widthOf(s, 0);
  const int64_t row = s.inWidth * s.channels;
  parallel(s.samples, resizingWork(s, 2), [&](int64_t sample) {
    float* gradient = s.gradient + sample * s.inHeight * row;
    for (int64_t i = 0; i < s.inHeight * row; ++i) gradient[i] = 0;
    const float* delta = s.deltas + sample * s.outHeight * s.outWidth * s.channels;
    for (int64_t r = 0; r < s.outHeight; ++r) {
      float* to = gradient + height.nearest(r) * row;
      for (int64_t o = 0; o < s.outWidth; ++o, delta += s.channels) {
        float* pixel = to + width_.nearest(o) * s.channels;
        ENGRAM_INDEPENDENT
        for (int64_t c = 0; c < s.channels; ++c) pixel[c] += delta[c];
      }
    }
  });
}

}  // namespace engram::ENGRAM_ISA
