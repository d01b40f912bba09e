// Gradient of a convolution with respect to its images, or volumes: for every pixel the deltas of the windows it lies in,
// times the filter. Pixels of one remainder by the stride meet the same taps, and are one dense convolution of the deltas.
#pragma once
#include "../core/finite.h"
#include "../core/patches.h"
#include "../core/planes.h"
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

/** The filter, turned round: element (k, i) for k = (tapZ, tapY, tapX, out channel) and i an in channel. */
struct TurnedFilter {
  const float* filter;
  int64_t filterHeight, filterWidth, inChannels, outChannels;
  const MeetingTaps &z, &y, &x;

  Panel pack(int64_t from, int64_t depth, int64_t first, int64_t count, int64_t panelWidth, float* panel) const {
    for (int64_t k = from; k < from + depth;) {
      const int64_t tap = k / outChannels, channel = k % outChannels, row = tap / x.taps.count;
      const int64_t length = smaller(from + depth - k, outChannels - channel);
      const int64_t plane = z.filterOf(row / y.taps.count) * filterHeight + y.filterOf(row % y.taps.count);
      const int64_t at = plane * filterWidth + x.filterOf(tap % x.taps.count);
      packTransposed(panel + (k - from) * panelWidth, panelWidth, count, length, [&](int64_t i) {
        return filter + (at * inChannels + first + i) * outChannels + channel;
      });
      k += length;
    }
    return {panel, panelWidth};
  }
};

/** Pixels z0, z0 + stride, ... x y0, y0 + stride, ... x x0, x0 + stride, ... of all volumes, as rows of a matrix. */
static inline void remainderOf(const conv3d_input_call& s, int64_t z0, int64_t y0, int64_t x0) {
  const MeetingTaps z(z0, s.filterDepth, s.strideDepth, s.dilationDepth, s.padFront);
  const MeetingTaps y(y0, s.filterHeight, s.strideHeight, s.dilationHeight, s.padTop);
  const MeetingTaps x(x0, s.filterWidth, s.strideWidth, s.dilationWidth, s.padLeft);
  const Windows windows{s.deltas,
                        s.deltas + s.samples * s.outDepth * s.outHeight * s.outWidth * s.outChannels,
                        s.outChannels,
                        {s.outDepth, ceilDivide(s.inDepth - z0, s.strideDepth), 1, z.taps},
                        {s.outHeight, ceilDivide(s.inHeight - y0, s.strideHeight), 1, y.taps},
                        {s.outWidth, ceilDivide(s.inWidth - x0, s.strideWidth), 1, x.taps}};
  const int64_t positions = s.samples * windows.grid(), depth = windows.patch(), columns = s.inChannels;
  const TurnedFilter filter{s.filter, s.filterHeight, s.filterWidth, columns, s.outChannels, z, y, x};
  const bool inPlace = s.strideDepth == 1 && s.strideHeight == 1 && s.strideWidth == 1;
  const double work = 2.0 * static_cast<double>(positions * columns) * static_cast<double>(larger(1, depth));
  if (inPlace && ChannelPlanes::suit(windows, columns)) {
    return ChannelPlanes(windows, columns).convolve(filter, s.samples, s.gradient, [](float*, int64_t) {});
  }

  const Cut cut(positions, columns, 1, mostStored);
  parallel(cut.count(), work, [&](int64_t task) {
    const Rectangle part = cut[task];
    const int64_t block = part.rows() * part.columns();
    const Workspace memory(inPlace ? 0 : block);
    float* strided = memory.rest;
    float* to = inPlace ? s.gradient + part.m0 * columns + part.n0 : strided;
    multiply<Term::product>(PatchRows(windows), filter, depth, part, cut.tile, to,
                            inPlace ? columns : part.columns(), End::store, memory);
    if (inPlace) return;
    Walk at(windows, part.m0);
    for (int64_t m = 0; m < part.rows(); ++m, at.next(windows)) {
      const int64_t plane = at.image * s.inDepth + z0 + at.z * s.strideDepth;
      const int64_t row = plane * s.inHeight + y0 + at.y * s.strideHeight;
      float* pixel = s.gradient + (row * s.inWidth + x0 + at.x * s.strideWidth) * columns + part.n0;
      for (int64_t n = 0; n < part.columns(); ++n) pixel[n] = strided[m * part.columns() + n];
    }
  });
}

