// Moves 32-bit words from one walk to another: transpositions, slices, padding, tiles and all else that only moves.
#pragma once
#include <cstring>

#include "../core/parallel.h"
#include "../kernel_table.h"

namespace engram::ENGRAM_ISA {

/** One axis of both walks. */
struct CopyAxis {
  int64_t count, from, to;
};
constexpr int copyAxes = 6;

/** The planes of the walks: their outer axes, the two innermost left out. */
struct Planes {
  const CopyAxis* axes;
  int64_t at[copyAxes - 2];
  int64_t from, to;

  Planes(const CopyAxis* axes_, int64_t plane, int64_t fromStart, int64_t toStart)
      : axes(axes_), from(fromStart), to(toStart) {
    for (int k = copyAxes - 3; k >= 0; --k) {
      at[k] = plane % axes[k].count;
      plane /= axes[k].count;
      from += at[k] * axes[k].from;
      to += at[k] * axes[k].to;
    }
  }
  void next() {
    for (int k = copyAxes - 3; k >= 0; --k) {
      from += axes[k].from;
      to += axes[k].to;
      if (++at[k] < axes[k].count) return;
      from -= axes[k].count * axes[k].from;
      to -= axes[k].count * axes[k].to;
      at[k] = 0;
    }
  }
};

/** A run of words. */
static inline void copyWords(const uint32_t* __restrict from, int64_t fromStep, uint32_t* __restrict to, int64_t toStep,
                             int64_t count) {
  constexpr int64_t longRun = 32;
  if (toStep == 1 && fromStep == 1) {
    if (count >= longRun) {
      std::memcpy(to, from, static_cast<size_t>(count) * sizeof *to);
    } else {
      for (int64_t i = 0; i < count; ++i) to[i] = from[i];
    }
  } else if (toStep == 1 && fromStep == 0) {
    const uint32_t word = *from;
    for (int64_t i = 0; i < count; ++i) to[i] = word;
  } else if (toStep == 1 && fromStep == -1) {
    for (int64_t i = 0; i < count; ++i) to[i] = from[-i];
  } else {
    for (int64_t i = 0; i < count; ++i) to[i * toStep] = from[i * fromStep];
  }
}

constexpr int64_t turnBlock = 16;

/** to[i * toStep + j] = from[j * fromStep + i] for a block of 16 x 16: each line of the caches is touched once. */
static inline void turnBlocks(const uint32_t* from, int64_t fromStep, uint32_t* to, int64_t toStep) {
  float turned[turnBlock * turnBlock];
  for (int64_t j = 0; j < turnBlock; j += 4) {
    float rows[4][turnBlock];  // words as floats, which are only moved
    for (int64_t k = 0; k < 4; ++k) std::memcpy(rows[k], from + (j + k) * fromStep, sizeof rows[k]);
    for (int64_t i = 0; i < turnBlock; i += 4) {
      transpose4(turned + i * turnBlock + j, turnBlock, rows[0] + i, rows[1] + i, rows[2] + i, rows[3] + i);
    }
  }
  for (int64_t i = 0; i < turnBlock; ++i) std::memcpy(to + i * toStep, turned + i * turnBlock, sizeof *to * turnBlock);
}

/** to[i * toStep + j] = from[j * fromStep + i]: a transposition, block by block. */
static inline void turnWords(const uint32_t* from, int64_t fromStep, uint32_t* to, int64_t toStep, int64_t rows,
                             int64_t columns) {
  for (int64_t i = 0; i < rows; i += turnBlock) {
    for (int64_t j = 0; j < columns; j += turnBlock) {
      const uint32_t* corner = from + j * fromStep + i;
      uint32_t* target = to + i * toStep + j;
      const int64_t height = smaller(turnBlock, rows - i), width = smaller(turnBlock, columns - j);
      if (height == turnBlock && width == turnBlock) {
        turnBlocks(corner, fromStep, target, toStep);
      } else {
        for (int64_t k = 0; k < height; ++k) copyWords(corner + k, fromStep, target + k * toStep, 1, width);
      }
    }
  }
}

static inline void copy(const copy_call& s) {
  CopyAxis axes[copyAxes] = {{s.count0, s.from0, s.to0}, {s.count1, s.from1, s.to1}, {s.count2, s.from2, s.to2},
                             {s.count3, s.from3, s.to3}, {s.count4, s.from4, s.to4}, {s.count5, s.from5, s.to5}};
  CopyAxis &outer = axes[copyAxes - 2], &inner = axes[copyAxes - 1];
  // A transposition: the result's words are neighbours along the last axis, the source's along another one.
  bool turns = false;
  if (inner.to == 1 && inner.from != 1 && inner.from != 0) {
    for (int k = copyAxes - 2; k >= 0 && !turns; --k) {
      if (axes[k].from != 1 || axes[k].count < 2) continue;
      const CopyAxis neighbour = axes[k];
      axes[k] = outer;
      outer = neighbour;
      turns = true;
    }
  }
  int64_t planes = 1;
  for (int k = 0; k < copyAxes - 2; ++k) planes *= axes[k].count;
  if (planes * outer.count * inner.count == 0) return;

  // A task takes some rows of the planes; where there are few long ones, a piece of each.
  constexpr int64_t piece = 32768;
  const int64_t length = turns ? inner.count : smaller(inner.count, piece), cuts = ceilDivide(inner.count, length);
  const int64_t rows = planes * outer.count, least = turns ? turnBlock : 1;
  const int64_t height = smaller(rows, larger(least, piece / length / least * least)), groups = ceilDivide(rows, height);
  parallel(groups * cuts, 2.0 * static_cast<double>(rows) * static_cast<double>(inner.count), [&](int64_t task) {
    const int64_t first = task / cuts * height, last = smaller(rows, first + height);
    const int64_t i0 = task % cuts * length, count = smaller(length, inner.count - i0);
    Planes plane(axes, first / outer.count, s.fromStart, s.toStart);
    for (int64_t row = first; row < last; plane.next()) {
      const int64_t start = row % outer.count, end = smaller(outer.count, start + last - row);
      const uint32_t* from = s.from + plane.from + start * outer.from + i0 * inner.from;
      uint32_t* to = s.to + plane.to + start * outer.to + i0 * inner.to;
      row += end - start;
      if (turns) {
        turnWords(from, inner.from, to, outer.to, end - start, count);
      } else {
        for (int64_t i = start; i < end; ++i, from += outer.from, to += outer.to) {
          copyWords(from, inner.from, to, inner.to, count);
        }
      }
    }
  });
}

}  // namespace engram::ENGRAM_ISA
