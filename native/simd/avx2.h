// AVX2 with FMA: the vector words of this instruction set. Only avx2.cc, compiled with -mavx2 -mfma, includes it.
#pragma once
#include <immintrin.h>

#include <cstdint>

#define ENGRAM_ISA avx2

namespace engram::avx2 {

using Vec = __m256;
constexpr int width = 8;        // floats in a vector
constexpr int tileHeight = 6;   // rows of the micro-kernel's tile: 12 of 16 registers hold sums
constexpr int tileVectors = 2;  // vectors across it

static inline Vec zero() { return _mm256_setzero_ps(); }
static inline Vec set(float x) { return _mm256_set1_ps(x); }
static inline Vec load(const float* p) { return _mm256_loadu_ps(p); }
static inline void store(float* p, Vec x) { _mm256_storeu_ps(p, x); }
/** Ones in the first n lanes. */
static inline __m256i firstLanes(int64_t n) {
  return _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(n)), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}
/** The first n floats, and zeros in the other lanes; 0 <= n <= width. */
static inline Vec loadFirst(const float* p, int64_t n) { return _mm256_maskload_ps(p, firstLanes(n)); }
static inline void storeFirst(float* p, Vec x, int64_t n) { _mm256_maskstore_ps(p, firstLanes(n), x); }
static inline Vec add(Vec a, Vec b) { return _mm256_add_ps(a, b); }
static inline Vec mul(Vec a, Vec b) { return _mm256_mul_ps(a, b); }
static inline Vec fma(Vec a, Vec b, Vec c) { return _mm256_fmadd_ps(a, b, c); }
static inline Vec abs(Vec x) { return _mm256_andnot_ps(_mm256_set1_ps(-0.0f), x); }

}  // namespace engram::avx2

#include "transpose_sse.h"
