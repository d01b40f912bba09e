// Sums and products element by element, the right side repeated; relu and step. As tfjs' cpu backend has them.
#pragma once
#include "../core/parallel.h"
#include "../kernel_table.h"

namespace engram::ENGRAM_ISA {

/** c[i] = op(a[i], b[i mod period]) for from <= i < to. */
template <class Op>
static void repeatRight(const elementwise_call& s, int64_t from, int64_t to, Op op) {
  const float *__restrict a = s.a, *__restrict b = s.b;
  float* __restrict c = s.c;
  if (s.period == 1) {
    for (int64_t i = from; i < to; ++i) c[i] = op(a[i], b[0]);
    return;
  }
  for (int64_t i = from; i < to;) {
    const int64_t start = i - i % s.period, end = smaller(to, start + s.period);
    for (; i < end; ++i) c[i] = op(a[i], b[i - start]);
  }
}

static inline void elementwise(const elementwise_call& s) {
  const float alpha = static_cast<float>(s.alpha);
  parallelRanges(s.size, 2, [&](int64_t from, int64_t to) {
    const float* __restrict a = s.a;
    float* __restrict c = s.c;
    switch (s.op) {
      case elementwise_op::add:
        repeatRight(s, from, to, [](float x, float y) { return x + y; });
        break;
      case elementwise_op::multiply:
        repeatRight(s, from, to, [](float x, float y) { return x * y; });
        break;
      case elementwise_op::relu:  // NaN passes
        for (int64_t i = from; i < to; ++i) c[i] = a[i] <= 0 ? 0 : a[i];
        break;
      case elementwise_op::step:
        for (int64_t i = from; i < to; ++i) c[i] = a[i] > 0 ? 1 : a[i] != a[i] ? a[i] : alpha;
        break;
    }
  });
}

}  // namespace engram::ENGRAM_ISA
