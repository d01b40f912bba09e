// C = activation(A B + bias) for a batch of matrices, either side transposed.
#pragma once
#include "../core/product.h"
#include "../kernel_table.h"
#include "finish.h"

namespace engram::ENGRAM_ISA {

static inline void matmul(const matmul_call& s) {
  const int64_t sizeA = s.rows * s.depth, sizeB = s.depth * s.columns, sizeC = s.rows * s.columns;
  if (s.batch == 0 || sizeC == 0) return;
  const Finish finish{s.biased ? s.bias : nullptr, static_cast<Activation>(s.activation), s.alpha};
  const Cut cut(s.rows, s.columns, s.depth, s.batch, mostStored);
  const double work = 2.0 * static_cast<double>(s.batch * sizeC) * static_cast<double>(larger(1, s.depth));
  parallel(s.batch * cut.count(), work, [&](int64_t task) {
    const int64_t matrix = task / cut.count();
    const Rectangle part = cut[task % cut.count()];
    const Workspace memory;
    const float *a = s.a + matrix % s.batchA * sizeA, *b = s.b + matrix % s.batchB * sizeB;
    float* c = s.c + matrix * sizeC + part.m0 * s.columns + part.n0;
    const Rows rowsA{a, s.depth, s.a + s.batchA * sizeA};
    const Columns columnsA{a, s.rows, s.a + s.batchA * sizeA}, columnsB{b, s.columns, s.b + s.batchB * sizeB};
    const auto times = [&](const auto& left) {
      if (s.transposeB) {
        multiply<Term::product>(left, TransposedRows{b, s.depth}, s.depth, part, cut.tile, c, s.columns, End::store,
                                memory);
      } else {
        multiplyColumns<Term::product>(left, columnsB, s.depth, part, cut.tile, c, s.columns, End::store, memory);
      }
    };
    s.transposeA ? times(columnsA) : times(rowsA);
    finish(c, s.columns, part.rows(), part.n0, part.columns());
  });
}

}  // namespace engram::ENGRAM_ISA
