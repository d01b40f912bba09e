// AVX-512F: the vector words of this instruction set. Only avx512.cc, compiled with -mavx512f, includes it.
#pragma once
#include <immintrin.h>

#include <cstdint>

#define ENGRAM_ISA avx512

namespace engram::avx512 {

using Vec = __m512;
constexpr int width = 16;       // floats in a vector
constexpr int tileHeight = 12;  // rows of the micro-kernel's tile: 24 of 32 registers hold sums
constexpr int tileVectors = 2;  // vectors across it

static inline Vec zero() { return _mm512_setzero_ps(); }
static inline Vec set(float x) { return _mm512_set1_ps(x); }
static inline Vec load(const float* p) { return _mm512_loadu_ps(p); }
static inline void store(float* p, Vec x) { _mm512_storeu_ps(p, x); }
/** The first n floats, and zeros in the other lanes; 0 <= n <= width. */
static inline Vec loadFirst(const float* p, int64_t n) { return _mm512_maskz_loadu_ps(__mmask16((1u << n) - 1), p); }
static inline void storeFirst(float* p, Vec x, int64_t n) { _mm512_mask_storeu_ps(p, __mmask16((1u << n) - 1), x); }
static inline Vec add(Vec a, Vec b) { return _mm512_add_ps(a, b); }
static inline Vec mul(Vec a, Vec b) { return _mm512_mul_ps(a, b); }
static inline Vec fma(Vec a, Vec b, Vec c) { return _mm512_fmadd_ps(a, b, c); }
static inline Vec abs(Vec x) { return _mm512_abs_ps(x); }

}  // namespace engram::avx512

#include "transpose_sse.h"
