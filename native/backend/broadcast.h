// Two operands, each repeated along some axes of the result: c[i] = op(a[..], b[..]) over six axes, the last one innermost.
#pragma once
#include "../core/parallel.h"

namespace engram::ENGRAM_ISA {

/** Rows at least this long are worked on where they lie; shorter ones are gathered to a block of about `blockLength`. */
constexpr int64_t longRow = 64, blockLength = 1024;

/** An operand of a broadcast, and from one of its elements to the next along each axis of the result. */
template <class T>
struct Operand {
  const T* values;
  int64_t steps[6];

  /** Whether its elements lie as those of the result. */
  bool dense(const int64_t* counts) const {
    int64_t expected = 1;
    for (int k = 5; k >= 0; --k) {
      if (counts[k] != 1 && steps[k] != expected) return false;
      expected *= counts[k];
    }
    return true;
  }
  /** Whether all rows are the same. */
  bool periodic(const int64_t* counts) const {
    for (int k = 0; k < 5; ++k) {
      if (counts[k] != 1 && steps[k] != 0) return false;
    }
    return true;
  }
};

/** Counts along the axes of the result and its operands, gathered from the arguments of a call. */
template <class T>
struct Broadcast {
  int64_t counts[6];
  Operand<T> a, b;
  /** Zero counts are looked for one by one: beside them others may be too large to multiply. */
  bool empty() const {
    for (const int64_t count : counts) {
      if (count == 0) return true;
    }
    return false;
  }
  int64_t rows() const { return counts[0] * counts[1] * counts[2] * counts[3] * counts[4]; }
};

template <class T, class Call>
static Broadcast<T> broadcastOf(const Call& s) {
  return {{s.count0, s.count1, s.count2, s.count3, s.count4, s.count5},
          {s.a, {s.aStep0, s.aStep1, s.aStep2, s.aStep3, s.aStep4, s.aStep5}},
          {s.b, {s.bStep0, s.bStep1, s.bStep2, s.bStep3, s.bStep4, s.bStep5}}};
}

/** Goes through the rows of a result in order: where the rows of both operands begin. */
template <class T>
struct RowWalk {
  const Broadcast<T>& shape;
  int64_t index[5], a = 0, b = 0;

  RowWalk(const Broadcast<T>& shape, int64_t row) : shape(shape) {
    for (int k = 4; k >= 0; --k) {
      index[k] = row % shape.counts[k];
      row /= shape.counts[k];
      a += index[k] * shape.a.steps[k];
      b += index[k] * shape.b.steps[k];
    }
  }
  void next() {
    for (int k = 4; k >= 0; --k) {
      a += shape.a.steps[k];
      b += shape.b.steps[k];
      if (++index[k] < shape.counts[k]) return;
      index[k] = 0;
      a -= shape.counts[k] * shape.a.steps[k];
      b -= shape.counts[k] * shape.b.steps[k];
    }
  }
};

/** Part of a row; steps of 0 and 1 without a copy. */
template <class T, class C, class Op>
static void combineRow(const T* a, int64_t aStep, const T* b, int64_t bStep, C* __restrict c, int64_t size, Op op) {
  if (aStep == 1 && bStep == 1) {
    const T *__restrict x = a, *__restrict y = b;
    ENGRAM_INDEPENDENT
    for (int64_t i = 0; i < size; ++i) c[i] = op(x[i], y[i]);
  } else if (aStep == 1 && bStep == 0) {
    const T *__restrict x = a, y = *b;
    ENGRAM_INDEPENDENT
    for (int64_t i = 0; i < size; ++i) c[i] = op(x[i], y);
  } else if (aStep == 0 && bStep == 1) {
    const T x = *a, *__restrict y = b;
    ENGRAM_INDEPENDENT
    for (int64_t i = 0; i < size; ++i) c[i] = op(x, y[i]);
  } else {
    for (int64_t i = 0; i < size; ++i) c[i] = op(a[i * aStep], b[i * bStep]);
  }
}

/** Rows from..to-1, which are short: gathered to blocks, so that the operation itself sees long arrays. */
template <class T, class C, class Op>
static void combineShortRows(const Broadcast<T>& s, C* c, int64_t from, int64_t to, Op op) {
  const int64_t length = s.counts[5], atOnce = blockLength / length;
  const bool aDense = s.a.dense(s.counts), bDense = s.b.dense(s.counts);
  const bool aPeriodic = s.a.periodic(s.counts), bPeriodic = s.b.periodic(s.counts);
  T aBlock[blockLength], bBlock[blockLength];
  RowWalk<T> at(s, from);
  for (int64_t row = from; row < to; row += atOnce) {
    const int64_t rows = smaller(atOnce, to - row);
    const bool first = row == from;
    const bool gatherA = !aDense && (first || !aPeriodic), gatherB = !bDense && (first || !bPeriodic);
    if (gatherA || gatherB) {
      T *aTo = aBlock, *bTo = bBlock;
      for (int64_t i = 0; i < rows; ++i, at.next()) {
        const T *a = s.a.values + at.a, *b = s.b.values + at.b;
        if (gatherA) {
          for (int64_t j = 0; j < length; ++j) *aTo++ = a[j * s.a.steps[5]];
        }
        if (gatherB) {
          for (int64_t j = 0; j < length; ++j) *bTo++ = b[j * s.b.steps[5]];
        }
      }
    }
    const int64_t start = row * length;
    combineRow(aDense ? s.a.values + start : aBlock, 1, bDense ? s.b.values + start : bBlock, 1, c + start,
               rows * length, op);
  }
}

/** c = op(a, b) for all elements; `cost` operations each. */
template <class T, class C, class Op>
static void combine(const Broadcast<T>& s, C* c, double cost, Op op) {
  if (s.empty()) return;
  const int64_t rows = s.rows(), length = s.counts[5];
  const int64_t piece = cost < 64 ? 32768 : 1024, pieces = ceilDivide(length, piece);
  const int64_t atOnce = larger(1, piece / length), groups = ceilDivide(rows, atOnce);
  parallel(groups * pieces, cost * static_cast<double>(rows * length), [&](int64_t task) {
    const int64_t from = task / pieces * atOnce, to = smaller(rows, from + atOnce);
    if (length < longRow && rows > 1) {
      combineShortRows(s, c, from, to, op);
      return;
    }
    const int64_t column = task % pieces * piece, aStep = s.a.steps[5], bStep = s.b.steps[5];
    RowWalk<T> at(s, from);
    for (int64_t row = from; row < to; ++row, at.next()) {
      combineRow(s.a.values + at.a + column * aStep, aStep, s.b.values + at.b + column * bStep, bStep,
                 c + row * length + column, smaller(piece, length - column), op);
    }
  });
}

}  // namespace engram::ENGRAM_ISA
