// What the tests share: numbers that repeat, comparison, and a count of what failed.
#pragma once
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <string>
#include <vector>

using Floats = std::vector<float>;

inline int failures = 0;

/** Uniform in [-1, 1), the same in every run. */
inline Floats randomFloats(size_t size) {
  static uint32_t state = 1;
  Floats values(size);
  for (float& x : values) {
    state = state * 1664525u + 1013904223u;
    x = static_cast<float>(static_cast<int32_t>(state) >> 8) / 8388608.0f;
  }
  return values;
}

inline void check(bool passed, const std::string& what) {
  if (passed) return;
  ++failures;
  std::printf("FAILED: %s\n", what.c_str());
}

/** Each element within `tolerance` of the truth; NaN matches NaN, and infinity itself. */
inline void checkNear(const Floats& got, const std::vector<double>& truth, double tolerance, const std::string& what) {
  for (size_t i = 0; i < truth.size(); ++i) {
    const bool same = std::isfinite(truth[i]) ? std::fabs(got[i] - truth[i]) <= tolerance
                                              : std::isnan(truth[i]) ? std::isnan(got[i]) : got[i] == truth[i];
    if (same) continue;
    check(false, what + " [" + std::to_string(i) + "]: " + std::to_string(got[i]) + ", not " + std::to_string(truth[i]));
    return;
  }
}

inline void checkEqual(const Floats& got, const Floats& truth, const std::string& what) {
  for (size_t i = 0; i < truth.size(); ++i) {
    const bool same = got[i] == truth[i] && std::signbit(got[i]) == std::signbit(truth[i]);
    if (same || (std::isnan(got[i]) && std::isnan(truth[i]))) continue;
    check(false, what + " [" + std::to_string(i) + "]: " + std::to_string(got[i]) + ", not " + std::to_string(truth[i]));
    return;
  }
}
