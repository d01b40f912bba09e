// s_b = ||F(x_b)||² and the seed 2F of the backward pass. Sums in double, in sixteen strands of a fixed order.
#pragma once
#include "../core/parallel.h"
#include "../kernel_table.h"

namespace engram::ENGRAM_ISA {

static inline void output_norm(const output_norm_call& s) {
  constexpr int64_t strands = 16, piece = 65536;
  const double cost = 3.0 * static_cast<double>(s.outputs);
  const int64_t samplesOfTask = larger(1, 65536 / larger(1, s.outputs));
  parallel(ceilDivide(s.samples, samplesOfTask), cost * static_cast<double>(s.samples), [&](int64_t task) {
    const int64_t last = smaller(s.samples, (task + 1) * samplesOfTask);
    for (int64_t b = task * samplesOfTask; b < last; ++b) {
      const float* f = s.outputs_ + b * s.outputs;
      float* seed = s.seed + b * s.outputs;
      double sums[strands] = {};
      int64_t k = 0;
      while (k + strands <= s.outputs) {
        if (k > 0) checkpoint();
        for (const int64_t pause = smaller(s.outputs, k + piece); k + strands <= pause; k += strands) {
          for (int64_t j = 0; j < strands; ++j) {
            const double x = f[k + j];
            sums[j] += x * x;
            seed[k + j] = 2 * f[k + j];
          }
        }
      }
      for (; k < s.outputs; ++k) {
        const double x = f[k];
        sums[0] += x * x;
        seed[k] = 2 * f[k];
      }
      double norm = 0;
      for (int64_t j = 0; j < strands; ++j) norm += sums[j];
      s.norms[b] = static_cast<float>(norm);
    }
  });
}

}  // namespace engram::ENGRAM_ISA
