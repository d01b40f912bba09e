// What the machine can do at most: fused multiply-adds that wait for nothing but each other.
#pragma once
#include <cstdint>

namespace engram {

struct Peak {
  const char* instructionSet;
  double flops;  // of one step: a multiplication and an addition for every lane of every sum
  /** Runs `steps` steps on this thread; `total` depends on every sum, so that none is left out. */
  void (*run)(int64_t steps, float* total);
};

extern const Peak avx512Peak, avx2Peak, neonPeak, scalarPeak;

}  // namespace engram
