// Elementwise operations on every instruction set of this machine: by hand, polynomials against the C library in double,
// broadcasts against plain loops.
#include <cstring>
#include <limits>

#include "../core/instruction_set.h"
#include "check.h"

using namespace engram;

namespace {

const float nan_ = std::numeric_limits<float>::quiet_NaN(), inf = std::numeric_limits<float>::infinity();

Floats unary(const InstructionSet& set, unary_op op, const Floats& x, double alpha = 0, double beta = 0) {
  Floats y(x.size(), nan_);
  set.unary({op, static_cast<int64_t>(x.size()), alpha, beta, x.data(), y.data()});
  return y;
}

/** Units in the last place of the truth, rounded to float, between it and the result. */
double ulps(float got, double truth) {
  const float rounded = static_cast<float>(truth);
  if (got == rounded || (std::isnan(got) && std::isnan(rounded))) return 0;
  if (!std::isfinite(got) || !std::isfinite(rounded)) return inf;
  return std::fabs(got - truth) / (std::nextafter(std::fabs(rounded), inf) - std::fabs(rounded));
}

/** Floats of all magnitudes and both signs, densest where functions bend, and the odd ones. */
Floats samples() {
  Floats x{0, -0.0f, inf, -inf, nan_, 1e-40f, -1e-40f, 88.72f, 88.73f, -87.4f, -103.9f, -104.1f, 1, -1, 3.4e38f};
  for (float value : randomFloats(60000)) {
    x.push_back(value);
    x.push_back(20 * value);
    x.push_back(110 * value);
    x.push_back(std::ldexp(value, static_cast<int>(140 * value)));
  }
  return x;
}

void testPolynomials(const InstructionSet& set) {
  struct Function {
    const char* name;
    unary_op op;
    double (*truth)(double);
  };
  const Function functions[] = {
      {"exp", unary_op::exp, [](double x) { return std::exp(x); }},
      {"log", unary_op::log, [](double x) { return std::log(x); }},
      {"sigmoid", unary_op::sigmoid, [](double x) { return 1 / (1 + std::exp(-x)); }},
      {"tanh", unary_op::tanh, [](double x) { return std::tanh(x); }},
      {"elu", unary_op::elu, [](double x) { return x >= 0 ? x : std::expm1(x); }},
      {"selu", unary_op::selu,
       [](double x) { return x >= 0 ? 1.0507009873554805 * x : 1.7580993408473769 * std::expm1(x); }},
      {"softplus", unary_op::softplus, [](double x) { return (x > 0 ? x : x - x) + std::log1p(std::exp(-std::fabs(x))); }},
      {"rsqrt", unary_op::rsqrt, [](double x) { return 1 / std::sqrt(x); }},
  };
  const Floats x = samples();
  for (const Function& f : functions) {
    const Floats y = unary(set, f.op, x);
    double worst = 0;
    float at = 0;
    for (size_t i = 0; i < x.size(); ++i) {
      double truth = f.truth(x[i]);
      if (f.op == unary_op::softplus && x[i] == -inf) truth = 0;
      if (f.op == unary_op::softplus && x[i] == inf) truth = inf;
      const double distance = ulps(y[i], truth);
      if (distance > worst) {
        worst = distance;
        at = x[i];
      }
    }
    check(worst <= 4, std::string(set.name) + " " + f.name + " is " + std::to_string(worst) + " ulp off at " +
                          std::to_string(at));
  }
  for (float zero : {0.0f, -0.0f}) {
    checkEqual(unary(set, unary_op::tanh, {zero}), {zero}, "tanh of a zero");
    checkEqual(unary(set, unary_op::elu, {zero}), {zero}, "elu of a zero");
  }
}

void testByHand(const InstructionSet& set) {
  const std::string name = set.name;
  const Floats odd{1.5f, -2.5f, -0.5f, -0.0f, nan_, inf, -inf, 7};
  checkEqual(unary(set, unary_op::relu, odd), {1.5f, 0, 0, 0, nan_, inf, 0, 7}, name + " relu");
  checkEqual(unary(set, unary_op::relu6, odd), {1.5f, 0, 0, 0, nan_, 6, 0, 6}, name + " relu6");
  checkEqual(unary(set, unary_op::step, odd, 0.25), {1, 0.25f, 0.25f, 0.25f, nan_, 1, 0.25f, 1}, name + " step");
  checkEqual(unary(set, unary_op::round, odd), {2, -2, 0, -0.0f, nan_, inf, -inf, 7}, name + " round");
  checkEqual(unary(set, unary_op::sign, odd), {1, -1, -1, 0, 0, 1, -1, 1}, name + " sign");
  checkEqual(unary(set, unary_op::clip, odd, -1, 2), {1.5f, -1, -0.5f, -0.0f, nan_, 2, -1, 2}, name + " clip");
  checkEqual(unary(set, unary_op::leakyrelu, odd, 0.5), {1.5f, -1.25f, -0.25f, -0.0f, nan_, inf, -inf, 7},
             name + " leakyrelu");

  uint8_t classes[8];
  set.classify({classify_op::finite, 8, odd.data(), classes});
  check(std::memcmp(classes, "\1\1\1\1\0\0\0\1", 8) == 0, name + " finite");
  set.classify({classify_op::infinite, 8, odd.data(), classes});
  check(std::memcmp(classes, "\0\0\0\0\0\1\1\0", 8) == 0, name + " infinite");
  set.classify({classify_op::nan, 8, odd.data(), classes});
  check(std::memcmp(classes, "\0\0\0\0\1\0\0\0", 8) == 0, name + " nan");

  const uint8_t condition[] = {1, 0};
  const Floats chosen{1, 2, 3, 4}, other{5, 6, 7, 8};
  Floats result(4, nan_);
  set.select({2, 2, condition, chosen.data(), other.data(), result.data()});
  checkEqual(result, {1, 2, 7, 8}, name + " select");
  set.accumulate({4, 1, chosen.data(), result.data()});
  set.accumulate({4, 0, other.data(), result.data()});
  checkEqual(result, {6, 8, 10, 12}, name + " accumulate");
  Floats values{-1, 2, -3, -4, -5, 6};
  const Floats slopes{2, 10};
  set.prelu_rows({3, 2, 1, slopes.data(), values.data()});
  checkEqual(values, {-2, 2, -6, -40, -10, 6}, name + " prelu_rows");
}

/** Sets the axes of a call of two operands. */
template <class Call>
void setWalks(Call& c, const int64_t (&counts)[6], const int64_t (&a)[6], const int64_t (&b)[6]) {
  c.count0 = counts[0], c.count1 = counts[1], c.count2 = counts[2];
  c.count3 = counts[3], c.count4 = counts[4], c.count5 = counts[5];
  c.aStep0 = a[0], c.aStep1 = a[1], c.aStep2 = a[2], c.aStep3 = a[3], c.aStep4 = a[4], c.aStep5 = a[5];
  c.bStep0 = b[0], c.bStep1 = b[1], c.bStep2 = b[2], c.bStep3 = b[3], c.bStep4 = b[4], c.bStep5 = b[5];
}

/** Subtraction, whose sides cannot be mixed up, by counts and by whether each operand has an axis or repeats. */
void testBroadcast(const InstructionSet& set, const int64_t (&counts)[6], int aAxes, int bAxes) {
  int64_t aSteps[6], bSteps[6], aSize = 1, bSize = 1, size = 1;
  for (int k = 5; k >= 0; --k) {
    aSteps[k] = aAxes >> k & 1 ? aSize : 0;
    bSteps[k] = bAxes >> k & 1 ? bSize : 0;
    if (aSteps[k]) aSize *= counts[k];
    if (bSteps[k]) bSize *= counts[k];
    size *= counts[k];
  }
  const Floats a = randomFloats(static_cast<size_t>(aSize)), b = randomFloats(static_cast<size_t>(bSize));
  Floats c(static_cast<size_t>(size), nan_), truth(c.size());
  for (int64_t i = 0; i < size; ++i) {
    int64_t rest = i, inA = 0, inB = 0;
    for (int k = 5; k >= 0; --k) {
      inA += rest % counts[k] * aSteps[k];
      inB += rest % counts[k] * bSteps[k];
      rest /= counts[k];
    }
    truth[static_cast<size_t>(i)] = a[static_cast<size_t>(inA)] - b[static_cast<size_t>(inB)];
  }
  binary_call s{};
  s.op = binary_op::sub;
  setWalks(s, counts, aSteps, bSteps);
  s.aSize = aSize;
  s.bSize = bSize;
  s.a = a.data();
  s.b = b.data();
  s.c = c.data();
  set.binary(s);
  checkEqual(c, truth, std::string(set.name) + " broadcast " + std::to_string(aAxes) + " " + std::to_string(bAxes));
}

void testBinaryByHand(const InstructionSet& set) {
  const Floats a{0, -0.0f, nan_, 1, -1, 2, -7.5f, 5}, b{-0.0f, 0, 1, inf, inf, 3, 2, nan_};
  Floats c(8);
  const auto run = [&](binary_op op, const Floats& truth, const char* what) {
    binary_call s{};
    s.op = op;
    setWalks(s, {1, 1, 1, 1, 1, 8}, {0, 0, 0, 0, 0, 1}, {0, 0, 0, 0, 0, 1});
    s.aSize = s.bSize = 8;
    s.a = a.data();
    s.b = b.data();
    s.c = c.data();
    set.binary(s);
    checkEqual(c, truth, std::string(set.name) + " " + what);
  };
  run(binary_op::maximum, {0, 0, nan_, inf, inf, 3, 2, nan_}, "maximum");
  run(binary_op::minimum, {-0.0f, -0.0f, nan_, 1, -1, 2, -7.5f, nan_}, "minimum");
  run(binary_op::pow, {1, 1, nan_, nan_, nan_, 8, 56.25f, nan_}, "pow");
  run(binary_op::mod, {nan_, nan_, nan_, 1, nan_, 2, 0.5f, nan_}, "mod");
  run(binary_op::squaredDifference, {0, 0, nan_, inf, inf, 1, 90.25f, nan_}, "squaredDifference");

  const Floats large{7, -7, 1e10f, nan_, inf, -1e30f}, divisors{2, 2, 1, 1, 1, 1};
  int32_t floors[6];
  floor_divide_call f{};
  setWalks(f, {1, 1, 1, 1, 1, 6}, {0, 0, 0, 0, 0, 1}, {0, 0, 0, 0, 0, 1});
  f.a = large.data();
  f.b = divisors.data();
  f.c = floors;
  set.floor_divide(f);
  const int32_t truth[] = {3, -4, 1410065408, 0, 0, 0};
  check(std::memcmp(floors, truth, sizeof floors) == 0, std::string(set.name) + " floor_divide");
}

}  // namespace

int main() {
  for (int i = 0; usableSets()[i]; ++i) {
    const InstructionSet& set = *usableSets()[i];
    testByHand(set);
    testBinaryByHand(set);
    testPolynomials(set);
    const int64_t shapes[][6] = {{2, 3, 2, 2, 3, 5}, {1, 1, 3, 5, 7, 70}, {1, 1, 1, 1, 700, 3}, {1, 1, 1, 1, 1, 70001}};
    for (const auto& counts : shapes) {
      for (int axes : {63, 32, 16, 48, 21, 42, 0, 31}) {
        testBroadcast(set, counts, 63, axes);
        testBroadcast(set, counts, axes, 63 - axes);
      }
    }
    std::printf("%s: %s\n", set.name, failures == 0 ? "passed" : "failed");
  }
  return failures == 0 ? 0 : 1;
}
