// Looks for NaN and infinity by their bits, as fast as memory gives them.
#pragma once
#include <cstdint>
#include <cstring>

#include "parallel.h"

namespace engram::ENGRAM_ISA {

static inline uint32_t countNonfinite(const float* values, int64_t size) {
  constexpr int64_t piece = 1 << 20;
  uint32_t found = 0;
  for (int64_t from = 0; from < size; from += piece) {
    checkpoint();
    for (int64_t i = from; i < smaller(size, from + piece); ++i) {
      uint32_t bits;
      std::memcpy(&bits, values + i, sizeof bits);
      found += (bits & 0x7f800000u) == 0x7f800000u;
    }
  }
  return found;
}

}  // namespace engram::ENGRAM_ISA
