// NEON (AArch64): the vector words of this instruction set. Only neon.cc includes it.
#pragma once
#include <arm_neon.h>

#include <cstdint>

#define ENGRAM_ISA neon

namespace engram::neon {

using Vec = float32x4_t;
constexpr int width = 4;        // floats in a vector
constexpr int tileHeight = 8;   // rows of the micro-kernel's tile: 16 of 32 registers hold sums
constexpr int tileVectors = 2;  // vectors across it

static inline Vec zero() { return vdupq_n_f32(0); }
static inline Vec set(float x) { return vdupq_n_f32(x); }
static inline Vec load(const float* p) { return vld1q_f32(p); }
static inline void store(float* p, Vec x) { vst1q_f32(p, x); }
static inline Vec add(Vec a, Vec b) { return vaddq_f32(a, b); }
static inline Vec mul(Vec a, Vec b) { return vmulq_f32(a, b); }
static inline Vec fma(Vec a, Vec b, Vec c) { return vfmaq_f32(c, a, b); }
static inline Vec abs(Vec x) { return vabsq_f32(x); }

/** to[j * stride + i] = row_i[j] for i, j in 0..3. */
static inline void transpose4(float* to, int64_t stride, const float* row0, const float* row1, const float* row2,
                              const float* row3) {
  const float32x4x2_t ab = vtrnq_f32(load(row0), load(row1)), cd = vtrnq_f32(load(row2), load(row3));
  store(to, vcombine_f32(vget_low_f32(ab.val[0]), vget_low_f32(cd.val[0])));
  store(to + stride, vcombine_f32(vget_low_f32(ab.val[1]), vget_low_f32(cd.val[1])));
  store(to + 2 * stride, vcombine_f32(vget_high_f32(ab.val[0]), vget_high_f32(cd.val[0])));
  store(to + 3 * stride, vcombine_f32(vget_high_f32(ab.val[1]), vget_high_f32(cd.val[1])));
}

}  // namespace engram::neon

#include "first_lanes.h"
