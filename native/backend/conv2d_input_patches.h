// Gradient of a convolution with respect to its images, patch by patch: what every position adds to the pixels it meets.
#pragma once
#include "../core/patches.h"
#include "../core/product.h"
#include "../kernel_table.h"

namespace engram::ENGRAM_ISA {

/** Floats of patches that wait to be added to an image. */
constexpr int64_t mostPatchFloats = 1 << 16;

/** A position's deltas times the filter are one row of a matrix product, a whole patch, which is added to the image. */
static inline void addPatches(const conv3d_input_call& s) {
  const int64_t rowFloats = s.inWidth * s.inChannels, image = s.inDepth * s.inHeight * rowFloats;
  const Windows windows{s.gradient,
                        s.gradient + s.samples * image,
                        s.inChannels,
                        {s.inDepth, s.outDepth, s.strideDepth, {s.filterDepth, -s.padFront, s.dilationDepth}},
                        {s.inHeight, s.outHeight, s.strideHeight, {s.filterHeight, -s.padTop, s.dilationHeight}},
                        {s.inWidth, s.outWidth, s.strideWidth, {s.filterWidth, -s.padLeft, s.dilationWidth}}};
  const int64_t patch = windows.patch(), positions = windows.grid(), depth = s.outChannels;
  const int64_t together = larger(1, smaller(positions, mostPatchFloats / patch)), tile = tileRows(together);
  const double work = 2.0 * static_cast<double>(s.samples * positions) * static_cast<double>(patch * depth);
  const Rows deltas{s.deltas, depth, s.deltas + s.samples * positions * depth};
  const TransposedRows filter{s.filter, depth};
  parallel(s.samples, work, [&](int64_t sample) {
    const Workspace memory(together * patch + patch * static_cast<int64_t>(sizeof(Piece) / sizeof(float)));
    Piece* pieces = reinterpret_cast<Piece*>(memory.rest);  // first: they want their alignment
    float* columns = memory.rest + patch * static_cast<int64_t>(sizeof(Piece) / sizeof(float));
    const int64_t n = cutPatch(windows, 0, patch, pieces);
    for (int64_t i = 0; i < image; ++i) s.gradient[sample * image + i] = 0;
    Walk at(windows, sample * positions);
    for (int64_t m0 = sample * positions, end = m0 + positions; m0 < end; m0 += together) {
      const int64_t m1 = smaller(end, m0 + together);
      for (int64_t n0 = 0; n0 < patch; n0 += blockColumns) {
        multiply<Term::product>(deltas, filter, depth, {m0, m1, n0, smaller(patch, n0 + blockColumns)}, tile,
                                columns + n0, patch, End::store, memory);
      }
      for (int64_t m = m0; m < m1; ++m, at.next(windows)) {
        scatterAdd(windows, s.gradient, at, pieces, n, columns + (m - m0) * patch);
      }
    }
  });
}

}  // namespace engram::ENGRAM_ISA
