// Convolution of NHWC images or NDHWC volumes: a matrix product of patches and filter, then bias and activation.
#pragma once
#include "../core/finite.h"
#include "../core/patches.h"
#include "../core/plane_convolution.h"
#include "../core/product.h"
#include "../kernel_table.h"
#include "finish.h"

namespace engram::ENGRAM_ISA {

/** Without the fast path's zeros in the place of absent pixels, for filters with NaN or infinity in them. */
static inline void convolveAbsent(const Windows& w, const float* filter, int64_t outChannels, int64_t position,
                                  float* result) {
  const Walk at(w, position);
  for (int64_t q = 0; q < outChannels; ++q) result[q] = 0;
  for (int64_t p = 0; p < w.patch(); ++p) {
    Piece piece;
    cutPatch(w, p, 1, &piece);
    const float* a = elementAt(w, at, piece);
    if (!a) continue;
    for (int64_t q = 0; q < outChannels; ++q) result[q] += *a * filter[p * outChannels + q];
  }
}

template <class Call>
static void convolve(const Call& s, const Windows& windows, const Finish& finish) {
  const int64_t positions = s.samples * windows.grid(), depth = windows.patch(), columns = s.outChannels;
  if (positions == 0 || columns == 0) return;
  const bool rows = windows.areRows();
  const bool absent = windows.overhangs() && countNonfinite(s.filter, depth * columns) > 0;
  const Columns filter{s.filter, columns, s.filter + depth * columns};
  const double work = 2.0 * static_cast<double>(positions * columns) * static_cast<double>(larger(1, depth));
  const PlaneConvolution byPlanes(windows, columns);
  if (!absent && byPlanes.suits()) {
    return byPlanes.run(filter, s.samples, s.results, [&](float* part, int64_t count) {
      finish(part, columns, count, 0, columns);
    });
  }

  const Cut cut(positions, columns, depth, 1, mostStored);
  parallel(cut.count(), work, [&](int64_t task) {
    const Rectangle part = cut[task];
    float* to = s.results + part.m0 * columns + part.n0;
    if (absent) {
      if (part.n0 > 0) return;  // whole rows, by the task of their first columns
      for (int64_t m = part.m0; m < part.m1; ++m) {
        convolveAbsent(windows, s.filter, columns, m, s.results + m * columns);
      }
      finish(to, columns, part.rows(), 0, columns);
      return;
    }
    const Workspace memory;
    if (rows) {
      multiplyRectangle<Term::product>(Rows{windows.images, depth, windows.limit}, filter, depth, part, cut.tile, to,
                                     columns, End::store, memory);
    } else {
      multiplyRectangle<Term::product>(PatchRows(windows), filter, depth, part, cut.tile, to, columns, End::store,
                                     memory);
    }
    finish(to, columns, part.rows(), part.n0, part.columns());
  });
}

static inline void conv2d(const conv2d_call& s) {
  const Windows windows{s.images,
                        s.images + s.samples * s.inHeight * s.inWidth * s.inChannels,
                        s.inChannels,
                        flat(),
                        {s.inHeight, s.outHeight, s.strideHeight, {s.filterHeight, -s.padTop, s.dilationHeight}},
                        {s.inWidth, s.outWidth, s.strideWidth, {s.filterWidth, -s.padLeft, s.dilationWidth}}};
  convolve(s, windows, {s.biased ? s.bias : nullptr, static_cast<Activation>(s.activation), s.alpha});
}

static inline void conv3d(const conv3d_call& s) {
  const Windows windows{s.volumes,
                        s.volumes + s.samples * s.inDepth * s.inHeight * s.inWidth * s.inChannels,
                        s.inChannels,
                        {s.inDepth, s.outDepth, s.strideDepth, {s.filterDepth, -s.padFront, s.dilationDepth}},
                        {s.inHeight, s.outHeight, s.strideHeight, {s.filterHeight, -s.padTop, s.dilationHeight}},
                        {s.inWidth, s.outWidth, s.strideWidth, {s.filterWidth, -s.padLeft, s.dilationWidth}}};
  convolve(s, windows, {nullptr, Activation::linear, 0});
}

}  // namespace engram::ENGRAM_ISA
