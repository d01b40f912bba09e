// lambda * sum Omega (theta - theta*)². Sums in double: blocks of fixed size, each in eight strands, added in order.
#pragma once
#include "../core/parallel.h"
#include "../kernel_table.h"

namespace engram::ENGRAM_ISA {

static inline double penaltyOf(const penalty_value_call& s, int64_t from, int64_t to) {
  constexpr int64_t strands = 8;
  double sums[strands] = {};
  const auto term = [&](int64_t i) {
    const double moved = static_cast<double>(s.theta[i]) - static_cast<double>(s.anchor[i]);
    return static_cast<double>(s.importance[i]) * (moved * moved);
  };
  int64_t i = from;
  for (; i + strands <= to; i += strands) {
    for (int64_t j = 0; j < strands; ++j) sums[j] += term(i + j);
  }
  for (; i < to; ++i) sums[0] += term(i);
  double total = 0;
  for (int64_t j = 0; j < strands; ++j) total += sums[j];
  return total;
}

static inline void penalty_value(const penalty_value_call& s) {
  constexpr int64_t block = 32768;
  const int64_t blocks = ceilDivide(s.size, block);
  const Sums sums(2 * blocks);
  double* totals = reinterpret_cast<double*>(sums.memory);
  parallel(blocks, 4.0 * static_cast<double>(s.size),
           [&](int64_t i) { totals[i] = penaltyOf(s, i * block, smaller(s.size, (i + 1) * block)); });
  double total = 0;
  for (int64_t i = 0; i < blocks; ++i) total += totals[i];
  *s.value = static_cast<float>(s.lambda * total);
}

}  // namespace engram::ENGRAM_ISA
