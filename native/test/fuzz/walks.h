// Walks through memory and reductions of it, from bytes.
#pragma once
#include <algorithm>
#include <utility>

#include "../../core/instruction_set.h"
#include "bytes.h"

namespace engram {

/** The elements start + sum of i[k] * steps[k] with 0 <= i[k] < counts[k], the last axis innermost. */
struct FuzzWalk {
  int64_t counts[6], steps[6], start = 0;

  int64_t size() const {
    int64_t product = 1;
    for (const int64_t count : counts) product *= count;
    return product;
  }
  int64_t at(int64_t index) const {
    int64_t place = start;
    for (int k = 5; k >= 0; --k) {
      place += index % counts[k] * steps[k];
      index /= counts[k];
    }
    return place;
  }
  /** Begins as far into a memory as negative steps need, and returns the size of the smallest one that holds it. */
  int64_t enclose() {
    int64_t lowest = 0, highest = 0;
    for (int k = 0; k < 6; ++k) (steps[k] < 0 ? lowest : highest) += (counts[k] - 1) * steps[k];
    start = -lowest;
    return size() == 0 ? 0 : highest - lowest + 1;
  }
};

inline void pickCounts(Bytes& bytes, int64_t (&counts)[6]) {
  for (int64_t& count : counts) count = bytes.pick(0, 5);
  if (bytes.flag()) counts[bytes.pick(4, 5)] = bytes.pick(1, 100);  // long enough for vectors and blocks
  for (int i = 0; i < 3; ++i) counts[bytes.pick(0, 5)] = 1;
}

inline void fuzzCopy(const InstructionSet& set, Bytes& bytes) {
  FuzzWalk from, to;
  pickCounts(bytes, from.counts);
  std::copy(from.counts, from.counts + 6, to.counts);
  for (int64_t& step : from.steps) step = bytes.pick(-20, 100);
  // Axes in any order, each beyond the ones before it: no place is written twice.
  int order[6] = {0, 1, 2, 3, 4, 5};
  for (int k = 0; k < 6; ++k) std::swap(order[k], order[bytes.pick(k, 5)]);
  int64_t reach = 1 + bytes.pick(0, 2);
  for (const int k : order) {
    to.steps[k] = bytes.flag() ? reach : -reach;
    reach = reach * std::max<int64_t>(1, to.counts[k]) + bytes.pick(0, 2);
  }
  if (to.size() == 0 || reach > 1 << 20) return;  // the next input then
  std::vector<uint32_t> source(static_cast<size_t>(from.enclose())), got(static_cast<size_t>(to.enclose()), 7);
  for (size_t i = 0; i < source.size(); ++i) source[i] = static_cast<uint32_t>(i * 2654435761u);
  std::vector<uint32_t> truth = got;
  for (int64_t i = 0; i < to.size(); ++i) truth[to.at(i)] = source[from.at(i)];
  const auto &n = from.counts, &f = from.steps, &t = to.steps;
  set.copy({n[0], n[1], n[2], n[3], n[4], n[5], f[0], f[1], f[2], f[3], f[4], f[5], t[0], t[1], t[2], t[3], t[4], t[5],
            from.start, to.start, static_cast<int64_t>(source.size()), static_cast<int64_t>(got.size()), source.data(),
            got.data()});
  check(got == truth, "copy");
}

inline void fuzzBroadcast(const InstructionSet& set, Bytes& bytes) {
  FuzzWalk a, b;
  pickCounts(bytes, a.counts);
  std::copy(a.counts, a.counts + 6, b.counts);
  for (FuzzWalk* operand : {&a, &b}) {
    const bool dense = bytes.flag();
    int64_t reach = 1;
    for (int k = 5; k >= 0; --k) {
      operand->steps[k] = dense ? reach : bytes.pick(0, 3);
      if (bytes.flag()) operand->steps[k] = 0;  // repeated along this axis
      reach *= a.counts[k];
    }
  }
  const Floats left = bytes.floats(a.enclose()), right = bytes.floats(b.enclose());
  Floats truth(static_cast<size_t>(a.size())), got = unwritten(truth);
  for (int64_t i = 0; i < a.size(); ++i) truth[i] = left[a.at(i)] * right[b.at(i)];
  const auto &n = a.counts, &f = a.steps, &t = b.steps;
  binary_call s{};
  s.op = binary_op::multiply;
  s.count0 = n[0], s.count1 = n[1], s.count2 = n[2], s.count3 = n[3], s.count4 = n[4], s.count5 = n[5];
  s.aStep0 = f[0], s.aStep1 = f[1], s.aStep2 = f[2], s.aStep3 = f[3], s.aStep4 = f[4], s.aStep5 = f[5];
  s.bStep0 = t[0], s.bStep1 = t[1], s.bStep2 = t[2], s.bStep3 = t[3], s.bStep4 = t[4], s.bStep5 = t[5];
  s.aSize = static_cast<int64_t>(left.size());
  s.bSize = static_cast<int64_t>(right.size());
  s.a = left.data();
  s.b = right.data();
  s.c = got.data();
  set.binary(s);
  checkEqual(got, truth, "binary multiply");
}

inline void fuzzReduce(const InstructionSet& set, Bytes& bytes) {
  int64_t n[7];  // kept and reduced in turn
  for (int64_t& count : n) count = bytes.pick(0, 4);
  if (bytes.flag()) n[bytes.pick(4, 6)] = bytes.pick(1, 150);
  for (int i = 0; i < 3; ++i) n[bytes.pick(0, 6)] = 1;
  const auto op = static_cast<reduce_op>(bytes.pick(0, 4));
  int64_t size = 1;
  for (const int64_t count : n) size *= count;
  const int64_t terms = n[1] * n[3] * n[5];
  const Floats x = bytes.floats(size);
  const double infinity = std::numeric_limits<double>::infinity();
  const bool extreme = op == reduce_op::maximum || op == reduce_op::minimum;
  const double start = op == reduce_op::maximum ? -infinity : op == reduce_op::minimum ? infinity
                                                : op == reduce_op::product ? 1 : 0;
  Doubles truth(static_cast<size_t>(n[0] * n[2] * n[4] * n[6]), extreme && terms == 0 ? nan("") : start);
  for (int64_t i = 0; i < size; ++i) {
    int64_t rest = i, o = 0, apart = 1;
    for (int k = 6; k >= 0; --k) {
      if (k % 2 == 0) o += rest % n[k] * apart, apart *= n[k];
      rest /= n[k];
    }
    const double value = x[i];
    double& sum = truth[o];
    if (op == reduce_op::sum || op == reduce_op::mean) sum += value;
    else if (op == reduce_op::product) sum *= value;
    else if (std::isnan(value) || (op == reduce_op::maximum ? value > sum : value < sum)) sum = value;
  }
  if (op == reduce_op::mean) {
    for (double& sum : truth) sum /= static_cast<double>(std::max<int64_t>(1, terms));  // of none it is 0, as in tfjs
  }
  Floats got = unwritten(truth);
  set.reduce({op, n[0], n[1], n[2], n[3], n[4], n[5], n[6], x.data(), got.data()});
  checkNear(got, truth, extreme ? 0 : tolerance(terms), "reduce");
}

}  // namespace engram
