// Batch normalisation by given statistics: y = offset + (x - mean) scale / sqrt(variance + epsilon), in double as tfjs'
// cpu backend has it.
#pragma once
#include "../core/math.h"
#include "../core/parallel.h"
#include "../kernel_table.h"

namespace engram::ENGRAM_ISA {

static inline void batch_norm(const batch_norm_call& s) {
  constexpr int64_t most = 1024;
  const int64_t sizes[] = {s.meanSize, s.varianceSize, s.scaleSize, s.offsetSize};
  int64_t channels = 1;
  for (const int64_t size : sizes) channels = larger(channels, size);
  bool perChannel = channels <= s.size;
  for (const int64_t size : sizes) perChannel = perChannel && (size == 1 || size == channels);
  if (!perChannel) {  // each operand goes round by itself
    parallelRanges(s.size, 64, [&](int64_t from, int64_t to) {
      for (int64_t i = from; i < to; ++i) {
        const double deviation = __builtin_sqrt(static_cast<double>(s.variance[i % s.varianceSize]) + s.epsilon);
        const double centred = static_cast<double>(s.x[i]) - s.mean[i % s.meanSize];
        s.y[i] = static_cast<float>(s.offset[i % s.offsetSize] + centred * s.scale[i % s.scaleSize] / deviation);
      }
    });
    return;
  }
  // Blocks of channels, and for each of them pieces of the rows. Few channels are repeated to fill a block.
  const int64_t beside = channels < 64 ? smaller(most / channels, larger(1, s.size / channels)) : 1;
  const int64_t length = channels * beside, blocks = ceilDivide(length, most), rows = ceilDivide(s.size, length);
  const int64_t atOnce = larger(1, 32768 / smaller(length, most)), pieces = ceilDivide(rows, atOnce);
  parallel(blocks * pieces, 16.0 * static_cast<double>(s.size), [&](int64_t task) {
    const int64_t first = task % blocks * most, count = smaller(most, length - first);
    double mean[most], factor[most], offset[most];
    for (int64_t j = 0; j < count; ++j) {
      const int64_t channel = (first + j) % channels;
      mean[j] = s.mean[channel % s.meanSize];
      offset[j] = s.offset[channel % s.offsetSize];
      factor[j] = s.scale[channel % s.scaleSize] /
                  __builtin_sqrt(static_cast<double>(s.variance[channel % s.varianceSize]) + s.epsilon);
    }
    const int64_t row = task / blocks * atOnce, last = smaller(rows, row + atOnce);
    for (int64_t start = row * length + first; start < last * length; start += length) {
      const float* __restrict x = s.x + start;
      float* __restrict y = s.y + start;
      const int64_t columns = smaller(count, s.size - start);
      for (int64_t j = 0; j < columns; ++j) y[j] = static_cast<float>(offset[j] + (x[j] - mean[j]) * factor[j]);
    }
  });
}

}  // namespace engram::ENGRAM_ISA
