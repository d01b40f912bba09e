// merged = a*stored + b*incoming, or max(a*stored, b*incoming), bit for bit as the reference has it.
#pragma once
#include "../core/math.h"
#include "../core/parallel.h"
#include "../kernel_table.h"

namespace engram::ENGRAM_ISA {

static inline void merge(const merge_call& s) {
  const float a = static_cast<float>(s.storedWeight), b = static_cast<float>(s.incomingWeight);
  parallelRanges(s.size, 3, [&](int64_t from, int64_t to) {
    const float *__restrict stored = s.stored, *__restrict incoming = s.incoming;
    float* __restrict merged = s.merged;
    if (s.rule == merge_rule::max) {
      for (int64_t i = from; i < to; ++i) merged[i] = maximum(a * stored[i], b * incoming[i]);
    } else {
      for (int64_t i = from; i < to; ++i) merged[i] = a * stored[i] + b * incoming[i];
    }
  });
}

}  // namespace engram::ENGRAM_ISA