/** Without the fast path's zeros in the place of absent deltas, for filters with NaN or infinity in them. */
static inline void scatterDeltas(const conv3d_input_call& s, int64_t volume) {
  const int64_t pixels = s.inDepth * s.inHeight * s.inWidth, grid = s.outDepth * s.outHeight * s.outWidth;
  float* gradient = s.gradient + volume * pixels * s.inChannels;
  for (int64_t i = 0; i < pixels * s.inChannels; ++i) gradient[i] = 0;
  for (int64_t position = 0; position < grid; ++position) {
    const float* delta = s.deltas + (volume * grid + position) * s.outChannels;
    const int64_t gridX = position % s.outWidth, gridRow = position / s.outWidth;
    for (int64_t tap = 0; tap < s.filterDepth * s.filterHeight * s.filterWidth; ++tap) {
      const int64_t tapX = tap % s.filterWidth, tapRow = tap / s.filterWidth;
      const int64_t z = gridRow / s.outHeight * s.strideDepth + tapRow / s.filterHeight * s.dilationDepth - s.padFront;
      const int64_t y = gridRow % s.outHeight * s.strideHeight + tapRow % s.filterHeight * s.dilationHeight - s.padTop;
      const int64_t x = gridX * s.strideWidth + tapX * s.dilationWidth - s.padLeft;
      if (!within(z, s.inDepth) || !within(y, s.inHeight) || !within(x, s.inWidth)) continue;
      for (int64_t c = 0; c < s.inChannels; ++c) {
        const float* weight = s.filter + (tap * s.inChannels + c) * s.outChannels;
        float sum = 0;
        for (int64_t q = 0; q < s.outChannels; ++q) sum += delta[q] * weight[q];
        gradient[((z * s.inHeight + y) * s.inWidth + x) * s.inChannels + c] += sum;
      }
    }
  }
}

static inline void conv3d_input(const conv3d_input_call& s) {
  if (s.samples * s.inDepth * s.inHeight * s.inWidth * s.inChannels == 0) return;
  const int64_t taps = s.filterDepth * s.filterHeight * s.filterWidth;
  if (countNonfinite(s.filter, taps * s.inChannels * s.outChannels) > 0) {
    parallel(s.samples, 1e9, [&](int64_t volume) { scatterDeltas(s, volume); });
    return;
  }
  for (int64_t z = 0; z < smaller(s.strideDepth, s.inDepth); ++z) {
    for (int64_t y = 0; y < smaller(s.strideHeight, s.inHeight); ++y) {
      for (int64_t x = 0; x < smaller(s.strideWidth, s.inWidth); ++x) remainderOf(s, z, y, x);
    }
  }
}

/** Images are volumes of depth 1. */
static inline void conv2d_input(const conv2d_input_call& s) {
  conv3d_input_call volumes{};
  volumes.samples = s.samples;
  volumes.inDepth = volumes.filterDepth = volumes.outDepth = volumes.strideDepth = volumes.dilationDepth = 1;
  volumes.inHeight = s.inHeight;
  volumes.inWidth = s.inWidth;
  volumes.inChannels = s.inChannels;
  volumes.filterHeight = s.filterHeight;
  volumes.filterWidth = s.filterWidth;
  volumes.outHeight = s.outHeight;
  volumes.outWidth = s.outWidth;
  volumes.outChannels = s.outChannels;
  volumes.strideHeight = s.strideHeight;
  volumes.strideWidth = s.strideWidth;
  volumes.dilationHeight = s.dilationHeight;
  volumes.dilationWidth = s.dilationWidth;
  volumes.padTop = s.padTop;
  volumes.padLeft = s.padLeft;
  volumes.deltas = s.deltas;
  volumes.filter = s.filter;
  volumes.gradient = s.gradient;
  conv3d_input(volumes);
}

}  // namespace engram::ENGRAM_ISA
