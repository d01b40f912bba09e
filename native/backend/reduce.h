// Sums, means, products, maxima and minima over any axes. Sums and products are taken in double, as tfjs' cpu backend
// takes them, in an order that depends on shapes alone.
#pragma once
#include "../core/math.h"
#include "../core/parallel.h"
#include "../kernel_table.h"

namespace engram::ENGRAM_ISA {

/** Half a vector of floats, and as many doubles: a whole one. */
typedef float HalfVec __attribute__((vector_size(width * 2)));
typedef double WideVec __attribute__((vector_size(width * 4)));

struct Summing {
  using Value = float;
  using Sum = double;
  static constexpr bool anyOrder = true;
  static constexpr Sum start = 0;
  int64_t divisor = 1;  // of a mean

  static Sum join(Sum sum, float x) { return sum + x; }
  static Sum merge(Sum sum, Sum other) { return sum + other; }
  static Sum row(const float* x, int64_t size) {
    constexpr int half = width / 2;
    double sum = 0;
    int64_t i = 0;
    if (size >= 4 * half) {
      WideVec sums[4] = {};
      for (; i + 4 * half <= size; i += 4 * half) {
#pragma GCC unroll 4
        for (int k = 0; k < 4; ++k) {
          HalfVec part;
          std::memcpy(&part, x + i + k * half, sizeof part);
          sums[k] += __builtin_convertvector(part, WideVec);
        }
      }
      const WideVec all = (sums[0] + sums[1]) + (sums[2] + sums[3]);
      for (int k = 0; k < half; ++k) sum += all[k];
    }
    double rest[4] = {};  // four chains of additions: one would wait for itself
    for (; i + 4 <= size; i += 4) {
      for (int k = 0; k < 4; ++k) rest[k] += x[i + k];
    }
    for (; i < size; ++i) sum += x[i];
    return sum + ((rest[0] + rest[1]) + (rest[2] + rest[3]));
  }
  float finish(Sum sum, int64_t) const { return static_cast<float>(sum / static_cast<double>(divisor)); }
};

struct Multiplying {
  using Value = float;
  using Sum = double;
  static constexpr bool anyOrder = true;
  static constexpr Sum start = 1;

  static Sum join(Sum product, float x) { return product * x; }
  static Sum merge(Sum product, Sum other) { return product * other; }
  static Sum row(const float* x, int64_t size) {
    double product = 1;
    for (int64_t i = 0; i < size; ++i) product *= x[i];
    return product;
  }
  float finish(Sum product, int64_t) const { return static_cast<float>(product); }
};

/** The first of the largest (sign 1) or smallest (-1) elements; NaN if there is one, or if there are none. */
template <int sign>
struct Extreme {
  using Value = float;
  using Sum = float;
  static constexpr bool anyOrder = false;  // of +0 and -0 the first counts
  static constexpr Sum start = sign > 0 ? -infinity : infinity;

  static Sum join(Sum extreme, float x) {
    const Sum further = (sign > 0 ? x > extreme : x < extreme) ? x : extreme;  // one instruction, no branch
    return x != x ? x : further;
  }
  static Sum merge(Sum extreme, Sum other) { return join(extreme, other); }
  static Sum row(const float* x, int64_t size) {
    Sum extreme = start;
    int64_t i = 0;
    if (size >= 4 * width) {
      Vec extremes[4] = {set(start), set(start), set(start), set(start)};
      for (; i + 4 * width <= size; i += 4 * width) {
#pragma GCC unroll 4
        for (int k = 0; k < 4; ++k) {
          const Vec v = load(x + i + k * width);
          extremes[k] = ((sign > 0 ? v > extremes[k] : v < extremes[k]) | (v != v)) ? v : extremes[k];
        }
      }
      float lanes[4 * width];
      for (int k = 0; k < 4; ++k) store(lanes + k * width, extremes[k]);
      for (int step = 2 * width; step > 0; step /= 2) {
        for (int k = 0; k < step; ++k) lanes[k] = join(lanes[k], lanes[k + step]);
      }
      extreme = lanes[0];
    }
    Sum rest[4] = {start, start, start, start};
    for (; i + 4 <= size; i += 4) {
      for (int k = 0; k < 4; ++k) rest[k] = join(rest[k], x[i + k]);
    }
    for (int k = 0; k < 4; ++k) extreme = join(extreme, rest[k]);
    for (; i < size; ++i) extreme = join(extreme, x[i]);
    for (i = 0; extreme == 0 && i < size; ++i) {
      if (x[i] == 0) return x[i];
    }
    return extreme;
  }
  float finish(Sum extreme, int64_t count) const { return count == 0 ? notNumber : extreme; }
};

/** && or || of JavaScript over bytes; false where there are none, as in tfjs. */
template <bool all>
struct Deciding {
  using Value = uint8_t;
  using Sum = uint8_t;
  static constexpr bool anyOrder = false;
  static constexpr Sum start = all;

