// exp, log and what is made of them, a few ulp from the truth. Without branches, so that loops over them become vectors.
// Reductions and polynomials of exp, log and tanh are those of Cephes (S. Moshier, Methods and Programs for Mathematical
// Functions, 1989: expf, logf, tanhf); rounding by a large constant and splitting by bits as in musl's and ARM's expf, logf.
#pragma once
#include <cstdint>
#include <cstring>

namespace engram::ENGRAM_ISA {

static inline uint32_t bitsOf(float x) {
  uint32_t bits;
  std::memcpy(&bits, &x, sizeof bits);
  return bits;
}
static inline float ofBits(uint32_t bits) {
  float x;
  std::memcpy(&x, &bits, sizeof x);
  return x;
}

/** Math.max and Math.min: NaN if either is, and +0 above -0 (the bits of equal values differ in their sign alone). */
static inline float maximum(float x, float y) {
  const float both = ofBits(bitsOf(x) & bitsOf(y)), greater = x > y ? x : y;
  return x != x ? x : x == y ? both : greater;
}
static inline float minimum(float x, float y) {
  const float both = ofBits(bitsOf(x) | bitsOf(y)), less = x < y ? x : y;
  return x != x ? x : x == y ? both : less;
}

constexpr float infinity = __builtin_inff();
constexpr float notNumber = __builtin_nanf("");

/** a b + c, rounded once where the machine can. */
static inline float multiplyAdd(float a, float b, float c) {
#if defined(__FMA__) || defined(__AVX512F__) || defined(__ARM_FEATURE_FMA)
  return __builtin_fmaf(a, b, c);
#else
  return a * b + c;
#endif
}

/** 2^k for -127 < k < 128; other k give other numbers, not traps. */
static inline float powerOfTwo(uint32_t k) { return ofBits((k + 127) << 23); }

/** x = k ln 2 + r with |r| <= ln 2 / 2: k, and e^r - 1. */
struct Reduced {
  uint32_t k;
  float rest;
};

static inline Reduced reduceExponent(float x) {
  constexpr float rounder = 12582912.0f;  // 1.5 * 2^23: what is added to it is rounded, and lies in its lowest bits
  const float shifted = multiplyAdd(x, 1.44269504f, rounder), k = shifted - rounder;
  const float r = multiplyAdd(k, 2.12194440e-4f, multiplyAdd(k, -0.693359375f, x));
  float q = 1.9875691500e-4f;
  q = multiplyAdd(q, r, 1.3981999507e-3f);
  q = multiplyAdd(q, r, 8.3334519073e-3f);
  q = multiplyAdd(q, r, 4.1665795894e-2f);
  q = multiplyAdd(q, r, 1.6666665459e-1f);
  q = multiplyAdd(q, r, 5.0000001201e-1f);
  return {bitsOf(shifted) - bitsOf(rounder), multiplyAdd(r * r, q, r)};
}

/** e^x. In two steps of scaling: results may be subnormal, and 2^128 is no float. */
static inline float exponential(float x) {
  const Reduced e = reduceExponent(x < -104.0f ? -104.0f : x > 89.0f ? 89.0f : x);
  const uint32_t half = static_cast<uint32_t>(static_cast<int32_t>(e.k) >> 1);
  return (1.0f + e.rest) * powerOfTwo(half) * powerOfTwo(e.k - half);
}

/** e^x - 1 for x <= 0 without losing what is near 0. */
static inline float exponentialLess1(float x) {
  const Reduced e = reduceExponent(x < -25.0f ? -25.0f : x);
  const float scale = powerOfTwo(e.k);
  return multiplyAdd(scale, e.rest, scale - 1.0f);
}

/** ln x. */
static inline float logarithm(float x) {
  constexpr uint32_t rootHalf = 0x3f3504f3u;  // sqrt(1/2): the mantissa m lies from there to its double
  const bool subnormal = x < 1.17549435e-38f;
  const uint32_t bits = bitsOf(subnormal ? x * 33554432.0f : x) + (0x3f800000u - rootHalf);
  const float k = static_cast<float>(static_cast<int32_t>(bits >> 23) - (subnormal ? 127 + 25 : 127));
  const float m = ofBits((bits & 0x007fffffu) + rootHalf) - 1.0f, square = m * m;
  float p = 7.0376836292e-2f;
  p = multiplyAdd(p, m, -1.1514610310e-1f);
  p = multiplyAdd(p, m, 1.1676998740e-1f);
  p = multiplyAdd(p, m, -1.2420140846e-1f);
  p = multiplyAdd(p, m, 1.4249322787e-1f);
  p = multiplyAdd(p, m, -1.6668057665e-1f);
  p = multiplyAdd(p, m, 2.0000714765e-1f);
  p = multiplyAdd(p, m, -2.4999993993e-1f);
  p = multiplyAdd(p, m, 3.3333331174e-1f);
  const float tail = multiplyAdd(square, -0.5f, multiplyAdd(k, -2.12194440e-4f, p * m * square));
  float y = multiplyAdd(k, 0.693359375f, m + tail);
  y = x > 3.40282347e38f ? x : y;
  y = x >= 0 ? y : notNumber;
  return x == 0 ? -infinity : y;
}

/** 1 / (1 + e^-x), by e^-|x| so that nothing overflows and small results keep their digits. */
static inline float logistic(float x) {
  const float e = exponential(-__builtin_fabsf(x)), r = 1.0f / (1.0f + e);
  return x < 0 ? e * r : r;
}

static inline float hyperbolicTangent(float x) {
  const float size = __builtin_fabsf(x), square = x * x;
  float p = -5.70498872745e-3f;
  p = multiplyAdd(p, square, 2.06390887954e-2f);
  p = multiplyAdd(p, square, -5.37397155531e-2f);
  p = multiplyAdd(p, square, 1.33314422036e-1f);
  p = multiplyAdd(p, square, -3.33332819422e-1f);
  const float small = multiplyAdd(p * square, size, size);
  const float large = 1.0f - 2.0f / (exponential(size + size) + 1.0f);
  return __builtin_copysignf(size < 0.625f ? small : large, x);
}

/** ln(1 + e^x) = max(x, 0) + ln(1 + e), e = e^-|x|; what 1 + e rounds away is added again (Kahan's log1p). */
static inline float softplus(float x) {
  const float e = exponential(-__builtin_fabsf(x)), whole = 1.0f + e;
  const float above = logarithm(whole) + (e - (whole - 1.0f)) / whole;
  return (x < 0 ? 0 : x) + above;
}

static inline float exponentialLinear(float x) { return x >= 0 ? x : exponentialLess1(x); }

}  // namespace engram::ENGRAM_ISA
