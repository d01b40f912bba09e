// The peak of one instruction set. Compiled once for each, with its flags and with
// ENGRAM_SIMD, its header, and ENGRAM_PEAK, the name of the result.
#include "peak.h"

#include ENGRAM_SIMD

#define ENGRAM_TEXT_OF(name) #name
#define ENGRAM_TEXT(name) ENGRAM_TEXT_OF(name)

namespace engram {
namespace ENGRAM_ISA {

/** Two units of latency 4 or 5 need 10 sums in flight; 12 and the two factors fit in 16 registers. */
constexpr int sumCount = 12;

static void chains(int64_t steps, float* total) {
  Vec sums[sumCount];
  for (int i = 0; i < sumCount; ++i) sums[i] = set(static_cast<float>(i));
  // Converges, so that no sum becomes infinite or subnormal; volatile, so that the compiler does not know how.
  volatile float factor = 0.5f, term = 1;
  const Vec a = set(factor), b = set(term);
  for (int64_t step = 0; step < steps; ++step) {
#pragma GCC unroll 12
    for (int i = 0; i < sumCount; ++i) sums[i] = fma(sums[i], a, b);
  }
  float values[width];
  *total = 0;
  for (int i = 0; i < sumCount; ++i) {
    store(values, sums[i]);
    for (int lane = 0; lane < width; ++lane) *total += values[lane];
  }
}

}  // namespace ENGRAM_ISA

const Peak ENGRAM_PEAK = {ENGRAM_TEXT(ENGRAM_ISA), 2.0 * ENGRAM_ISA::sumCount * ENGRAM_ISA::width, ENGRAM_ISA::chains};

}  // namespace engram
