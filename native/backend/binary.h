// Two tensors, element by element, with broadcasting. As tfjs' cpu backend has it, which computes in double: where one
// operation in float rounds to the same, it is done in float.
#pragma once
#include "../kernel_table.h"
#include "broadcast.h"
#include "unary.h"

namespace engram::ENGRAM_ISA {

/** As Math.pow: unlike in C, an exponent of NaN gives NaN, and so does infinity for a base of 1 or -1. */
static inline double power(double a, double b) {
  if (b != b || (__builtin_isinf(b) && __builtin_fabs(a) == 1)) return __builtin_nan("");
  return __builtin_pow(a, b);
}

/** As tfjs: where both signs agree the remainder of C, else one of the divisor's sign. */
static inline double modulo(double a, double b) {
  const double rest = __builtin_fmod(a, b);
  return (a < 0 && b < 0) || (a >= 0 && b >= 0) ? rest : __builtin_fmod(rest + b, b);
}

/** As an Int32Array takes a number: modulo 2^32, and 0 for what is not finite. */
static inline int32_t toInt32(double x) {
  if (!(__builtin_fabs(x) < 9.2e18)) x = __builtin_isfinite(x) ? __builtin_fmod(x, 4294967296.0) : 0;
  return static_cast<int32_t>(static_cast<uint32_t>(static_cast<int64_t>(x)));
}

static inline void binary(const binary_call& s) {
  const Broadcast shape = broadcastOf<float>(s);
  const auto move = [&](auto op) { combine(shape, s.c, moveCost, op); };
  const auto library = [&](auto op) {
    combine(shape, s.c, libraryCost, [op](float a, float b) {
      return static_cast<float>(op(static_cast<double>(a), static_cast<double>(b)));
    });
  };
  switch (s.op) {
    case binary_op::add:
      return move([](float a, float b) { return a + b; });
    case binary_op::sub:
      return move([](float a, float b) { return a - b; });
    case binary_op::multiply:
      return move([](float a, float b) { return a * b; });
    case binary_op::divide:
      return move([](float a, float b) { return a / b; });
    case binary_op::maximum:
      return move([](float a, float b) { return maximum(a, b); });
    case binary_op::minimum:
      return move([](float a, float b) { return minimum(a, b); });
    case binary_op::pow:
      if (s.bSize == 1 && s.b[0] == 2) return move([](float a, float) { return a * a; });
      return library([](double a, double b) { return power(a, b); });
    case binary_op::squaredDifference:
      return move([](float a, float b) {
        const double difference = static_cast<double>(a) - static_cast<double>(b);
        return static_cast<float>(difference * difference);
      });
    case binary_op::mod:
      return library([](double a, double b) { return modulo(a, b); });
    case binary_op::atan2:
      return library([](double a, double b) { return __builtin_atan2(a, b); });
    case binary_op::prelu:
      return move([](float a, float b) { return a < 0 ? b * a : a; });
    case binary_op::eluGradient:  // of deltas a and results b
      return move([](float a, float b) {
        return b >= 0 ? a : static_cast<float>(static_cast<double>(a) * (static_cast<double>(b) + 1));
      });
  }
}

static inline void floor_divide(const floor_divide_call& s) {
  combine(broadcastOf<float>(s), s.c, libraryCost, [](float a, float b) {
    return toInt32(__builtin_floor(static_cast<double>(a) / static_cast<double>(b)));
  });
}

static inline void compare(const compare_call& s) {
  const Broadcast shape = broadcastOf<float>(s);
  const auto test = [&](auto op) {
    combine(shape, s.c, moveCost, [op](float a, float b) -> uint8_t { return op(a, b); });
  };
  switch (s.op) {
    case compare_op::equal:
      return test([](float a, float b) { return a == b; });
    case compare_op::notEqual:
      return test([](float a, float b) { return a != b; });
    case compare_op::less:
      return test([](float a, float b) { return a < b; });
    case compare_op::lessEqual:
      return test([](float a, float b) { return a <= b; });
    case compare_op::greater:
      return test([](float a, float b) { return a > b; });
    case compare_op::greaterEqual:
      return test([](float a, float b) { return a >= b; });
  }
}

/** As && and || of JavaScript: one of the two. */
static inline void logical(const logical_call& s) {
  const Broadcast shape = broadcastOf<uint8_t>(s);
  if (s.op == logical_op::conjunction) {
    combine(shape, s.c, moveCost, [](uint8_t a, uint8_t b) { return a ? b : a; });
  } else {
    combine(shape, s.c, moveCost, [](uint8_t a, uint8_t b) { return a ? a : b; });
  }
}

}  // namespace engram::ENGRAM_ISA
