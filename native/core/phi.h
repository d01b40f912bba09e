// phi of `M += sum_b phi(g_b)`, as the end of a matrix product and as a function.
#pragma once
#include "product.h"

namespace engram::ENGRAM_ISA {

/** The three choices of `phi` in the kernel table, in its order. */
template <class Choice>
static End endOf(Choice phi) {
  return phi == Choice::abs ? End::abs : phi == Choice::square ? End::square : End::add;
}

static inline float applyPhi(End phi, float g) {
  return phi == End::abs ? __builtin_fabsf(g) : phi == End::square ? g * g : g;
}

/**
 * Into how many parts the batch is cut, each with its own sums that are added in order at the end. A matter of shapes
 * alone: results do not depend on the number of threads. One part where the matrix itself has work for many.
 */
static inline int64_t batchParts(int64_t items, int64_t rows, int64_t columns, double work) {
  const int64_t enough = 16, tiles = ceilDivide(rows, tileHeight) * ceilDivide(columns, tileWidth);
  if (tiles >= enough || work < 2 * smallWork) return 1;
  return smaller(items, ceilDivide(enough, tiles));
}

/** moment += the sums of all parts, in order. */
static inline void addParts(float* moment, const float* sums, int64_t parts, int64_t size) {
  parallelRanges(size, static_cast<double>(parts), [&](int64_t from, int64_t to) {
    for (int64_t part = 0; part < parts; ++part) {
      for (int64_t i = from; i < to; ++i) moment[i] += sums[part * size + i];
    }
  });
}

}  // namespace engram::ENGRAM_ISA
