// Gradient of a convolution with respect to its images, pixel by pixel: the deltas of the windows it lies in, times the
// filter. Pixels of one remainder by the stride meet the same taps, and are one dense convolution of the deltas.
#pragma once
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

/** Pixels z0, z0 + stride, ... x y0, y0 + stride, ... x x0, x0 + stride, ... of all volumes, as windows over the deltas. */
struct Remainder {
  int64_t z0, y0, x0;
  MeetingTaps z, y, x;
  Windows windows;
  TurnedFilter filter;

  Remainder(const conv3d_input_call& s, int64_t z0_, int64_t y0_, int64_t x0_)
      : z0(z0_),
        y0(y0_),
        x0(x0_),
        z(z0, s.filterDepth, s.strideDepth, s.dilationDepth, s.padFront),
        y(y0, s.filterHeight, s.strideHeight, s.dilationHeight, s.padTop),
        x(x0, s.filterWidth, s.strideWidth, s.dilationWidth, s.padLeft),
        windows{s.deltas,
                s.deltas + s.samples * s.outDepth * s.outHeight * s.outWidth * s.outChannels,
                s.outChannels,
                {s.outDepth, ceilDivide(s.inDepth - z0, s.strideDepth), 1, z.taps},
                {s.outHeight, ceilDivide(s.inHeight - y0, s.strideHeight), 1, y.taps},
                {s.outWidth, ceilDivide(s.inWidth - x0, s.strideWidth), 1, x.taps}},
        filter{s.filter, s.filterHeight, s.filterWidth, s.inChannels, s.outChannels, z, y, x} {}
  Remainder(const Remainder&) = delete;
  Remainder& operator=(const Remainder&) = delete;
};

/** The gradients of a remainder's pixels, as rows of a matrix product of the deltas around them with the filter. */
static inline void multiplyRemainder(const conv3d_input_call& s, const Remainder& remainder) {
  const Windows& windows = remainder.windows;
  const int64_t positions = s.samples * windows.grid(), depth = windows.patch(), columns = s.inChannels;
  const bool inPlace = s.strideDepth == 1 && s.strideHeight == 1 && s.strideWidth == 1;
  const double work = 2.0 * static_cast<double>(positions * columns) * static_cast<double>(larger(1, depth));
  const Cut cut(positions, columns, depth, 1, mostStored);
  parallel(cut.count(), work, [&](int64_t task) {
    const Rectangle part = cut[task];
    const int64_t block = part.rows() * part.columns();
    const Workspace memory(inPlace ? 0 : block);
    float* strided = memory.rest;
    float* to = inPlace ? s.gradient + part.m0 * columns + part.n0 : strided;
    multiply<Term::product>(PatchRows(windows), remainder.filter, depth, part, cut.tile, to,
                            inPlace ? columns : part.columns(), End::store, memory);
    if (inPlace) return;
    Walk at(windows, part.m0);
    for (int64_t m = 0; m < part.rows(); ++m, at.next(windows)) {
      const int64_t plane = at.image * s.inDepth + remainder.z0 + at.z * s.strideDepth;
      const int64_t row = plane * s.inHeight + remainder.y0 + at.y * s.strideHeight;
      float* pixel = s.gradient + (row * s.inWidth + remainder.x0 + at.x * s.strideWidth) * columns + part.n0;
      for (int64_t n = 0; n < part.columns(); ++n) pixel[n] = strided[m * part.columns() + n];
    }
  });
}

}  // namespace engram::ENGRAM_ISA
