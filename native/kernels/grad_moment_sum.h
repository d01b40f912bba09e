// M[q] += sum_b phi(sum_l X[b,l,q] D[b,l,q]): biases (X = 1) and scales. One pass over memory, all channels at once.
#pragma once
#include "../core/phi.h"
#include "../kernel_table.h"

namespace engram::ENGRAM_ISA {

/** g[q] += sum over `positions` of x·d, or of d where there is no x. */
static inline void sumPositions(const float* x, const float* d, int64_t positions, int64_t fanOut, float* __restrict g) {
  for (int64_t l = 0; l < positions; ++l) {
    if (l == 0 || fanOut > 1024) checkpoint();
    if (x) {
      for (int64_t q = 0; q < fanOut; ++q) g[q] += x[l * fanOut + q] * d[l * fanOut + q];
    } else {
      for (int64_t q = 0; q < fanOut; ++q) g[q] += d[l * fanOut + q];
    }
  }
}

static inline void grad_moment_sum(const grad_moment_sum_call& s) {
  const int64_t fanOut = s.fanOut;
  if (fanOut == 0 || s.samples == 0 || s.positions == 0) return;
  constexpr int64_t block = 256;  // positions summed before they join the sample's sum: its error grows less
  const int64_t rows = s.samples * s.positions;
  // A plain sum needs no boundary between samples: a block of rows is as good.
  const bool plain = s.phi == grad_moment_sum_phi::identity;
  const int64_t positions = plain ? smaller(block, rows) : s.positions, samples = ceilDivide(rows, positions);
  const double work = 2.0 * static_cast<double>(rows * fanOut);
  const int64_t parts = smaller(smaller(samples, 16), larger(1, static_cast<int64_t>(work) / 65536));
  const Sums sums(parts * 3 * fanOut);
  const End phi = endOf(s.phi);

  parallel(parts, work, [&](int64_t part) {
    float *total = sums.memory + part * fanOut, *g = sums.memory + (parts + 2 * part) * fanOut, *piece = g + fanOut;
    const int64_t last = samples * (part + 1) / parts;
    for (int64_t b = samples * part / parts; b < last; ++b) {
      const int64_t count = smaller(positions, rows - b * positions);
      for (int64_t q = 0; q < fanOut; ++q) g[q] = 0;
      for (int64_t l = 0; l < count; l += block) {
        const int64_t at = (b * positions + l) * fanOut;
        for (int64_t q = 0; q < fanOut; ++q) piece[q] = 0;
        sumPositions(s.scaled ? s.activations + at : nullptr, s.deltas + at, smaller(block, count - l), fanOut, piece);
        for (int64_t q = 0; q < fanOut; ++q) g[q] += piece[q];
      }
      for (int64_t q = 0; q < fanOut; ++q) total[q] += applyPhi(phi, g[q]);
    }
  });
  addParts(s.moment, sums.memory, parts, fanOut);
}

}  // namespace engram::ENGRAM_ISA
