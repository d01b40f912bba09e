// Looks for NaN and infinity by their bits, as fast as memory gives them.
#pragma once
#include <cstdint>
#include <cstring>

namespace engram::ENGRAM_ISA {

static inline uint32_t countNonfinite(const float* values, int64_t size) {
  uint32_t found = 0;
  for (int64_t i = 0; i < size; ++i) {
    uint32_t bits;
    std::memcpy(&bits, values + i, sizeof bits);
    found += (bits & 0x7f800000u) == 0x7f800000u;
  }
  return found;
}

}  // namespace engram::ENGRAM_ISA