  static Sum join(Sum before, uint8_t x) { return (before != 0) == all ? x : before; }
  static Sum merge(Sum before, Sum other) { return join(before, other); }
  static Sum row(const uint8_t* x, int64_t size) {
    Sum decision = start;
    for (int64_t i = 0; i < size; ++i) decision = join(decision, x[i]);
    return decision;
  }
  uint8_t finish(Sum decision, int64_t count) const { return count == 0 ? 0 : decision; }
};

/** The layout of a call: `outer` blocks of `columns` results, each from `rows` rows that lie in runs of `run`. */
struct Reduction {
  int64_t kept[3], reduced[2], run, columns;
  bool plain;  // one run for each block: the usual case, which needs no divisions

  template <class Call>
  explicit Reduction(const Call& s)
      : kept{s.kept0, s.kept1, s.kept2}, reduced{s.reduced0, s.reduced1}, run(s.reduced2), columns(s.kept3) {
    plain = kept[0] == 1 && kept[1] == 1 && reduced[0] == 1 && reduced[1] == 1;
  }
  int64_t outer() const { return kept[0] * kept[1] * kept[2]; }
  /** Counts are multiplied only where none is 0: beside a 0 others may be too large. */
  bool empty() const { return kept[0] == 0 || kept[1] == 0 || kept[2] == 0 || columns == 0; }
  int64_t rows() const {
    return !empty() && reduced[0] && reduced[1] && run ? reduced[0] * reduced[1] * run : 0;
  }

