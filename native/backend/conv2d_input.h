// Gradient of conv2d with respect to its images: for every pixel the deltas of the windows it lies in, times the
// filter. Pixels of one remainder by the stride meet the same taps, and are one dense convolution of the deltas.
#pragma once
#include "../core/finite.h"
#include "../core/patches.h"
#include "../core/product.h"
#include "../kernel_table.h"

namespace engram::ENGRAM_ISA {

/** Filter taps along one axis that meet the pixels of one remainder by the stride; offsets into the deltas ascend. */
struct MeetingTaps {
  int64_t filterFirst = 0, filterStep = 0;  // index into the filter of tap t: filterFirst - t * filterStep
  Taps taps{0, 0, 0};

  MeetingTaps(int64_t remainder, int64_t filter, int64_t stride, int64_t dilation, int64_t pad) {
    for (int64_t f = 0; f < filter; ++f) {
      const int64_t distance = remainder + pad - f * dilation;
      if (distance % stride != 0) continue;
      if (taps.count > 0) {
        filterStep = f - filterFirst;
        taps.step = taps.first - distance / stride;
      }
      taps.first = distance / stride;
      filterFirst = f;
      ++taps.count;
    }
  }
  int64_t filterOf(int64_t tap) const { return filterFirst - tap * filterStep; }
};

/** The filter, turned round: element (k, i) for k = (tapY, tapX, out channel) and i an in channel. */
struct TurnedFilter {
  const float* filter;
  int64_t filterWidth, inChannels, outChannels;
  const MeetingTaps &y, &x;

  Panel pack(int64_t from, int64_t depth, int64_t first, int64_t count, int64_t panelWidth, float* panel) const {
    for (int64_t k = from; k < from + depth;) {
      const int64_t tap = k / outChannels, channel = k % outChannels;
      const int64_t length = smaller(from + depth - k, outChannels - channel);
      const int64_t at = y.filterOf(tap / x.taps.count) * filterWidth + x.filterOf(tap % x.taps.count);
      packTransposed(panel + (k - from) * panelWidth, panelWidth, count, length, [&](int64_t i) {
        return filter + (at * inChannels + first + i) * outChannels + channel;
      });
      k += length;
    }
    return {panel, panelWidth};
  }
};

/** Pixels y0, y0 + stride, ... x x0, x0 + stride, ... of all images, as rows of a matrix. */
static inline void remainderOf(const conv2d_input_call& s, int64_t y0, int64_t x0) {
  const MeetingTaps y(y0, s.filterHeight, s.strideHeight, s.dilationHeight, s.padTop);
  const MeetingTaps x(x0, s.filterWidth, s.strideWidth, s.dilationWidth, s.padLeft);
  const Windows windows{s.deltas,
                        s.deltas + s.samples * s.outHeight * s.outWidth * s.outChannels,
                        s.outChannels,
                        flat(),
                        {s.outHeight, ceilDivide(s.inHeight - y0, s.strideHeight), 1, y.taps},
                        {s.outWidth, ceilDivide(s.inWidth - x0, s.strideWidth), 1, x.taps}};
  const int64_t positions = s.samples * windows.grid(), depth = windows.patch(), columns = s.inChannels;
  const TurnedFilter filter{s.filter, s.filterWidth, columns, s.outChannels, y, x};
  const bool inPlace = s.strideHeight == 1 && s.strideWidth == 1;
  const double work = 2.0 * static_cast<double>(positions * columns) * static_cast<double>(larger(1, depth));

  const Cut cut(positions, columns, 1);
  parallel(cut.count(), work, [&](int64_t task) {
    const Rectangle part = cut[task];
    const int64_t block = part.rows() * part.columns();
    const Workspace memory(inPlace ? 0 : block);
    float* strided = memory.rest;
    float* to = inPlace ? s.gradient + part.m0 * columns + part.n0 : strided;
    multiply<Term::product>(PatchRows{windows}, filter, depth, part, cut.tile, to,
                            inPlace ? columns : part.columns(), End::store, memory);
    if (inPlace) return;
    Walk at(windows, part.m0);
    for (int64_t m = 0; m < part.rows(); ++m, at.next(windows)) {
      const int64_t row = at.image * s.inHeight + y0 + at.y * s.strideHeight;
      float* pixel = s.gradient + (row * s.inWidth + x0 + at.x * s.strideWidth) * columns + part.n0;
      for (int64_t n = 0; n < part.columns(); ++n) pixel[n] = strided[m * part.columns() + n];
    }
  });
}

/** Without the fast path's zeros in the place of absent deltas, for filters with NaN or infinity in them. */
static inline void scatterDeltas(const conv2d_input_call& s, int64_t image) {
  float* gradient = s.gradient + image * s.inHeight * s.inWidth * s.inChannels;
  for (int64_t i = 0; i < s.inHeight * s.inWidth * s.inChannels; ++i) gradient[i] = 0;
  for (int64_t position = 0; position < s.outHeight * s.outWidth; ++position) {
    const float* delta = s.deltas + (image * s.outHeight * s.outWidth + position) * s.outChannels;
    for (int64_t tap = 0; tap < s.filterHeight * s.filterWidth; ++tap) {
      const int64_t y = position / s.outWidth * s.strideHeight + tap / s.filterWidth * s.dilationHeight - s.padTop;
      const int64_t x = position % s.outWidth * s.strideWidth + tap % s.filterWidth * s.dilationWidth - s.padLeft;
      if (y < 0 || y >= s.inHeight || x < 0 || x >= s.inWidth) continue;
      for (int64_t c = 0; c < s.inChannels; ++c) {
        const float* weight = s.filter + (tap * s.inChannels + c) * s.outChannels;
        float sum = 0;
        for (int64_t q = 0; q < s.outChannels; ++q) sum += delta[q] * weight[q];
        gradient[(y * s.inWidth + x) * s.inChannels + c] += sum;
      }
    }
  }
}

static inline void conv2d_input(const conv2d_input_call& s) {
  if (s.samples * s.inHeight * s.inWidth * s.inChannels == 0) return;
  if (countNonfinite(s.filter, s.filterHeight * s.filterWidth * s.inChannels * s.outChannels) > 0) {
    parallel(s.samples, 1e9, [&](int64_t image) { scatterDeltas(s, image); });
    return;
  }
  for (int64_t y = 0; y < smaller(s.strideHeight, s.inHeight); ++y) {
    for (int64_t x = 0; x < smaller(s.strideWidth, s.inWidth); ++x) remainderOf(s, y, x);
  }
}

}  // namespace engram::ENGRAM_ISA
