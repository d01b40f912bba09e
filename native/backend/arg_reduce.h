// Index of the first maximum or minimum along an axis. As in tfjs' cpu backend NaN is passed over, unless it is the first.
#pragma once
#include "../core/math.h"
#include "../core/parallel.h"
#include "../kernel_table.h"

namespace engram::ENGRAM_ISA {

/** Along contiguous elements: first the extreme, by several lanes, then its place. */
template <class Beats>
static int32_t argOfRow(const float* x, int64_t size, Beats beats) {
  if (size == 0 || x[0] != x[0]) return 0;
  constexpr int lanes = 4 * width;
  float extreme = x[0];
  int64_t i = 0;
  if (size >= lanes) {
    float best[lanes];
    for (int k = 0; k < lanes; ++k) best[k] = x[0];
    for (; i + lanes <= size; i += lanes) {
      for (int k = 0; k < lanes; ++k) best[k] = beats(x[i + k], best[k]) ? x[i + k] : best[k];
    }
    for (int k = 0; k < lanes; ++k) extreme = beats(best[k], extreme) ? best[k] : extreme;
  }
  for (; i < size; ++i) extreme = beats(x[i], extreme) ? x[i] : extreme;
  i = 0;
  while (x[i] != extreme) ++i;
  return static_cast<int32_t>(i);
}

/** Down the rows of a matrix, for columns first..first+count-1. */
template <class Beats>
static void argOfColumns(const float* x, int64_t rows, int64_t stride, int64_t count, int32_t* __restrict y,
                         Beats beats) {
  constexpr int64_t most = 512;
  for (int64_t first = 0; first < count; first += most) {
    const int64_t columns = smaller(most, count - first);
    float extreme[most];
    for (int64_t j = 0; j < columns; ++j) {
      y[first + j] = 0;
      if (rows > 0) extreme[j] = x[first + j];
    }
    for (int64_t i = 1; i < rows; ++i) {
      const float* __restrict row = x + i * stride + first;
      for (int64_t j = 0; j < columns; ++j) {
        const bool better = beats(row[j], extreme[j]);
        extreme[j] = better ? row[j] : extreme[j];
        y[first + j] = better ? static_cast<int32_t>(i) : y[first + j];
      }
    }
  }
}

template <class Beats>
static void argReduce(const arg_reduce_call& s, Beats beats) {
  if (s.outer == 0 || s.inner == 0) return;
  const double work = 4.0 * static_cast<double>(s.outer * s.inner) * static_cast<double>(s.reduced);
  const int64_t atOnce = larger(1, 16384 / larger(1, s.reduced * s.inner));
  parallel(ceilDivide(s.outer, atOnce), work, [&](int64_t task) {
    for (int64_t o = task * atOnce; o < smaller(s.outer, (task + 1) * atOnce); ++o) {
      const float* x = s.x + o * s.reduced * s.inner;
      if (s.inner == 1) {
        s.y[o] = argOfRow(x, s.reduced, beats);
      } else {
        argOfColumns(x, s.reduced, s.inner, s.inner, s.y + o * s.inner, beats);
      }
    }
  });
}

static inline void arg_reduce(const arg_reduce_call& s) {
  if (s.op == arg_reduce_op::maximum) {
    argReduce(s, [](float a, float b) { return a > b; });
  } else {
    argReduce(s, [](float a, float b) { return a < b; });
  }
}

}  // namespace engram::ENGRAM_ISA
