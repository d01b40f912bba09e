// Windows slid over images channel by channel, from bytes: depthwise convolutions and poolings.
#pragma once
#include <algorithm>

#include "../../core/instruction_set.h"
#include "bytes.h"

namespace engram {

inline void fuzzDepthwise(const InstructionSet& set, Bytes& bytes) {
  const int64_t samples = bytes.pick(0, 3), c = bytes.pick(0, 40), multiplier = bytes.pick(0, 3), lanes = c * multiplier;
  const Axis y = bytes.axis(0, 0), x = bytes.axis(0, 0);
  const int64_t in = samples * y.in * x.in, out = samples * y.out * x.out, taps = y.filter * x.filter;
  depthwise_conv2d_call s{};
  setPlane(s, samples, y, x);
  s.inChannels = c;
  s.multiplier = multiplier;
  const Floats images = bytes.floats(in * c), filter = bytes.floats(taps * lanes), deltas = bytes.floats(out * lanes);
  Doubles forward = zeros(out * lanes), backward = zeros(in * c), g = zeros(samples * taps * lanes);
  forMeetings(s, flat, samples, [&](int64_t pixel, int64_t o, int64_t tap) {
    for (int64_t l = 0; l < lanes; ++l) {
      const double value = images[pixel * c + l / multiplier], weight = filter[tap * lanes + l];
      const double delta = deltas[o * lanes + l];
      forward[o * lanes + l] += value * weight;
      backward[pixel * c + l / multiplier] += delta * weight;
      g[(o / (y.out * x.out) * taps + tap) * lanes + l] += value * delta;
    }
  });
  Floats results = unwritten(forward), gradient = unwritten(backward);
  s.images = images.data();
  s.filter = filter.data();
  s.results = results.data();
  set.depthwise_conv2d(s);
  checkNear(results, forward, tolerance(taps), "depthwise_conv2d");

  Doubles truth = zeros(taps * lanes);
  for (size_t i = 0; i < g.size(); ++i) truth[i % truth.size()] += std::fabs(g[i]);
  Floats moment = filled(taps * lanes, 0);
  grad_moment_depthwise_call m{};
  setPlane(m, samples, y, x);
  m.uses = 1;
  m.inChannels = c;
  m.multiplier = multiplier;
  m.activations = images.data();
  m.deltas = deltas.data();
  m.moment = moment.data();
  set.grad_moment_depthwise(m);
  checkNear(moment, truth, tolerance(out), "grad_moment_depthwise");

  if (y.stride == 0 || x.stride == 0) return;  // the edge refuses it
  depthwise_conv2d_input_call t{};
  setPlane(t, samples, y, x);
  t.inChannels = c;
  t.multiplier = multiplier;
  t.deltas = deltas.data();
  t.filter = filter.data();
  t.gradient = gradient.data();
  set.depthwise_conv2d_input(t);
  checkNear(gradient, backward, tolerance(out * taps * multiplier), "depthwise_conv2d_input");
}

/** Volumes for pooling, with one row of them: pads may be below zero. */
template <class Call>
Call pooling(int64_t samples, int64_t channels, const Axis& z, const Axis& y, const Axis& x) {
  Call s{};
  setPlane(s, samples, y, x);
  setDepth(s, z);
  s.channels = channels;
  return s;
}

inline void fuzzPooling(const InstructionSet& set, Bytes& bytes) {
  const int64_t samples = bytes.pick(0, 2), c = bytes.pick(0, 80);
  const bool deep = bytes.flag();
  const Axis z = deep ? bytes.axis(1, -2) : flat, y = bytes.axis(1, -2), x = bytes.axis(1, -2);
  const int64_t in = z.in * y.in * x.in, out = z.out * y.out * x.out, taps = z.filter * y.filter * x.filter;
  if (samples * out * taps * c > 1 << 20) return;
  auto most = pooling<max_pool_call>(samples, c, z, y, x);
  auto mean = pooling<avg_pool_call>(samples, c, z, y, x);
  auto spread = pooling<avg_pool_gradient_call>(samples, c, z, y, x);
  auto chosen = pooling<max_pool_gradient_call>(samples, c, z, y, x);
  mean.leastPixels = bytes.pick(0, 1);
  chosen.tie = bytes.flag() ? max_pool_gradient_tie::last : max_pool_gradient_tie::first;
  const bool last = chosen.tie == max_pool_gradient_tie::last;
  const Floats images = bytes.floats(samples * in * c), deltas = bytes.floats(samples * out * c);

  const size_t results = deltas.size();
  const double least = -std::numeric_limits<double>::infinity();
  Doubles maxima(results, least), means(results), toMost(images.size()), toAll(images.size());
  std::vector<int64_t> from(results, -1), pixels(results);
  forMeetings(most, z, samples, [&](int64_t pixel, int64_t o, int64_t) {
    for (int64_t i = 0; i < c; ++i) {
      const double value = images[pixel * c + i];
      const int64_t at = o * c + i;
      if (last ? value >= maxima[at] : value > maxima[at]) from[at] = pixel * c + i;
      if (value > maxima[at]) maxima[at] = value;
      means[at] += value;
      toAll[pixel * c + i] += deltas[at];
      ++pixels[at];
    }
  });
  for (size_t i = 0; i < results; ++i) {
    means[i] /= static_cast<double>(std::max(mean.leastPixels, pixels[i]));
    if (from[i] >= 0) toMost[from[i]] += deltas[i];
  }
  for (double& x : toAll) x *= 1 / static_cast<double>(taps);

  Floats got = unwritten(maxima);
  most.images = mean.images = chosen.images = images.data();
  most.results = got.data();
  set.max_pool(most);
  checkNear(got, maxima, 0, "max_pool");
  got = unwritten(means);
  mean.results = got.data();
  set.avg_pool(mean);
  checkNear(got, means, 1e-6, "avg_pool");
  Floats gradient = unwritten(images);
  chosen.deltas = spread.deltas = deltas.data();
  chosen.gradient = spread.gradient = gradient.data();
  set.max_pool_gradient(chosen);
  checkNear(gradient, toMost, tolerance(out * taps), "max_pool_gradient");
  gradient = unwritten(images);
  spread.gradient = gradient.data();
  set.avg_pool_gradient(spread);
  checkNear(gradient, toAll, tolerance(out), "avg_pool_gradient");
}

}  // namespace engram
