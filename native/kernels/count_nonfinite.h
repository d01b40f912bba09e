// count += number of NaN and infinity among the values.
#pragma once
#include "../core/finite.h"
#include "../core/parallel.h"
#include "../kernel_table.h"

namespace engram::ENGRAM_ISA {

static inline void count_nonfinite(const count_nonfinite_call& s) {
  uint32_t found = 0;
  parallelRanges(s.size, 1, [&](int64_t from, int64_t to) {
    __atomic_fetch_add(&found, countNonfinite(s.values + from, to - from), __ATOMIC_RELAXED);
  });
  *s.count += found;
}

}  // namespace engram::ENGRAM_ISA
