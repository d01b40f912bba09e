// No instruction set assumed: four floats at a time in the compiler's own vector type, which becomes whatever the
// target's baseline has. There is no fused multiply-add here: products round before they are added.
#pragma once
#include <cstdint>
#include <cstring>

#define ENGRAM_ISA scalar

namespace engram::scalar {

typedef float Vec __attribute__((vector_size(16)));
typedef uint32_t Bits __attribute__((vector_size(16)));
constexpr int width = 4;        // floats in a vector
constexpr int tileHeight = 4;   // rows of the micro-kernel's tile
constexpr int tileVectors = 2;  // vectors across it

static inline Vec zero() { return Vec{0, 0, 0, 0}; }
static inline Vec set(float x) { return Vec{x, x, x, x}; }
static inline Vec load(const float* p) {
  Vec x;
  std::memcpy(&x, p, sizeof x);
  return x;
}
static inline void store(float* p, Vec x) { std::memcpy(p, &x, sizeof x); }
static inline Vec add(Vec a, Vec b) { return a + b; }
static inline Vec mul(Vec a, Vec b) { return a * b; }
static inline Vec fma(Vec a, Vec b, Vec c) { return a * b + c; }
static inline Vec abs(Vec x) { return (Vec)((Bits)x & 0x7fffffffu); }

/** to[j * stride + i] = row_i[j] for i, j in 0..3. */
static inline void transpose4(float* to, int64_t stride, const float* row0, const float* row1, const float* row2,
                              const float* row3) {
  for (int j = 0; j < 4; ++j) {
    float* column = to + j * stride;
    column[0] = row0[j];
    column[1] = row1[j];
    column[2] = row2[j];
    column[3] = row3[j];
  }
}

}  // namespace engram::scalar

#include "first_lanes.h"
