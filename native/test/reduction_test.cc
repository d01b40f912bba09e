// Reductions, softmax and batch normalisation on every instruction set of this machine: against plain loops in double, by
// hand where values are odd, and the same bits for any number of threads.
#include <cstring>
#include <limits>

#include "../core/instruction_set.h"
#include "../core/pool.h"
#include "check.h"

using namespace engram;

namespace {

const float nan_ = std::numeric_limits<float>::quiet_NaN(), inf = std::numeric_limits<float>::infinity();

/** Counts of a layout, outermost first: kept and reduced in turn. */
using Counts = int64_t[7];

Floats reduce(const InstructionSet& set, reduce_op op, const Counts& n, const Floats& x) {
  Floats y(static_cast<size_t>(n[0] * n[2] * n[4] * n[6]), 123);
  set.reduce({op, n[0], n[1], n[2], n[3], n[4], n[5], n[6], x.data(), y.data()});
  return y;
}

void testReduce(const InstructionSet& set, const Counts& n) {
  int64_t size = 1, count = n[1] * n[3] * n[5];
  for (int64_t length : n) size *= length;
  const Floats x = randomFloats(static_cast<size_t>(size));
  const size_t results = static_cast<size_t>(n[0] * n[2] * n[4] * n[6]);
  std::vector<double> sums(results), products(results, 1), largest(results, -inf), smallest(results, inf);
  for (int64_t i = 0; i < size; ++i) {
    int64_t rest = i, to = 0, step = 1;
    for (int k = 6; k >= 0; --k) {
      if (k % 2 == 0) {
        to += rest % n[k] * step;
        step *= n[k];
      }
      rest /= n[k];
    }
    const double value = x[static_cast<size_t>(i)];
    const size_t t = static_cast<size_t>(to);
    sums[t] += value;
    products[t] *= value;
    largest[t] = std::fmax(largest[t], value);
    smallest[t] = std::fmin(smallest[t], value);
  }
  if (count == 0) largest.assign(results, nan_), smallest.assign(results, nan_);
  std::vector<double> means = sums;
  for (double& mean : means) mean /= count ? static_cast<double>(count) : 1;
  std::string name = set.name;
  for (int64_t length : n) name += " " + std::to_string(length);
  for (int threads : {1, 3}) {
    setThreadCount(threads);
    const Floats sum = reduce(set, reduce_op::sum, n, x);
    checkNear(sum, sums, 6e-8 * std::sqrt(static_cast<double>(count + 1)) * 2, name + " sum");
    checkNear(reduce(set, reduce_op::mean, n, x), means, 1e-7, name + " mean");
    checkNear(reduce(set, reduce_op::product, n, x), products, 1e-7, name + " product");
    checkNear(reduce(set, reduce_op::maximum, n, x), largest, 0, name + " maximum");
    checkNear(reduce(set, reduce_op::minimum, n, x), smallest, 0, name + " minimum");
    setThreadCount(1);
    checkEqual(reduce(set, reduce_op::sum, n, x), sum, name + " sum on other threads");
  }
}

void testByHand(const InstructionSet& set) {
  const std::string name = set.name;
  Floats zeros(200, -1);
  zeros[150] = -0.0f;
  zeros[151] = 0;
  checkEqual(reduce(set, reduce_op::maximum, {1, 1, 1, 1, 1, 200, 1}, zeros), {-0.0f}, name + " the first zero");
  zeros[70] = nan_;
  checkEqual(reduce(set, reduce_op::maximum, {1, 1, 1, 1, 1, 200, 1}, zeros), {nan_}, name + " NaN among others");
  checkEqual(reduce(set, reduce_op::minimum, {1, 1, 1, 1, 1, 100, 2}, zeros), {nan_, -1}, name + " NaN in a column");

  const Floats x{3, nan_, 1, 7, 7, 2, nan_, 9, 9};
  int32_t y[3];
  set.arg_reduce({arg_reduce_op::maximum, 3, 3, 1, x.data(), y});
  check(y[0] == 0 && y[1] == 0 && y[2] == 0, name + " arg_reduce along rows");
  set.arg_reduce({arg_reduce_op::minimum, 1, 3, 3, x.data(), y});
  check(y[0] == 0 && y[1] == 0 && y[2] == 0, name + " arg_reduce NaN first, down columns");
  set.arg_reduce({arg_reduce_op::maximum, 1, 3, 3, x.data(), y});
  check(y[0] == 1 && y[1] == 0 && y[2] == 2, name + " arg_reduce down columns");
  Floats row = randomFloats(1000);
  row[777] = row[778] = 5;
  row[3] = nan_;
  set.arg_reduce({arg_reduce_op::maximum, 1, 1000, 1, row.data(), y});
  check(y[0] == 777, name + " arg_reduce of a long row");

  const uint8_t bytes[] = {1, 0, 1, 1};
  uint8_t decided[2];
  set.reduce_booleans({reduce_booleans_op::all, 1, 1, 1, 1, 2, 2, 1, bytes, decided});
  check(decided[0] == 0 && decided[1] == 1, name + " all");
  set.reduce_booleans({reduce_booleans_op::any, 1, 1, 1, 1, 1, 2, 2, bytes, decided});
  check(decided[0] == 1 && decided[1] == 1, name + " any");
}

void testSoftmax(const InstructionSet& set, int64_t rows, int64_t columns) {
  Floats x = randomFloats(static_cast<size_t>(rows * columns)), y(x.size(), nan_);
  for (float& value : x) value *= 30;
  std::vector<double> truth(x.size());
  for (int64_t row = 0; row < rows; ++row) {
    double sum = 0, most = -inf;
    for (int64_t j = 0; j < columns; ++j) most = std::fmax(most, x[static_cast<size_t>(row * columns + j)]);
    for (int64_t j = 0; j < columns; ++j) sum += std::exp(x[static_cast<size_t>(row * columns + j)] - most);
    for (int64_t j = 0; j < columns; ++j) {
      const size_t i = static_cast<size_t>(row * columns + j);
      truth[i] = std::exp(x[i] - most) / sum;
    }
  }
  set.softmax({rows, columns, x.data(), y.data()});
  checkNear(y, truth, 3e-7, std::string(set.name) + " softmax");
}

/** Operands of any lengths, each repeated by itself. */
void testBatchNorm(const InstructionSet& set, int64_t size, const int64_t (&sizes)[4]) {
  const auto cut = [](int64_t length) { return randomFloats(static_cast<size_t>(length)); };
  const Floats x = cut(size), mean = cut(sizes[0]), scale = cut(sizes[2]), offset = cut(sizes[3]);
  Floats variance = cut(sizes[1]), y(x.size(), nan_);
  for (float& value : variance) value = std::fabs(value) + 0.1f;
  std::vector<double> truth(x.size());
  for (size_t i = 0; i < x.size(); ++i) {
    const double centred = double(x[i]) - mean[i % mean.size()];
    truth[i] = offset[i % offset.size()] +
               centred * scale[i % scale.size()] / std::sqrt(double(variance[i % variance.size()]) + 0.001);
  }
  set.batch_norm({size, sizes[0], sizes[1], sizes[2], sizes[3], 0.001, x.data(), mean.data(), variance.data(),
                  scale.data(), offset.data(), y.data()});
  checkNear(y, truth, 1e-6, std::string(set.name) + " batch_norm of " + std::to_string(size));
}

}  // namespace

