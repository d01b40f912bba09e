// One result of each element. What training does often is vectorised; the rest goes through the C library in double, as
// tfjs' cpu backend goes through Math.
#pragma once
#include "../core/math.h"
#include "../core/parallel.h"
#include "../kernel_table.h"

namespace engram::ENGRAM_ISA {

/** Operations per element, for the choice of threads: memory bounds the first, a library call the last. */
constexpr double moveCost = 8, polynomialCost = 24, libraryCost = 256;

/** y[i] = f(x[i]), on several threads if that is worth it. */
template <class X, class Y, class F>
static void forEach(const X* from, Y* to, int64_t size, double cost, F f) {
  parallelRanges(size, cost, [&](int64_t first, int64_t end) {
    const X* __restrict x = from;
    Y* __restrict y = to;
    const F apply = f;  // its numbers in registers: a choice between one in memory and another is a branch
    ENGRAM_INDEPENDENT
    for (int64_t i = first; i < end; ++i) y[i] = apply(x[i]);
  });
}

/** tfjs' approximation of erf: Abramowitz and Stegun 7.1.26. */
static inline double errorFunction(double x) {
  const double size = __builtin_fabs(x), t = 1 / (1 + 0.3275911 * size);
  const double p = ((((1.061405429 * t - 1.453152027) * t + 1.421413741) * t - 0.284496736) * t + 0.254829592) * t;
  return (x > 0 ? 1 : x < 0 ? -1 : x) * (1 - p * __builtin_exp(-size * size));
}

static inline void unary(const unary_call& s) {
  const float low = static_cast<float>(s.alpha), high = static_cast<float>(s.beta);
  const auto move = [&](auto f) { forEach(s.x, s.y, s.size, moveCost, f); };
  const auto polynomial = [&](auto f) { forEach(s.x, s.y, s.size, polynomialCost, f); };
  const auto library = [&](auto f) {
    forEach(s.x, s.y, s.size, libraryCost, [f](float x) { return static_cast<float>(f(static_cast<double>(x))); });
  };
  switch (s.op) {
    case unary_op::abs:
      return move([](float x) { return __builtin_fabsf(x); });
    case unary_op::acos:
      return library([](double x) { return __builtin_acos(x); });
    case unary_op::acosh:
      return library([](double x) { return __builtin_acosh(x); });
    case unary_op::asin:
      return library([](double x) { return __builtin_asin(x); });
    case unary_op::asinh:
      return library([](double x) { return __builtin_asinh(x); });
    case unary_op::atan:
      return library([](double x) { return __builtin_atan(x); });
    case unary_op::atanh:
      return library([](double x) { return __builtin_atanh(x); });
    case unary_op::ceil:
      return move([](float x) { return __builtin_ceilf(x); });
    case unary_op::clip:
      return move([low, high](float x) { return x > high ? high : x < low ? low : x; });
    case unary_op::cos:
      return library([](double x) { return __builtin_cos(x); });
    case unary_op::cosh:
      return library([](double x) { return __builtin_cosh(x); });
    case unary_op::elu:
      return polynomial([](float x) { return exponentialLinear(x); });
    case unary_op::erf:
      return library([](double x) { return errorFunction(x); });
    case unary_op::exp:
      return polynomial([](float x) { return exponential(x); });
    case unary_op::expm1:
      return library([](double x) { return __builtin_expm1(x); });
    case unary_op::floor:
      return move([](float x) { return __builtin_floorf(x); });
    case unary_op::leakyrelu:
      return move([alpha = s.alpha](float x) {
        const float scaled = static_cast<float>(alpha * x);
        return x < 0 ? scaled : x;
      });
    case unary_op::log:
      return polynomial([](float x) { return logarithm(x); });
    case unary_op::log1p:
      return library([](double x) { return __builtin_log1p(x); });
    case unary_op::neg:
      return move([](float x) { return -x; });
    case unary_op::reciprocal:
      return move([](float x) { return 1.0f / x; });
    case unary_op::relu:  // NaN passes, and -0 becomes +0
      return move([](float x) { return x <= 0 ? 0 : x; });
    case unary_op::relu6:
      return move([](float x) { return x <= 0 ? 0 : x > 6 ? 6 : x; });
    case unary_op::round:  // halves to even, but -0.5 to +0 as in tfjs
      return move([](float x) { return x == -0.5f ? 0 : __builtin_rintf(x); });
    case unary_op::rsqrt:
      return move([](float x) { return 1.0f / __builtin_sqrtf(x); });
    case unary_op::selu:
      return polynomial([](float x) {
        return x >= 0 ? 1.05070098735548049342f * x : 1.75809934084737685994f * exponentialLess1(x);
      });
    case unary_op::sigmoid:
      return polynomial([](float x) { return logistic(x); });
    case unary_op::sign:  // of NaN: 0
      return move([](float x) { return x > 0 ? 1.0f : x < 0 ? -1.0f : 0.0f; });
    case unary_op::sin:
      return library([](double x) { return __builtin_sin(x); });
    case unary_op::sinh:
      return library([](double x) { return __builtin_sinh(x); });
    case unary_op::softplus:
      return polynomial([](float x) { return softplus(x); });
    case unary_op::sqrt:
      return move([](float x) { return __builtin_sqrtf(x); });
    case unary_op::square:
      return move([](float x) { return x * x; });
    case unary_op::step:
      return move([low](float x) { return x > 0 ? 1.0f : x <= 0 ? low : x; });
    case unary_op::tan:
      return library([](double x) { return __builtin_tan(x); });
    case unary_op::tanh:
      return polynomial([](float x) { return hyperbolicTangent(x); });
  }
}

static inline void classify(const classify_call& s) {
  const auto test = [&](auto f) {
    forEach(s.x, s.y, s.size, moveCost, [f](float x) -> uint8_t { return f(bitsOf(x) & 0x7fffffffu); });
  };
  switch (s.op) {
    case classify_op::finite:
      return test([](uint32_t size) { return size < 0x7f800000u; });
    case classify_op::infinite:
      return test([](uint32_t size) { return size == 0x7f800000u; });
    case classify_op::nan:
      return test([](uint32_t size) { return size > 0x7f800000u; });
  }
}

static inline void logical_not(const logical_not_call& s) {
  forEach(s.x, s.y, s.size, 1, [](uint8_t x) -> uint8_t { return x == 0; });
}

/** sum += x, or sum = 0 + x for the first one. */
static inline void accumulate(const accumulate_call& s) {
  parallelRanges(s.size, moveCost, [&](int64_t from, int64_t to) {
    const float* __restrict x = s.x;
    float* __restrict sum = s.sum;
    if (s.first) {
      for (int64_t i = from; i < to; ++i) sum[i] = 0.0f + x[i];
    } else {
      for (int64_t i = from; i < to; ++i) sum[i] += x[i];
    }
  });
}

/** PReLU, in place. */
static inline void prelu_rows(const prelu_rows_call& s) {
  if (s.columns == 0) return;
  const double work = moveCost * static_cast<double>(s.rows * s.columns);
  const int64_t atOnce = larger(1, 32768 / s.columns);
  parallel(ceilDivide(s.rows, atOnce), work, [&](int64_t task) {
    for (int64_t row = task * atOnce; row < smaller(s.rows, (task + 1) * atOnce); ++row) {
      const float* __restrict slopes = s.slopes + row % s.slopeRows * s.columns;
      float* __restrict values = s.values + row * s.columns;
      for (int64_t j = 0; j < s.columns; ++j) values[j] = values[j] < 0 ? slopes[j] * values[j] : values[j];
    }
  });
}

/** Whole rows of one of two tensors. */
static inline void select(const select_call& s) {
  if (s.columns == 1) {
    parallelRanges(s.rows, moveCost, [&](int64_t from, int64_t to) {
      const uint8_t* __restrict condition = s.condition;
      const float *__restrict chosen = s.chosen, *__restrict other = s.other;
      float* __restrict result = s.result;
      ENGRAM_INDEPENDENT
      for (int64_t i = from; i < to; ++i) result[i] = condition[i] == 1 ? chosen[i] : other[i];
    });
    return;
  }
  parallel(s.rows, moveCost * static_cast<double>(s.rows * s.columns), [&](int64_t row) {
    const float* from = (s.condition[row] == 1 ? s.chosen : s.other) + row * s.columns;
    std::memcpy(s.result + row * s.columns, from, static_cast<size_t>(s.columns) * sizeof(float));
  });
}

}  // namespace engram::ENGRAM_ISA
