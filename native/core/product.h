// The matrix product that everything runs on: C (end)= sum over k of left(k, m)·right(k, n), in blocks that fit the
// caches (Goto and van de Geijn 2008). The operands bring their own packing; the end of the sum is a parameter.
#pragma once
#include <type_traits>

#include "pack.h"
#include "parallel.h"
#include "tile.h"

namespace engram::ENGRAM_ISA {

/** Rows m0..m1 and columns n0..n1 of C. The block of the right operand has room for them: see {@link Cut}. */
struct Rectangle {
  int64_t m0, m1, n0, n1;
  int64_t rows() const { return m1 - m0; }
  int64_t columns() const { return n1 - n0; }
};

/** Rows of the tiles that a matrix of so many rows is cut into: even ones, no sliver at the end. */
static inline int64_t tileRows(int64_t rows) {
  return rows >= 4 * tileHeight ? tileHeight : ceilDivide(rows, ceilDivide(rows, tileHeight));
}

/** Columns of the widest block of the right operand, which has a quarter of the depth then. */
constexpr int64_t mostColumns = 4 * blockColumns;

/**
 * Tiles of rows of a rectangle at most: where unfinished sums wait beside it, where finished ones are added to it again
 * and again, which the second cache is to hold, and where they go to C for good.
 */
constexpr int64_t mostCarried = 20, mostAdded = 36, mostStored = 64;
/** For moments of samples with so many terms. */
static inline int64_t mostOfMoment(int64_t depth) { return depth > blockDepth ? mostCarried : mostAdded; }

/** Cuts a matrix into rectangles, one per task: all columns of a block, and rows enough to pay for packing them. */
struct Cut {
  int64_t rows, columns, tile, tiles, block, across, down;
  /** For sums of `depth` terms; `others` such products run beside this one. */
  Cut(int64_t rows, int64_t columns, int64_t depth, int64_t others, int64_t mostTiles)
      : rows(rows), columns(columns), tile(rows ? tileRows(rows) : 1) {
    // What a shallow product leaves of a block's depth, it may have in columns: whole rows of C, packed for once.
    const int64_t shallow = larger(depth, blockDepth * blockColumns / mostColumns);
    const int64_t wide = larger(blockColumns, blockDepth * blockColumns / shallow / tileWidth * tileWidth);
    across = ceilDivide(columns, wide);
    block = across ? ceilDivide(ceilDivide(columns, across), tileWidth) * tileWidth : wide;
    tiles = ceilDivide(rows, tile);
    const int64_t fitting = mostTiles * blockColumns / larger(block, blockColumns);
    const int64_t threads = threadCount(), beside = larger(1, across * others);
    const int64_t most = smaller(fitting, larger(4, ceilDivide(tiles, ceilDivide(4 * threads, beside))));
    // Of few tasks every thread gets as many, and of one height or nearly.
    const int64_t tasks = ceilDivide(ceilDivide(tiles, most) * beside, threads) * threads;
    down = smaller(tiles, ceilDivide(tasks, beside));
  }
  int64_t count() const { return across * down; }
  Rectangle operator[](int64_t i) const {
    const int64_t y = i / across, n0 = i % across * block;
    return {tiles * y / down * tile, smaller(rows, tiles * (y + 1) / down * tile), n0, smaller(columns, n0 + block)};
  }
};

/** Memory of one thread for a rectangle of the product. */
struct Workspace {
  static constexpr int64_t leftFloats = tileHeight * tilesAtOnce * blockDepth + tileHeight * width;
  static constexpr int64_t rightFloats = blockColumns * blockDepth + width;
  static constexpr int64_t carryFloats = mostCarried * tileHeight * blockColumns;
  static constexpr int64_t edgeFloats = tileHeight * tileWidth;
  float *left, *right, *carry, *edge;
  /** `extra` more floats, for the operand's own use, are at `rest`. */
  float* rest;

  explicit Workspace(int64_t extra = 0) {
    left = scratch(leftFloats + rightFloats + carryFloats + edgeFloats + extra);
    right = left + leftFloats;
    carry = right + rightFloats;
    edge = carry + carryFloats;
    rest = edge + edgeFloats;
  }
};

/** Rows of the left operand that are packed in one go. */
template <class Left>
static int64_t rowsAtOnce(int64_t tile) {
  return Left::layout == Layout::columns ? tile * tilesAtOnce : tile;
}

/** One rectangle of C, whose first element is *c. */
template <Term term, class Left, class Right>
static void multiply(const Left& left, const Right& right, int64_t depth, const Rectangle& part, int64_t tileStep,
                     float* c, int64_t cStride, End end, const Workspace& memory) {
  constexpr bool columnsPacked = Left::layout == Layout::columns;
  const int64_t packedRows = rowsAtOnce<Left>(tileStep);
  const bool linear = end == End::store || end == End::add;
  int64_t k = 0;
  do {
    checkpoint();
    const int64_t count = smaller(blockDepth, depth - k);
    const bool first = k == 0, last = k + count >= depth;
    Panel panels[mostColumns / tileWidth];
    packPanels(right, k, count, part.n0, part.n1, memory.right, panels);
    Panel packed{};
    for (int64_t m = part.m0; m < part.m1; m += tileStep) {
      const int64_t inPanel = (m - part.m0) % packedRows;
      if (inPanel == 0) {
        const int64_t rows = smaller(packedRows, part.m1 - m);
        packed = left.pack(k, count, m, rows, rows, memory.left);
      }
      const int64_t rows = smaller(tileStep, part.m1 - m);
      const float* a = packed.data + inPanel * (columnsPacked ? 1 : rowStride);
      for (int64_t n = part.n0, j = 0; n < part.n1; n += tileWidth, ++j) {
        const int64_t columns = smaller(tileWidth, part.n1 - n);
        const Tile run = tileOf<term, Left::layout>(rows, columns);
        const Panel b = panels[j];
        float* to = c + (m - part.m0) * cStride + (n - part.n0);
        // Sums that go through phi must be whole first: unfinished ones wait in the carry.
        float* carry = memory.carry + (m - part.m0) * blockColumns + j * tileWidth * tileStep;
        const float* before = linear || first ? nullptr : carry;
        const End ending = linear && !first ? End::add : end;
        if (!linear && !last) {
          run(count, a, packed.stride, b.data, b.stride, nullptr, carry, tileWidth, first ? End::store : End::add);
        } else if (columns == tileWidth || columns == width) {
          run(count, a, packed.stride, b.data, b.stride, before, to, cStride, ending);
        } else {
          run(count, a, packed.stride, b.data, b.stride, before, memory.edge, tileWidth, End::store);
          finishEdge(memory.edge, rows, columns, to, cStride, ending);
        }
      }
    }
    k += count;
  } while (k < depth);
}

/** The same; plain columns on the right of a few tiles of rows are read where they lie. */
template <Term term, class Left, class Right>
static void multiplyRectangle(const Left& left, const Right& right, int64_t depth, const Rectangle& part,
                              int64_t tileStep, float* c, int64_t cStride, End end, const Workspace& memory) {
  if constexpr (std::is_same_v<Right, Columns>) {
    if (part.rows() <= 4 * tileStep) {
      multiply<term>(left, UnpackedColumns{right}, depth, part, tileStep, c, cStride, end, memory);
      return;
    }
  }
  multiply<term>(left, right, depth, part, tileStep, c, cStride, end, memory);
}

}  // namespace engram::ENGRAM_ISA
