// M[p,q] += sum_b phi(sum_l A[b,l,p] D[b,l,q]): per sample a matrix product whose end is phi, so that no per-sample
// gradient leaves the registers. A is gathered as convolution patches; a 1x1x1 filter reads rows as they lie.
#pragma once
#include "../core/finite.h"
#include "../core/patches.h"
#include "../core/phi.h"
#include "../core/plane_moment.h"
#include "../kernel_table.h"
#include "grad_moment_dense.h"

namespace engram::ENGRAM_ISA {

/** One sample without the fast path's zeros in the place of absent pixels: for deltas that are not finite. */
static inline void momentOfAbsent(const Windows& w, int64_t start, int64_t depth, const float* deltas, int64_t fanOut,
                                  const Rectangle& part, float* moment, End phi, float* g) {
  for (int64_t p = part.m0; p < part.m1; ++p) {
    Piece piece;
    cutPatch(w, p, 1, &piece);
    for (int64_t q = 0; q < part.columns(); ++q) g[q] = 0;
    Walk walk(w, start);
    for (int64_t l = 0; l < depth; ++l, walk.next(w)) {
      if (l % 1024 == 0) checkpoint();
      const float* a = elementAt(w, walk, piece);
      if (!a) continue;
      const float* d = deltas + l * fanOut + part.n0;
      for (int64_t q = 0; q < part.columns(); ++q) g[q] += *a * d[q];
    }
    for (int64_t q = 0; q < part.columns(); ++q) moment[p * fanOut + part.n0 + q] += applyPhi(phi, g[q]);
  }
}

static inline void grad_moment(const grad_moment_call& s) {
  const int64_t images = s.samples * s.uses;
  const Windows windows{s.activations,
                        s.activations + images * s.inDepth * s.inHeight * s.inWidth * s.inChannels,
                        s.inChannels,
                        {s.inDepth, s.outDepth, s.strideDepth, {s.filterDepth, -s.padFront, s.dilationDepth}},
                        {s.inHeight, s.outHeight, s.strideHeight, {s.filterHeight, -s.padTop, s.dilationHeight}},
                        {s.inWidth, s.outWidth, s.strideWidth, {s.filterWidth, -s.padLeft, s.dilationWidth}}};
  const int64_t fanIn = windows.patch(), fanOut = s.fanOut;
  if (fanIn == 0 || fanOut == 0 || images == 0 || windows.grid() == 0) return;
  const bool rows = windows.areRows();
  if (rows && windows.grid() == 1 && s.uses == 1) {
    grad_moment_dense({static_cast<grad_moment_dense_phi>(s.phi), s.samples, fanIn, fanOut, s.activations, s.deltas,
                       s.moment});
    return;
  }

  // A plain sum needs no boundary between samples: a part of the batch is one long sum.
  const bool plain = s.phi == grad_moment_phi::identity;
  const int64_t items = plain ? images : s.samples, imagesOfItem = plain ? 1 : s.uses;
  const double work = 2.0 * static_cast<double>(images * windows.grid()) * static_cast<double>(fanIn * fanOut);
  const PlaneMoment byPlanes(windows, s.deltas, fanOut);
  const bool planes = byPlanes.suits();
  const int64_t parts = planes ? byPlanes.batchParts(items, work) : batchParts(items, fanIn, fanOut, work);
  const Sums sums(parts > 1 ? parts * fanIn * fanOut : 0);
  const int64_t terms = (plain ? ceilDivide(items, parts) : 1) * imagesOfItem * windows.grid();
  const Cut cut(fanIn, fanOut, terms, parts, mostOfMoment(terms));
  const End phi = endOf(s.phi);
  const bool overhangs = windows.overhangs();
  const float* limit = s.deltas + images * windows.grid() * fanOut;
  const int64_t image = s.inDepth * s.inHeight * s.inWidth * s.inChannels;

  parallel(parts * (planes ? 1 : cut.count()), work, [&](int64_t task) {
    const int64_t part = planes ? task : task / cut.count();
    const Rectangle rectangle = planes ? Rectangle{0, fanIn, 0, fanOut} : cut[task % cut.count()];
    const Workspace memory(planes ? byPlanes.floats() : 0);
    float* moment = parts > 1 ? sums.memory + part * fanIn * fanOut : s.moment;
    const int64_t first = items * part / parts, last = items * (part + 1) / parts;
    const int64_t together = plain ? last - first : 1;
    for (int64_t item = first; item < last; item += together) {
      const int64_t firstImage = item * imagesOfItem, itemImages = together * imagesOfItem;
      const int64_t start = firstImage * windows.grid(), depth = itemImages * windows.grid();
      const Columns deltas{s.deltas + start * fanOut, fanOut, limit};
      float* to = moment + rectangle.m0 * fanOut + rectangle.n0;
      // Between the rows of planes zeros meet pixels that no window has.
      if (((overhangs || planes) && countNonfinite(deltas.data, depth * fanOut) > 0) ||
          (planes && countNonfinite(s.activations + firstImage * image, itemImages * image) > 0)) {
        momentOfAbsent(windows, start, depth, deltas.data, fanOut, rectangle, moment, phi, memory.right);
      } else if (planes) {
        byPlanes.add(firstImage, itemImages, phi, moment, memory.rest);
      } else if (rows) {
        multiplyRectangle<Term::product>(Columns{s.activations + start * fanIn, fanIn, windows.limit}, deltas, depth,
                                       rectangle, cut.tile, to, fanOut, phi, memory);
      } else {
        multiplyRectangle<Term::product>(PatchColumns{windows, start}, deltas, depth, rectangle, cut.tile, to, fanOut,
                                       phi, memory);
      }
    }
  });
  if (parts > 1) addParts(s.moment, sums.memory, parts, fanIn * fanOut);
}

}  // namespace engram::ENGRAM_ISA
