// Turns bytes into the sizes, steps and values of a call. No more bytes means the smallest of everything.
#pragma once
#include <limits>

#include "../check.h"
#include "../meetings.h"

/** On the heap, of exactly this size. As at the edge, an empty array has an address, too. */
inline Floats filled(int64_t size, float value) {
  Floats values;
  values.reserve(static_cast<size_t>(size > 0 ? size : 1));
  values.resize(static_cast<size_t>(size), value);
  return values;
}

/** Memory as the backend gives it out again: every element has to be written. */
template <class Values>
Floats unwritten(const Values& like) {
  return filled(static_cast<int64_t>(like.size()), std::numeric_limits<float>::quiet_NaN());
}

class Bytes {
 public:
  Bytes(const uint8_t* data, size_t size) : data_(data), left_(size) {}

  int64_t pick(int64_t low, int64_t high) { return low + next() % (high - low + 1); }
  bool flag() { return pick(0, 1) == 1; }

  /** Mostly `low` to `high`; now and then so large that places in memory would need more than 64 bits. */
  int64_t pickFar(int64_t low, int64_t high) {
    const int64_t far[] = {65536, 4294967294, 4294967295};
    const int64_t byte = next();
    return byte >= 253 ? far[byte - 253] : low + byte % (high - low + 1);
  }

  /** A window whose results need not fit its image: calls may ask for any number of them. */
  Axis axis(int64_t leastStride, int64_t leastPad) {
    Axis axis;
    axis.in = pick(0, 11);
    axis.filter = pick(0, 4);
    axis.out = pick(0, 8);
    axis.stride = pickFar(leastStride, 3);
    axis.dilation = pickFar(0, 3);
    axis.pad = pickFar(leastPad, 5);
    return axis;
  }

  /** Values in [-1, 1); one of them may be NaN, infinite or -0. */
  Floats floats(int64_t size) {
    uint32_t state = static_cast<uint32_t>(next()) + 1;
    Floats values = filled(size, 0);
    for (float& x : values) {
      state = state * 1664525u + 1013904223u;
      x = static_cast<float>(static_cast<int32_t>(state) >> 8) / 8388608.0f;
    }
    const float odd[] = {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity(), -0.0f};
    const int64_t kind = pick(0, 15);
    if (kind < 3 && size > 0) values[(next() * 256 + next()) % values.size()] = odd[kind];
    return values;
  }

 private:
  uint8_t next() {
    if (left_ == 0) return 0;
    --left_;
    return *data_++;
  }

  const uint8_t* data_;
  size_t left_;
};

using Doubles = std::vector<double>;
inline Doubles zeros(int64_t size) { return Doubles(static_cast<size_t>(size)); }

/** Sums of `terms` products of values below 1. */
inline double tolerance(int64_t terms) { return 1e-6 * static_cast<double>(terms + 1); }
