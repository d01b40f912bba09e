// (hi, lo) += batch with the rounding error kept in lo (Knuth's two-sum), then batch = 0. Each step rounds to 32 bits,
// in the reference's order: the results are its, bit for bit.
#pragma once
#include "../core/parallel.h"
#include "../kernel_table.h"

namespace engram::ENGRAM_ISA {

static inline void fold(const fold_call& s) {
  parallelRanges(s.size, 7, [&](int64_t from, int64_t to) {
    float *__restrict batch = s.batch, *__restrict hi = s.hi, *__restrict lo = s.lo;
    ENGRAM_INDEPENDENT
    for (int64_t i = from; i < to; ++i) {
      const float a = hi[i], b = batch[i];
      const float sum = a + b;
      const float fromB = sum - a;
      const float fromA = sum - fromB;
      const float error = (a - fromA) + (b - fromB);
      hi[i] = sum;
      lo[i] += error;
      batch[i] = 0;
    }
  });
}

}  // namespace engram::ENGRAM_ISA
