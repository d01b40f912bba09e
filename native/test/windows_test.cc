// Operations that slide windows over images and that resize them, on every instruction set of this machine: by hand,
// and depthwise convolutions against plain loops in double.
#include <limits>

#include "../core/instruction_set.h"
#include "../core/pool.h"
#include "check.h"
#include "meetings.h"

using namespace engram;

namespace {

const float nan_ = std::numeric_limits<float>::quiet_NaN(), inf = std::numeric_limits<float>::infinity();

struct Shape {
  int64_t samples, inHeight, inWidth, channels, multiplier, filterHeight, filterWidth, stride, dilation, pad;
};
const Shape shapes[] = {
    {2, 7, 9, 3, 1, 3, 3, 1, 1, 1},   {1, 12, 20, 35, 1, 3, 3, 1, 1, 1}, {2, 9, 9, 16, 2, 3, 2, 2, 1, 1},
    {1, 11, 10, 33, 3, 3, 3, 1, 2, 2}, {2, 5, 5, 8, 1, 2, 2, 3, 2, 0},   {1, 1, 1, 70, 1, 1, 1, 1, 1, 0},
    {3, 4, 40, 1, 1, 1, 5, 1, 1, 4},  {1, 3, 3, 20, 1, 5, 5, 1, 1, 4},   {0, 4, 4, 5, 2, 3, 3, 1, 1, 1},
    {2, 40, 41, 64, 1, 3, 3, 1, 1, 1}, {1, 50, 50, 40, 2, 3, 3, 2, 1, 0},
};

template <class Call>
void setGeometry(Call& c, const Shape& s) {
  setPlane(c, s.samples, padded(s.inHeight, s.filterHeight, s.stride, s.dilation, s.pad),
           padded(s.inWidth, s.filterWidth, s.stride, s.dilation, s.pad));
  c.inChannels = s.channels;
  c.multiplier = s.multiplier;
}

void testDepthwise(const InstructionSet& set, const Shape& shape, float oddWeight) {
  depthwise_conv2d_call s{};
  setGeometry(s, shape);
  const int64_t c = s.inChannels, lanes = c * s.multiplier, grid = s.samples * s.outHeight * s.outWidth;
  const Floats x = randomFloats(static_cast<size_t>(s.samples * s.inHeight * s.inWidth * c));
  Floats w = randomFloats(static_cast<size_t>(s.filterHeight * s.filterWidth * lanes));
  w[0] *= oddWeight;  // of the top left tap: absent from the first rows and columns
  const Floats bias = randomFloats(static_cast<size_t>(lanes)), delta = randomFloats(static_cast<size_t>(grid * lanes));
  std::vector<double> forward(static_cast<size_t>(grid * lanes)), backward(x.size());
  forMeetings(s, flat, s.samples, [&](int64_t pixel, int64_t o, int64_t tap) {
    for (int64_t q = 0; q < lanes; ++q) {
      const double weight = w[static_cast<size_t>(tap * lanes + q)];
      const size_t in = static_cast<size_t>(pixel * c + q / s.multiplier), out = static_cast<size_t>(o * lanes + q);
      forward[out] += x[in] * weight;
      backward[in] += delta[out] * weight;
    }
  });
  for (size_t i = 0; i < forward.size(); ++i) forward[i] = std::fmax(0, forward[i] + bias[i % bias.size()]);
  s.images = x.data();
  s.filter = w.data();
  s.bias = bias.data();
  s.biased = 1;
  s.activation = depthwise_conv2d_activation::relu;
  depthwise_conv2d_input_call t{};
  setGeometry(t, shape);
  t.deltas = delta.data();
  t.filter = w.data();
  for (const int threads : {1, 3}) {
    setThreadCount(threads);
    Floats results(forward.size(), nan_), gradient(backward.size(), nan_);
    s.results = results.data();
    set.depthwise_conv2d(s);
    checkNear(results, forward, 1e-4, std::string(set.name) + " depthwise_conv2d");
    t.gradient = gradient.data();
    set.depthwise_conv2d_input(t);
    checkNear(gradient, backward, 1e-4, std::string(set.name) + " depthwise_conv2d_input");
  }
}

/** Windows of three pixels over a row of four: 1 5 | 1 5 5 | 5 5 3 | 5 3. */
template <class Call>
Call rowOfFour() {
  Call s{};
  s.samples = s.inDepth = s.inHeight = s.outDepth = s.outHeight = s.filterDepth = s.filterHeight = s.channels = 1;
  s.inWidth = s.outWidth = 4;
  s.filterWidth = 3;
  s.strideDepth = s.strideHeight = s.strideWidth = s.dilationDepth = s.dilationHeight = s.dilationWidth = 1;
  s.padLeft = 1;
  return s;
}

void testPooling(const InstructionSet& set) {
  const std::string name = set.name;
  const Floats row{1, 5, 5, 3}, deltas{1, 10, 100, 1000};
  Floats results(4, nan_);
  auto most = rowOfFour<max_pool_call>();
  most.images = row.data();
  most.results = results.data();
  set.max_pool(most);
  checkEqual(results, {5, 5, 5, 5}, name + " max_pool");
  auto back = rowOfFour<max_pool_gradient_call>();
  back.images = row.data();
  back.deltas = deltas.data();
  back.gradient = results.data();
  set.max_pool_gradient(back);
  checkEqual(results, {0, 111, 1000, 0}, name + " max_pool_gradient to the first");
  back.tie = max_pool_gradient_tie::last;
  set.max_pool_gradient(back);
  checkEqual(results, {0, 1, 1110, 0}, name + " max_pool_gradient to the last");
  auto mean = rowOfFour<avg_pool_call>();
  mean.images = row.data();
  mean.results = results.data();
  set.avg_pool(mean);
  checkEqual(results, {3, 11 / 3.0f, 13 / 3.0f, 4}, name + " avg_pool counts no border");
  mean.padLeft = -1;
  mean.outWidth = 3;
  set.avg_pool(mean);
  checkEqual({results[0], results[1], results[2]}, {13 / 3.0f, 4, 3}, name + " avg_pool that starts late");
  mean.padLeft = 4;
  set.avg_pool(mean);
  checkEqual({results[0], results[1], results[2]}, {nan_, nan_, 1}, name + " avg_pool of nothing");
  mean.leastPixels = 1;
  set.avg_pool(mean);
  checkEqual({results[0], results[1], results[2]}, {0, 0, 1}, name + " avg_pool of nothing as zero");
  auto share = rowOfFour<avg_pool_gradient_call>();
  share.deltas = deltas.data();
  share.gradient = results.data();
  set.avg_pool_gradient(share);
  checkEqual(results, {11 / 3.0f, 37, 370, 1100 / 3.0f}, name + " avg_pool_gradient");
  share.strideWidth = 2;
  share.outWidth = 2;
  set.avg_pool_gradient(share);
  checkEqual(results, {1 / 3.0f, 11 / 3.0f, 10 / 3.0f, 10 / 3.0f}, name + " avg_pool_gradient by a stride");
}

void testResizing(const InstructionSet& set) {
  const std::string name = set.name;
  const Floats row{0, 10, 40}, deltas{1, 2, 3, 4, 5};
  Floats results(5, nan_), gradient(3, nan_);
  set.resize_bilinear({1, 1, 3, 1, 5, 1, 1, 0, row.data(), results.data()});
  checkEqual(results, {0, 5, 10, 25, 40}, name + " resize_bilinear, corners aligned");
  set.resize_bilinear({1, 1, 3, 1, 6, 1, 0, 1, row.data(), (results = Floats(6, nan_)).data()});
  checkEqual(results, {0, 2.5f, 7.5f, 17.5f, 32.5f, 40}, name + " resize_bilinear, half pixels");
  set.resize_bilinear_gradient({1, 1, 3, 1, 5, 1, 1, deltas.data(), gradient.data()});
  checkEqual(gradient, {2, 6, 7}, name + " resize_bilinear_gradient");
  set.resize_nearest({1, 1, 3, 1, 5, 1, 0, 0, row.data(), results.data()});
  checkEqual({results[0], results[1], results[2], results[3], results[4]}, {0, 0, 10, 10, 40}, name + " resize_nearest");
  set.resize_nearest({1, 1, 3, 1, 5, 1, 1, 0, row.data(), results.data()});
  checkEqual({results[0], results[1], results[2], results[3], results[4]}, {0, 10, 10, 40, 40},
             name + " resize_nearest, corners aligned");
  set.resize_nearest_gradient({1, 1, 3, 1, 5, 1, 0, deltas.data(), gradient.data()});
  checkEqual(gradient, {3, 7, 5}, name + " resize_nearest_gradient");
}

}  // namespace

int main() {
  for (int i = 0; usableSets()[i]; ++i) {
    const InstructionSet& set = *usableSets()[i];
    for (const Shape& shape : shapes) {
      testDepthwise(set, shape, 1);
      testDepthwise(set, shape, inf);
    }
    testPooling(set);
    testResizing(set);
  }
  std::printf(failures == 0 ? "passed\n" : "failed\n");
  return failures == 0 ? 0 : 1;
}