  /** Where run number `index` of block `o` begins. */
  int64_t at(int64_t o, int64_t index) const {
    if (plain) return o * run * columns;
    const int64_t k2 = o % kept[2], k1 = o / kept[2] % kept[1], k0 = o / kept[2] / kept[1];
    const int64_t r1 = index % reduced[1], r0 = index / reduced[1];
    return ((((k0 * reduced[0] + r0) * kept[1] + k1) * reduced[1] + r1) * kept[2] + k2) * run * columns;
  }
};

/** sums[j] = join of the rows' elements j. */
template <class Op>
static void joinRows(const typename Op::Value* x, int64_t rows, int64_t stride, int64_t columns,
                     typename Op::Sum* __restrict sums) {
  int64_t i = 0;
  for (; i + 4 <= rows; i += 4) {
    const typename Op::Value *__restrict a = x + i * stride, *__restrict b = a + stride, *__restrict c = b + stride,
                             *__restrict d = c + stride;
    for (int64_t j = 0; j < columns; ++j) {
      sums[j] = Op::join(Op::join(Op::join(Op::join(sums[j], a[j]), b[j]), c[j]), d[j]);
    }
  }
  for (; i < rows; ++i) {
    const typename Op::Value* __restrict a = x + i * stride;
    for (int64_t j = 0; j < columns; ++j) sums[j] = Op::join(sums[j], a[j]);
  }
}

/** Columns that are summed at once: their sums stay in the first cache. Fewer than narrow: several rows side by side. */
constexpr int64_t blockSums = 512, narrow = 32;

/** Rows from..to-1 of columns first..first+count-1 of block o, into `sums`, which hold Op::start or earlier sums. */
template <class Op>
static void reduceBlock(const Reduction& s, const typename Op::Value* x, int64_t o, int64_t from, int64_t to,
                        int64_t first, int64_t count, typename Op::Sum* sums) {
  for (int64_t row = from; row < to;) {
    const int64_t inside = s.plain ? row : row % s.run, rows = smaller(s.run - inside, to - row);
    const typename Op::Value* at = x + s.at(o, s.plain ? 0 : row / s.run) + inside * s.columns + first;
    row += rows;
    if (s.columns == 1) {
      sums[0] = Op::merge(sums[0], Op::row(at, rows));
      continue;
    }
    const int64_t beside = Op::anyOrder && s.columns < narrow ? blockSums / s.columns : 1;
    if (rows < 8 * beside || beside == 1) {
      joinRows<Op>(at, rows, s.columns, count, sums);
      continue;
    }
    typename Op::Sum wide[blockSums];
    const int64_t wideRows = rows / beside, length = beside * s.columns;
    for (int64_t j = 0; j < length; ++j) wide[j] = Op::start;
    joinRows<Op>(at, wideRows, length, length, wide);
    for (int64_t j = 0; j < length; ++j) sums[j % s.columns] = Op::merge(sums[j % s.columns], wide[j]);
    joinRows<Op>(at + wideRows * length, rows - wideRows * beside, s.columns, count, sums);
  }
}

template <class Op, class Result>
static void reduceWith(const Op& op, const Reduction& s, const typename Op::Value* x, Result* y) {
  using Sum = typename Op::Sum;
  if (s.empty()) return;
  const int64_t outer = s.outer(), rows = s.rows(), pieces = ceilDivide(s.columns, blockSums);
  // Memory bounds it: an element counts as several operations.
  const double work = 4.0 * static_cast<double>(outer * s.columns) * static_cast<double>(rows);
  // Where there are few results, the rows are cut into parts, which are joined in order.
  const int64_t blocks = outer * pieces;
  const int64_t parts = blocks >= 16 || work < 2 * smallWork ? 1 : larger(1, smaller(rows, ceilDivide(16, blocks)));
  if (parts == 1) {
    const int64_t atOnce = larger(1, 16384 / larger(1, rows * smaller(s.columns, blockSums)));
    parallel(ceilDivide(blocks, atOnce), work, [&](int64_t task) {
      Sum sums[blockSums];
      for (int64_t block = task * atOnce; block < smaller(blocks, (task + 1) * atOnce); ++block) {
        const int64_t o = block / pieces, first = block % pieces * blockSums;
        const int64_t count = smaller(blockSums, s.columns - first);
        for (int64_t j = 0; j < count; ++j) sums[j] = Op::start;
        reduceBlock<Op>(s, x, o, 0, rows, first, count, sums);
        for (int64_t j = 0; j < count; ++j) y[o * s.columns + first + j] = op.finish(sums[j], rows);
      }
    });
    return;
  }
  const int64_t results = outer * s.columns;
  const Sums memory(ceilDivide(parts * results * static_cast<int64_t>(sizeof(Sum)), sizeof(float)));
  Sum* all = reinterpret_cast<Sum*>(memory.memory);
  parallel(parts * blocks, work, [&](int64_t task) {
    const int64_t part = task / blocks, block = task % blocks, o = block / pieces, first = block % pieces * blockSums;
    const int64_t count = smaller(blockSums, s.columns - first);
    Sum* sums = all + part * results + o * s.columns + first;
    for (int64_t j = 0; j < count; ++j) sums[j] = Op::start;
    reduceBlock<Op>(s, x, o, rows * part / parts, rows * (part + 1) / parts, first, count, sums);
  });
  for (int64_t i = 0; i < results; ++i) {
    Sum sum = all[i];
    for (int64_t part = 1; part < parts; ++part) sum = Op::merge(sum, all[part * results + i]);
    y[i] = op.finish(sum, rows);
  }
}

static inline void reduce(const reduce_call& s) {
  const Reduction layout(s);
  switch (s.op) {
    case reduce_op::sum:
      return reduceWith(Summing{}, layout, s.x, s.y);
    case reduce_op::mean:
      return reduceWith(Summing{larger(1, layout.rows())}, layout, s.x, s.y);
    case reduce_op::product:
      return reduceWith(Multiplying{}, layout, s.x, s.y);
    case reduce_op::maximum:
      return reduceWith(Extreme<1>{}, layout, s.x, s.y);
    case reduce_op::minimum:
      return reduceWith(Extreme<-1>{}, layout, s.x, s.y);
  }
}

static inline void reduce_booleans(const reduce_booleans_call& s) {
  if (s.op == reduce_booleans_op::all) {
    reduceWith(Deciding<true>{}, Reduction(s), s.x, s.y);
  } else {
    reduceWith(Deciding<false>{}, Reduction(s), s.x, s.y);
  }
}

}  // namespace engram::ENGRAM_ISA
