// M[row] += sum_b phi(sum of D at the positions of sample b whose id is that row): an embedding's table of rows. The
// positions are sorted by row first, so that a row belongs to one task, and only rows that an id names are touched.
#pragma once
#include "../core/phi.h"
#include "../kernel_table.h"

namespace engram::ENGRAM_ISA {

/**
 * Writes the positions whose id is a row to `order`, sorted by row, those of one row in their own order: a radix sort by
 * bytes. `spare` is as long as `order`.
 *
 * @returns how many there are
 */
static inline int64_t sortByRow(const int32_t* ids, int64_t count, int64_t rows, int64_t* order, int64_t* spare) {
  int passes = 0;
  while (passes < 4 && (rows - 1) >> (8 * passes) > 0) ++passes;
  // After each pass the two change places: begin where the last one ends in `order`.
  int64_t *from = passes % 2 ? spare : order, *to = passes % 2 ? order : spare;
  int64_t found = 0;
  constexpr int64_t piece = 1 << 20;
  for (int64_t start = 0; start < count; start += piece) {
    checkpoint();
    for (int64_t i = start; i < smaller(count, start + piece); ++i) {
      if (ids[i] >= 0 && ids[i] < rows) from[found++] = i;
    }
  }
  for (int pass = 0; pass < passes; ++pass) {
    const auto digit = [&](int64_t i) { return (ids[i] >> (8 * pass)) & 255; };
    int64_t starts[256] = {};
    for (int64_t i = 0; i < found; ++i) ++starts[digit(from[i])];
    for (int64_t value = 0, start = 0; value < 256; ++value) {
      const int64_t length = starts[value];
      starts[value] = start;
      start += length;
    }
    for (int64_t begin = 0; begin < found; begin += piece) {
      checkpoint();
      for (int64_t i = begin; i < smaller(found, begin + piece); ++i) to[starts[digit(from[i])]++] = from[i];
    }
    int64_t* const swapped = from;
    from = to;
    to = swapped;
  }
  return found;
}

static inline void grad_moment_gather(const grad_moment_gather_call& s) {
  if (s.samples == 0 || s.positions == 0 || s.rows == 0 || s.fanOut == 0) return;
  const int64_t count = s.samples * s.positions, fanOut = s.fanOut;
  const Sums memory(4 * count);  // two lists of whole numbers, each as long as two floats
  int64_t* order = reinterpret_cast<int64_t*>(memory.memory);
  const int64_t found = sortByRow(s.ids, count, s.rows, order, order + count);
  // A task owns the rows that begin in its piece of the order, and a block of their columns.
  constexpr int64_t piece = 256, block = 64;
  const int64_t blocks = ceilDivide(fanOut, block);
  const double work = 2.0 * static_cast<double>(found) * static_cast<double>(fanOut);
  const End phi = endOf(s.phi);

  parallel(ceilDivide(found, piece) * blocks, work, [&](int64_t task) {
    const int64_t q0 = task % blocks * block, columns = smaller(block, fanOut - q0);
    int64_t i = task / blocks * piece;
    const int64_t last = smaller(found, i + piece);
    int64_t pause = last;  // one row may have all the ids
    const auto rowOf = [&](int64_t j) { return s.ids[order[j]]; };
    if (i > 0) {
      while (i < last && rowOf(i) == rowOf(i - 1)) ++i;
    }
    while (i < last) {
      const int64_t row = rowOf(i);
      float total[block] = {};
      while (i < found && rowOf(i) == row) {
        float g[block] = {};
        const int64_t sampleEnd = (order[i] / s.positions + 1) * s.positions;
        for (; i < found && order[i] < sampleEnd && rowOf(i) == row; ++i) {
          if (i >= pause) {
            checkpoint();
            pause = i + piece;
          }
          const float* d = s.deltas + order[i] * fanOut + q0;
          for (int64_t q = 0; q < columns; ++q) g[q] += d[q];
        }
        for (int64_t q = 0; q < columns; ++q) total[q] += applyPhi(phi, g[q]);
      }
      float* to = s.moment + row * fanOut + q0;
      for (int64_t q = 0; q < columns; ++q) to[q] += total[q];
    }
  });
}

}  // namespace engram::ENGRAM_ISA
