// M[p,q] += sum_b phi(A[b,p] D[b,q]): with one position phi(A·D) needs no sum inside, so the samples themselves are
// the depth of one matrix product: of absolute values, of squared terms, or plain.
#pragma once
#include "../core/phi.h"
#include "../core/product.h"
#include "../kernel_table.h"

namespace engram::ENGRAM_ISA {

static inline void grad_moment_dense(const grad_moment_dense_call& s) {
  const int64_t fanIn = s.fanIn, fanOut = s.fanOut;
  if (fanIn == 0 || fanOut == 0 || s.samples == 0) return;
  const double work = 2.0 * static_cast<double>(s.samples) * static_cast<double>(fanIn * fanOut);
  const int64_t parts = batchParts(s.samples, fanIn, fanOut, work);
  const Sums sums(parts > 1 ? parts * fanIn * fanOut : 0);
  const int64_t terms = ceilDivide(s.samples, parts);
  const Cut cut(fanIn, fanOut, terms, parts, mostOfMoment(terms));

  parallel(parts * cut.count(), work, [&](int64_t task) {
    const int64_t part = task / cut.count();
    const Rectangle rectangle = cut[task % cut.count()];
    const Workspace memory;
    const int64_t first = s.samples * part / parts, depth = s.samples * (part + 1) / parts - first;
    const float *activations = s.activations + first * fanIn, *deltas = s.deltas + first * fanOut;
    float* to = (parts > 1 ? sums.memory + part * fanIn * fanOut : s.moment) + rectangle.m0 * fanOut + rectangle.n0;
    const Columns left{activations, fanIn, s.activations + s.samples * fanIn};
    const Columns right{deltas, fanOut, s.deltas + s.samples * fanOut};
    if (s.phi == grad_moment_dense_phi::abs) {
      multiply<Term::product>(AbsoluteColumns{activations, fanIn}, AbsoluteColumns{deltas, fanOut}, depth, rectangle,
                              cut.tile, to, fanOut, End::add, memory);
    } else if (s.phi == grad_moment_dense_phi::square) {
      // (A·D)², not A²·D²: the squares alone may overflow or vanish where their product does not.
      multiplyRectangle<Term::square>(left, right, depth, rectangle, cut.tile, to, fanOut, End::add, memory);
    } else {
      multiplyRectangle<Term::product>(left, right, depth, rectangle, cut.tile, to, fanOut, End::add, memory);
    }
  });
  if (parts > 1) addParts(s.moment, sums.memory, parts, fanIn * fanOut);
}

}  // namespace engram::ENGRAM_ISA
