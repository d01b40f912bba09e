// Products so large that packing again and again would show: the right operand is packed once for all tasks, the left one
// once for all columns (Goto and van de Geijn 2008, with the roles of rows and columns exchanged).
#pragma once
#include "product.h"

namespace engram::ENGRAM_ISA {

/** All panels of a right operand: block of depth after block, and in it panel after panel. One at a time a thread. */
class PackedPanels {
 public:
  /** Beyond so many floats a product packs block by block instead. */
  static constexpr int64_t mostFloats = 1 << 24;
  static int64_t floats(int64_t depth, int64_t columns) { return depth * ceilDivide(columns, tileWidth) * tileWidth; }

  template <class Right>
  PackedPanels(const Right& right, int64_t depth, int64_t columns)
      : stride(floats(1, columns)), memory(callerScratch(floats(depth, columns))) {
    const int64_t blocks = ceilDivide(depth, blockDepth), groups = ceilDivide(columns, blockColumns);
    const double work = 8.0 * static_cast<double>(depth * columns);
    parallel(blocks * groups, work, [&](int64_t task) {
      const int64_t k = task / groups * blockDepth, n = task % groups * blockColumns;
      const int64_t count = smaller(blockDepth, depth - k);
      Panel panels[blockColumns / tileWidth];
      engram::ENGRAM_ISA::packPanels(right, k, count, n, smaller(columns, n + blockColumns), at(k, count, n), panels);
    });
  }
  PackedPanels(const PackedPanels&) = delete;
  PackedPanels& operator=(const PackedPanels&) = delete;

  /** Where the panel of columns n.. is in the block of `count` rows from k on. */
  float* at(int64_t k, int64_t count, int64_t n) const { return memory + k * stride + n * count; }

 private:
  const int64_t stride;
  float* const memory;
};

/** A block of them, as a right operand. */
struct PanelBlock {
  const PackedPanels& panels;
  int64_t k;
};
static inline void packPanels(const PanelBlock& block, int64_t, int64_t depth, int64_t first, int64_t last, float*,
                              Panel* panels) {
  for (int64_t n = first; n < last; n += tileWidth) *panels++ = {block.panels.at(block.k, depth, n), tileWidth};
}

/** Rows of a left operand, packed for all columns. */
template <class Left>
struct PackedLeft {
  static constexpr Layout layout = Left::layout;
  const float* memory;
  int64_t first;

  Panel pack(int64_t, int64_t, int64_t row, int64_t, int64_t panelWidth, float*) const {
    return {memory + (row - first) * rowStride, layout == Layout::rows ? rowStride : panelWidth};
  }
};

/** C = left * right, all its columns; `finish(c, rows)` is called on finished rows while they are in a cache. */
template <class Left, class Right, class Finish>
static void multiplyWide(const Left& left, const Right& right, int64_t rows, int64_t depth, int64_t columns, float* c,
                         Finish finish) {
  const PackedPanels panels(right, depth, columns);
  const Cut cut(rows, blockColumns, depth, 1, mostCarried);
  const double work = 2.0 * static_cast<double>(rows * columns) * static_cast<double>(depth);
  parallel(cut.count(), work, [&](int64_t task) {
    const Rectangle part = cut[task];
    const Workspace memory(mostCarried * tileHeight * rowStride);
    float* to = c + part.m0 * columns;
    for (int64_t k = 0; k < depth; k += blockDepth) {
      const int64_t count = smaller(blockDepth, depth - k), step = rowsAtOnce<Left>(cut.tile);
      for (int64_t m = part.m0; m < part.m1; m += step) {
        const int64_t packed = smaller(step, part.m1 - m);
        left.pack(k, count, m, packed, packed, memory.rest + (m - part.m0) * rowStride);
      }
      for (int64_t n = 0; n < columns; n += blockColumns) {
        const Rectangle block{part.m0, part.m1, n, smaller(columns, n + blockColumns)};
        multiply<Term::product>(PackedLeft<Left>{memory.rest, part.m0}, PanelBlock{panels, k}, count, block, cut.tile,
                                to + n, columns, k > 0 ? End::add : End::store, memory);
      }
    }
    finish(to, part.rows());
  });
}

}  // namespace engram::ENGRAM_ISA
