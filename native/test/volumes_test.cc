// Convolution of volumes on every instruction set of this machine, forwards and back to the volumes.
#include <limits>

#include "../core/instruction_set.h"
#include "../core/pool.h"
#include "check.h"

using namespace engram;

namespace {

/** Along one axis: pixels, taps, stride, dilation, padding in front (less than none passes over pixels), results. */
struct Along {
  int64_t in, filter, stride, dilation, pad, out;
};
struct Shape {
  int64_t samples, inChannels, outChannels;
  Along z, y, x;
};
const Shape shapes[] = {
    {1, 1, 1, {1, 1, 1, 1, 0, 1}, {1, 1, 1, 1, 0, 1}, {1, 1, 1, 1, 0, 1}},
    {2, 3, 5, {4, 3, 1, 1, 1, 4}, {5, 2, 1, 1, 0, 4}, {6, 3, 1, 1, 1, 6}},
    {2, 17, 33, {5, 2, 2, 1, 0, 2}, {7, 3, 3, 1, 1, 3}, {4, 1, 1, 1, 0, 4}},
    {1, 2, 16, {5, 1, 3, 1, -1, 2}, {5, 1, 3, 1, -1, 2}, {8, 2, 1, 3, 0, 5}},
    {3, 4, 4, {2, 3, 1, 1, 1, 2}, {2, 3, 1, 1, 1, 2}, {2, 3, 1, 1, 1, 2}},
};

template <class Call>
Call callOf(const Shape& s) {
  Call c{};
  c.samples = s.samples;
  c.inChannels = s.inChannels;
  c.outChannels = s.outChannels;
  const auto set = [](const Along& a, int64_t& in, int64_t& filter, int64_t& out, int64_t& stride, int64_t& dilation,
                      int64_t& pad) {
    in = a.in;
    filter = a.filter;
    out = a.out;
    stride = a.stride;
    dilation = a.dilation;
    pad = a.pad;
  };
  set(s.z, c.inDepth, c.filterDepth, c.outDepth, c.strideDepth, c.dilationDepth, c.padFront);
  set(s.y, c.inHeight, c.filterHeight, c.outHeight, c.strideHeight, c.dilationHeight, c.padTop);
  set(s.x, c.inWidth, c.filterWidth, c.outWidth, c.strideWidth, c.dilationWidth, c.padLeft);
  return c;
}

/** Calls body(pixel, tap) for the taps of window `o` along an axis that lie inside. */
template <class Body>
void forTaps(const Along& a, int64_t o, Body body) {
  for (int64_t tap = 0; tap < a.filter; ++tap) {
    const int64_t pixel = o * a.stride + tap * a.dilation - a.pad;
    if (pixel >= 0 && pixel < a.in) body(pixel, tap);
  }
}

void testVolumes(const InstructionSet& set, const Shape& s, float oddWeight) {
  const int64_t in = s.z.in * s.y.in * s.x.in, out = s.z.out * s.y.out * s.x.out;
  const int64_t taps = s.z.filter * s.y.filter * s.x.filter, c = s.inChannels, q = s.outChannels;
  const Floats volumes = randomFloats(s.samples * in * c), deltas = randomFloats(s.samples * out * q);
  Floats filter = randomFloats(taps * c * q);
  filter[0] *= oddWeight;
  std::vector<double> forward(deltas.size()), backward(volumes.size());
  for (int64_t o = 0; o < s.samples * out; ++o) {
    const int64_t b = o / out, oz = o % out / (s.y.out * s.x.out), oy = o % (s.y.out * s.x.out) / s.x.out;
    forTaps(s.z, oz, [&](int64_t z, int64_t tapZ) {
      forTaps(s.y, oy, [&](int64_t y, int64_t tapY) {
        forTaps(s.x, o % s.x.out, [&](int64_t x, int64_t tapX) {
          const int64_t pixel = ((b * s.z.in + z) * s.y.in + y) * s.x.in + x;
          const int64_t tap = (tapZ * s.y.filter + tapY) * s.x.filter + tapX;
          for (int64_t i = 0; i < c; ++i) {
            for (int64_t j = 0; j < q; ++j) {
              const double weight = filter[(tap * c + i) * q + j];
              forward[o * q + j] += volumes[pixel * c + i] * weight;
              backward[pixel * c + i] += deltas[o * q + j] * weight;
            }
          }
        });
      });
    });
  }
  const Floats unwritten(1, std::numeric_limits<float>::quiet_NaN());
  for (int threads : {1, 3}) {
    setThreadCount(threads);
    const std::string on = " on " + std::to_string(threads) + " threads";
    Floats results(forward.size(), unwritten[0]), gradient(backward.size(), unwritten[0]);
    auto convolution = callOf<conv3d_call>(s);
    convolution.volumes = volumes.data();
    convolution.filter = filter.data();
    convolution.results = results.data();
    set.conv3d(convolution);
    checkNear(results, forward, 1e-4, set.name + (" conv3d" + on));
    auto input = callOf<conv3d_input_call>(s);
    input.deltas = deltas.data();
    input.filter = filter.data();
    input.gradient = gradient.data();
    set.conv3d_input(input);
    checkNear(gradient, backward, 1e-4, set.name + (" conv3d_input" + on));
  }
}

}  // namespace

int main() {
  for (int i = 0; usableSets()[i]; ++i) {
    const InstructionSet& set = *usableSets()[i];
    const int before = failures;
    for (const Shape& shape : shapes) {
      testVolumes(set, shape, 1);
      testVolumes(set, shape, std::numeric_limits<float>::infinity());
    }
    std::printf("%s: %s\n", set.name, failures == before ? "passed" : "failed");
  }
  return failures == 0 ? 0 : 1;
}
