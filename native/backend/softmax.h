// Softmax of rows. Short rows are taken several at once, so that the exponentials run over one long array.
#pragma once
#include "reduce.h"

namespace engram::ENGRAM_ISA {

static inline void softmax(const softmax_call& s) {
  if (s.rows * s.columns == 0) return;
  const int64_t columns = s.columns, atOnce = larger(1, 4096 / columns);
  parallel(ceilDivide(s.rows, atOnce), 32.0 * static_cast<double>(s.rows * columns), [&](int64_t task) {
    const int64_t from = task * atOnce, rows = smaller(s.rows, from + atOnce) - from;
    const float* x = s.x + from * columns;
    float* y = s.y + from * columns;
    for (int64_t row = 0; row < rows; ++row) {
      const float *__restrict in = x + row * columns, most = Extreme<1>::row(in, columns);
      float* __restrict out = y + row * columns;
      for (int64_t j = 0; j < columns; ++j) out[j] = in[j] - most;
    }
    for (int64_t i = 0; i < rows * columns; ++i) y[i] = exponential(y[i]);
    for (int64_t row = 0; row < rows; ++row) {
      float* out = y + row * columns;
      const float sum = static_cast<float>(Summing::row(out, columns));
      for (int64_t j = 0; j < columns; ++j) out[j] /= sum;
    }
  });
}

}  // namespace engram::ENGRAM_ISA