int main() {
  const Counts layouts[] = {{1, 1, 1, 1, 1, 7, 1},   {1, 1, 1, 1, 5, 300, 1},     {1, 1, 1, 1, 1, 300, 5},
                            {2, 3, 2, 3, 2, 3, 2},   {1, 1, 1, 1, 1, 200000, 3},  {1, 1, 1, 1, 1, 1, 700},
                            {1, 1, 1, 40, 3, 50, 70}, {1, 1, 1, 1, 1, 1000000, 1}, {1, 1, 1, 1, 3000, 4, 1},
                            {1, 1, 1, 1, 1, 1500, 700}, {1, 1, 1, 1, 4, 0, 3},     {1, 1, 1, 1, 0, 4, 3}};
  for (int i = 0; usableSets()[i]; ++i) {
    const InstructionSet& set = *usableSets()[i];
    testByHand(set);
    for (const Counts& layout : layouts) testReduce(set, layout);
    testSoftmax(set, 300, 7);
    testSoftmax(set, 5, 700);
    testSoftmax(set, 2, 10000);
    testSoftmax(set, 3, 1);
    testBatchNorm(set, 7 * 100, {7, 7, 7, 7});
    testBatchNorm(set, 7 * 100, {7, 1, 1, 7});
    testBatchNorm(set, 1500 * 60, {1500, 1500, 1, 1500});
    testBatchNorm(set, 1001, {3, 4, 5, 2});
    testBatchNorm(set, 10, {7, 7, 7, 7});
    testBatchNorm(set, 5, {30, 30, 30, 30});
    testBatchNorm(set, 0, {3, 3, 3, 3});
    std::printf("%s: %s\n", set.name, failures == 0 ? "passed" : "failed");
  }
  return failures == 0 ? 0 : 1;
}
