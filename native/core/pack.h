// Packing: copies blocks of an operand into panels that the micro-kernel reads front to back. A panel of w columns
// holds element (k, i) at [k * w + i]. Copies go by whole vectors, so panels have room for one more vector at the end.
#pragma once
#include "tile.h"

namespace engram::ENGRAM_ISA {

/** Columns of a block of the right operand. */
constexpr int64_t blockColumns = 256;
/** Tiles of the left operand that are packed in one go where its columns are contiguous: longer runs to copy. */
constexpr int64_t tilesAtOnce = 5;

/** A panel in memory: element (k, i) at data[k * stride + i]. */
struct Panel {
  const float* data;
  int64_t stride;
};

/**
 * Copies n floats; writes up to the next multiple of a vector, and reads as far if that is not past `limit`, the end
 * of the array that `from` points into.
 */
static inline void copyRun(float* to, const float* from, int64_t n, const float* limit) {
  if (limit - from >= n + width) {
    for (int64_t i = 0; i < n; i += width) store(to + i, load(from + i));
  } else {
    for (int64_t i = 0; i < n; ++i) to[i] = from[i];
  }
}

/** Fills n floats with zeros, up to the next multiple of a vector. */
static inline void zeroRun(float* to, int64_t n) {
  for (int64_t i = 0; i < n; i += width) store(to + i, zero());
}

/** Transposes rows row(0..rows-1) of `depth` floats into a panel of `panelWidth` columns. */
template <class Row>
static void packTransposed(float* panel, int64_t panelWidth, int64_t rows, int64_t depth, Row row) {
  int64_t i = 0;
  for (; i + 4 <= rows; i += 4) {
    const float *row0 = row(i), *row1 = row(i + 1), *row2 = row(i + 2), *row3 = row(i + 3);
    float* to = panel + i;
    int64_t k = 0;
    for (; k + 4 <= depth; k += 4) {
      transpose4(to + k * panelWidth, panelWidth, row0 + k, row1 + k, row2 + k, row3 + k);
    }
    for (; k < depth; ++k) {
      float* column = to + k * panelWidth;
      column[0] = row0[k];
      column[1] = row1[k];
      column[2] = row2[k];
      column[3] = row3[k];
    }
  }
  for (; i < rows; ++i) {
    const float* from = row(i);
    for (int64_t k = 0; k < depth; ++k) panel[k * panelWidth + i] = from[k];
  }
}

/** An operand stored with its columns contiguous: element (k, i) at data[k * stride + i]. */
struct Columns {
  static constexpr Layout layout = Layout::columns;
  const float* data;
  int64_t stride;
  const float* limit;  // end of the array

  Panel pack(int64_t from, int64_t depth, int64_t first, int64_t count, int64_t panelWidth, float* panel) const {
    constexpr int64_t ahead = 8, line = 16;  // rows, floats
    for (int64_t k = 0; k < depth; ++k) {
      const float* row = data + (from + k) * stride + first;
      // The rows lie far apart: the processor does not foresee the next one.
      if (k + ahead < depth) {
        for (int64_t i = 0; i < count; i += line) __builtin_prefetch(row + ahead * stride + i);
      }
      copyRun(panel + k * panelWidth, row, count, limit);
    }
    return {panel, panelWidth};
  }
};

/** Packs columns first..last-1 as panels of tileWidth, one behind the other. */
template <class Operand>
static void packPanels(const Operand& operand, int64_t from, int64_t depth, int64_t first, int64_t last, float* memory,
                       Panel* panels) {
  for (int64_t n = first; n < last; n += tileWidth, memory += tileWidth * depth) {
    *panels++ = operand.pack(from, depth, n, smaller(tileWidth, last - n), tileWidth, memory);
  }
}

/** Rows of plain columns are read once, over all panels: long runs, and few places at a time. */
static inline void packPanels(const Columns& operand, int64_t from, int64_t depth, int64_t first, int64_t last,
                              float* memory, Panel* panels) {
  constexpr int64_t ahead = 4, line = 16;  // rows, floats
  const int64_t count = last - first, whole = count / tileWidth, rest = count % tileWidth;
  for (int64_t j = 0; j * tileWidth < count; ++j) panels[j] = {memory + j * tileWidth * depth, tileWidth};
  for (int64_t k = 0; k < depth; ++k) {
    const float* row = operand.data + (from + k) * operand.stride + first;
    if (k + ahead < depth) {
      for (int64_t i = 0; i < count; i += line) __builtin_prefetch(row + ahead * operand.stride + i);
    }
    float* to = memory + k * tileWidth;
    for (int64_t j = 0; j < whole; ++j, row += tileWidth, to += tileWidth * depth) {
      for (int64_t i = 0; i < tileWidth; i += width) store(to + i, load(row + i));
    }
    if (rest > 0) copyRun(to, row, rest, operand.limit);
  }
}

/** Columns, of absolute values. */
struct AbsoluteColumns {
  static constexpr Layout layout = Layout::columns;
  const float* data;
  int64_t stride;

  Panel pack(int64_t from, int64_t depth, int64_t first, int64_t count, int64_t panelWidth, float* panel) const {
    for (int64_t k = 0; k < depth; ++k) {
      const float* row = data + (from + k) * stride + first;
      for (int64_t i = 0; i < count; ++i) panel[k * panelWidth + i] = __builtin_fabsf(row[i]);
    }
    return {panel, panelWidth};
  }
};

/** A left operand stored with its depth contiguous: element (k, i) at data[i * stride + k]. */
struct Rows {
  static constexpr Layout layout = Layout::rows;
  const float* data;
  int64_t stride;
  const float* limit;  // end of the array

  Panel pack(int64_t from, int64_t depth, int64_t first, int64_t count, int64_t, float* panel) const {
    for (int64_t i = 0; i < count; ++i) {
      copyRun(panel + i * rowStride, data + (first + i) * stride + from, depth, limit);
    }
    return {panel, rowStride};
  }
};

/** A right operand stored with its depth contiguous. */
struct TransposedRows {
  const float* data;
  int64_t stride;

  Panel pack(int64_t from, int64_t depth, int64_t first, int64_t count, int64_t panelWidth, float* panel) const {
    packTransposed(panel, panelWidth, count, depth, [&](int64_t i) { return data + (first + i) * stride + from; });
    return {panel, panelWidth};
  }
};

/** Columns that are multiplied with so few rows that packing would cost more than it saves: read where they lie. */
struct UnpackedColumns {
  Columns columns;

  Panel pack(int64_t from, int64_t depth, int64_t first, int64_t count, int64_t panelWidth, float* panel) const {
    if (count == panelWidth) return {columns.data + from * columns.stride + first, columns.stride};
    return columns.pack(from, depth, first, count, panelWidth, panel);
  }
};

}  // namespace engram::ENGRAM_ISA
