// Rows picked by number, and rows written by number: embeddings and their like.
#pragma once
#include "copy.h"

namespace engram::ENGRAM_ISA {

/** Rows beyond the table are 0, as in tfjs' cpu backend. */
static inline void gather_rows(const gather_rows_call& s) {
  const int64_t all = s.batches * s.outer * s.picks;
  if (all == 0 || s.length == 0) return;
  constexpr int64_t piece = 32768;
  const int64_t height = larger(1, piece / s.length);
  parallel(ceilDivide(all, height), 2.0 * static_cast<double>(all) * static_cast<double>(s.length), [&](int64_t task) {
    for (int64_t i = task * height; i < smaller(all, (task + 1) * height); ++i) {
      const int64_t table = i / s.picks, id = s.ids[table / s.outer * s.picks + i % s.picks];
      uint32_t* to = s.to + i * s.length;
      if (id >= 0 && id < s.rows) {
        copyWords(s.from + (table * s.rows + id) * s.length, 1, to, 1, s.length);
      } else {
        for (int64_t j = 0; j < s.length; ++j) to[j] = 0;
      }
    }
  });
}

/** One after another: of two updates of a row the last one stays. */
static inline void scatter_rows(const scatter_rows_call& s) {
  for (int64_t i = 0; i < s.picks; ++i) {
    const int64_t id = s.ids[i];
    if (id >= 0 && id < s.rows) copyWords(s.updates + i * s.length, 1, s.to + id * s.length, 1, s.length);
  }
}

}  // namespace engram::ENGRAM_ISA
