// C = activation(A B + bias) for a batch of matrices, either side transposed.
#pragma once
#include "../core/wide_product.h"
#include "../kernel_table.h"
#include "finish.h"

namespace engram::ENGRAM_ISA {

/** What the operands are, as a product takes them: calls body(left, right) for matrix number i of a batch. */
template <class Body>
static void withOperands(const matmul_call& s, int64_t i, Body body) {
  const float *a = s.a + i % s.batchA * s.rows * s.depth, *b = s.b + i % s.batchB * s.depth * s.columns;
  const float *endA = s.a + s.batchA * s.rows * s.depth, *endB = s.b + s.batchB * s.depth * s.columns;
  const auto times = [&](const auto& left) {
    s.transposeB ? body(left, TransposedRows{b, s.depth}) : body(left, Columns{b, s.columns, endB});
  };
  s.transposeA ? times(Columns{a, s.rows, endA}) : times(Rows{a, s.depth, endA});
}

static void matmulWide(const matmul_call& s, const Finish& finish) {
  for (int64_t matrix = 0; matrix < s.batch; ++matrix) {
    withOperands(s, matrix, [&](const auto& left, const auto& right) {
      multiplyWide(left, right, s.rows, s.depth, s.columns, s.c + matrix * s.rows * s.columns,
                   [&](float* c, int64_t rows) { finish(c, s.columns, rows, 0, s.columns); });
    });
  }
}

static inline void matmul(const matmul_call& s) {
  const int64_t sizeC = s.rows * s.columns;
  if (s.batch == 0 || sizeC == 0) return;
  const Finish finish{s.biased ? s.bias : nullptr, static_cast<Activation>(s.activation), s.alpha};
  const bool wide = s.columns > 2 * blockColumns && s.rows >= 4 * mostCarried * tileHeight && s.depth >= blockDepth &&
                    PackedPanels::floats(s.depth, s.columns) <= PackedPanels::mostFloats;
  if (wide) return matmulWide(s, finish);
  const Cut cut(s.rows, s.columns, s.depth, s.batch, mostStored);
  const double work = 2.0 * static_cast<double>(s.batch * sizeC) * static_cast<double>(larger(1, s.depth));
  parallel(s.batch * cut.count(), work, [&](int64_t task) {
    const int64_t matrix = task / cut.count();
    const Rectangle part = cut[task % cut.count()];
    const Workspace memory;
    float* c = s.c + matrix * sizeC + part.m0 * s.columns + part.n0;
    withOperands(s, matrix, [&](const auto& left, const auto& right) {
      multiplyRectangle<Term::product>(left, right, s.depth, part, cut.tile, c, s.columns, End::store, memory);
    });
    finish(c, s.columns, part.rows(), part.n0, part.columns());
  });
}

}  // namespace engram::ENGRAM_ISA
