// Depthwise convolution of NHWC images and its gradient with respect to them: every lane meets a filter of its own, so
// there is no matrix product. A task is a row of results; sums of some pixels and lanes stay in registers.
#pragma once
#include "../kernels/grad_moment_depthwise.h"
#include "conv2d_input.h"
#include "finish.h"

namespace engram::ENGRAM_ISA {

/** The taps that lie inside an axis of `size` pixels for a window at `base`: from..to-1. Offsets ascend. */
struct TapRange {
  int64_t from = 0, to;
  TapRange(const Taps& taps, int64_t base, int64_t size) : to(taps.count) {
    while (from < to && base + taps[from] < 0) ++from;
    while (to > from && base + taps[to - 1] >= size) --to;
  }
};

/** What a row of results is made of: rows of pixels, all inside the image, and the weights that they meet. */
struct LaneRows {
  int64_t lanes;
  const float* pixels;  // first tap's row
  int64_t rows, rowStep;
  int64_t size, stride;  // pixels in a row; from a window to the next one
  Taps taps;
  const float* weights;  // first tap's
  int64_t weightRowStep, weightStep;
};

/** Sums of `vectors` vectors of lanes of `count` windows next to each other; taps from..to-1 lie inside for all. */
template <int count, int vectors>
static void sumLanes(const LaneRows& s, int64_t window, int64_t from, int64_t to, int64_t lane, float* out,
                     int64_t outStep) {
  Vec sums[count][vectors];
  for (auto& sum : sums) {
    for (Vec& x : sum) x = zero();
  }
  const int64_t first = (window * s.stride + s.taps[from]) * s.lanes + lane, apart = s.stride * s.lanes;
  for (int64_t row = 0; row < s.rows; ++row) {
    const float* pixel = s.pixels + row * s.rowStep + first;
    const float* weight = s.weights + row * s.weightRowStep + from * s.weightStep + lane;
    for (int64_t tap = from; tap < to; ++tap, pixel += s.taps.step * s.lanes, weight += s.weightStep) {
      for (int v = 0; v < vectors; ++v) {
        const Vec w = load(weight + v * width);
        for (int i = 0; i < count; ++i) sums[i][v] = fma(load(pixel + i * apart + v * width), w, sums[i][v]);
      }
    }
  }
  for (int i = 0; i < count; ++i) {
    for (int v = 0; v < vectors; ++v) store(out + i * outStep + v * width, sums[i][v]);
  }
}

/** All lanes of `count` windows. */
template <int count>
static void sumWindows(const LaneRows& s, int64_t window, int64_t from, int64_t to, float* out, int64_t outStep) {
  int64_t lane = 0;
  for (; lane + 2 * width <= s.lanes; lane += 2 * width) {
    sumLanes<count, 2>(s, window, from, to, lane, out + lane, outStep);
  }
  for (; lane + width <= s.lanes; lane += width) sumLanes<count, 1>(s, window, from, to, lane, out + lane, outStep);
  for (; lane < s.lanes; ++lane) {
    for (int i = 0; i < count; ++i) {
      float sum = 0;
      for (int64_t row = 0; row < s.rows; ++row) {
        const float* pixel = s.pixels + row * s.rowStep + ((window + i) * s.stride + s.taps[from]) * s.lanes + lane;
        const float* weight = s.weights + row * s.weightRowStep + from * s.weightStep + lane;
        for (int64_t tap = from; tap < to; ++tap, pixel += s.taps.step * s.lanes, weight += s.weightStep) {
          sum += *pixel * *weight;
        }
      }
      out[i * outStep + lane] = sum;
    }
  }
}

/** A row of `windows` results, `outStep` floats apart. An absent pixel takes no part: it is no zero. */
static inline void sumRow(const LaneRows& s, int64_t windows, float* out, int64_t outStep) {
  constexpr int together = 4;
  // Windows all of whose taps lie inside.
  int64_t i0 = 0, i1 = 0;
  if (s.taps.count > 0) {
    const Inside low(s.size, windows, s.stride, s.taps[0]), high(s.size, windows, s.stride, s.taps[s.taps.count - 1]);
    i0 = smaller(windows, larger(low.o0, high.o0));
    i1 = larger(i0, smaller(low.o1, high.o1));
  }
  for (int64_t i = 0; i < windows;) {
    float* to = out + i * outStep;
    if (i >= i0 && i + together <= i1) {
      sumWindows<together>(s, i, 0, s.taps.count, to, outStep);
      i += together;
    } else {
      const TapRange inside(s.taps, i * s.stride, s.size);
      if (inside.from < inside.to) {
        sumWindows<1>(s, i, inside.from, inside.to, to, outStep);
      } else {  // the window meets nothing, and there may be no pixel to point at
        for (int64_t lane = 0; lane < s.lanes; ++lane) to[lane] = 0;
      }
      ++i;
    }
  }
}

template <class Call>
static double depthwiseWork(const Call& s) {
  return 2.0 * static_cast<double>(s.samples * s.outHeight * s.outWidth) *
         static_cast<double>(s.filterHeight * s.filterWidth * s.inChannels * s.multiplier);
}

static inline void depthwise_conv2d(const depthwise_conv2d_call& s) {
  const int64_t lanes = s.inChannels * s.multiplier, row = s.inWidth * s.inChannels;
  if (lanes == 0 || s.outWidth == 0) return;
  const Finish finish{s.biased ? s.bias : nullptr, static_cast<Activation>(s.activation), s.alpha};
  const Taps y{s.filterHeight, -s.padTop, s.dilationHeight}, x{s.filterWidth, -s.padLeft, s.dilationWidth};
  parallel(s.samples * s.outHeight, depthwiseWork(s), [&](int64_t task) {
    const int64_t base = task % s.outHeight * s.strideHeight;
    const TapRange rows(y, base, s.inHeight);
    const int64_t firstRow = task / s.outHeight * s.inHeight + base + y[rows.from];
    const float* pixels = rows.from < rows.to ? s.images + firstRow * row : nullptr;
    int64_t rowStep = s.dilationHeight * row;
    if (s.multiplier > 1) {  // several filters a channel are one filter a lane, once each pixel's channels are repeated
      float* copy = scratch((rows.to - rows.from) * s.inWidth * lanes);
      float* to = copy;
      for (int64_t i = rows.from; i < rows.to; ++i, pixels += rowStep) {
        for (int64_t c = 0; c < row; ++c) {
          for (int64_t m = 0; m < s.multiplier; ++m) *to++ = pixels[c];
        }
      }
      pixels = copy;
      rowStep = s.inWidth * lanes;
    }
    float* out = s.results + task * s.outWidth * lanes;
    sumRow({lanes, pixels, rows.to - rows.from, rowStep, s.inWidth, s.strideWidth, x,
            s.filter + rows.from * s.filterWidth * lanes, s.filterWidth * lanes, lanes},
           s.outWidth, out, lanes);
    finish(out, lanes, s.outWidth, 0, lanes);
  });
}

static inline void depthwise_conv2d_input(const depthwise_conv2d_input_call& s) {
  const int64_t lanes = s.inChannels * s.multiplier;
  if (s.inChannels == 0 || s.inWidth == 0) return;  // without filters the gradient is zero, and is written
  parallel(s.samples * s.inHeight, depthwiseWork(s), [&](int64_t task) {
    const int64_t row = task % s.inHeight, image = task / s.inHeight;
    // Pixels of one remainder by the stride meet the same taps, and are one dense convolution of the deltas.
    const MeetingTaps y(row % s.strideHeight, s.filterHeight, s.strideHeight, s.dilationHeight, s.padTop);
    const int64_t base = row / s.strideHeight;
    const TapRange rows(y.taps, base, s.outHeight);
    const int64_t deltaRow = s.outWidth * lanes;
    const int64_t firstRow = image * s.outHeight + base + y.taps[rows.from];
    const float* deltas = rows.from < rows.to ? s.deltas + firstRow * deltaRow : nullptr;
    float* gradient = s.gradient + task * s.inWidth * s.inChannels;
    float* out = s.multiplier > 1 ? scratch(s.inWidth * lanes) : gradient;
    for (int64_t x0 = 0; x0 < smaller(s.strideWidth, s.inWidth); ++x0) {
      const MeetingTaps x(x0, s.filterWidth, s.strideWidth, s.dilationWidth, s.padLeft);
      sumRow({lanes, deltas, rows.to - rows.from, y.taps.step * deltaRow, s.outWidth, 1, x.taps,
              s.filter + (y.filterOf(rows.from) * s.filterWidth + x.filterFirst) * lanes,
              -y.filterStep * s.filterWidth * lanes, -x.filterStep * lanes},
             ceilDivide(s.inWidth - x0, s.strideWidth), out + x0 * lanes, s.strideWidth * lanes);
    }
    if (s.multiplier == 1) return;
    for (int64_t c = 0; c < s.inWidth * s.inChannels; ++c) {
      float sum = 0;
      for (int64_t m = 0; m < s.multiplier; ++m) sum += out[c * s.multiplier + m];
      gradient[c] = sum;
    }
  });
}

}  // namespace engram::ENGRAM_ISA
