// Matrix products, convolutions and their kernel of importance, from bytes.
#pragma once
#include <algorithm>

#include "../../core/instruction_set.h"
#include "bytes.h"

namespace engram {

constexpr int64_t mostWork = 1 << 20;  // products that an input is worth

inline double phiOf(int64_t phi, double g) { return phi == 0 ? std::fabs(g) : phi == 1 ? g * g : g; }

inline void fuzzMatmul(const InstructionSet& set, Bytes& bytes) {
  matmul_call s{};
  s.batch = bytes.pick(0, 3);
  s.batchA = bytes.pick(1, 3);
  s.batchB = bytes.pick(1, 3);
  s.rows = bytes.pick(0, 80);
  s.depth = bytes.pick(0, 80);
  s.columns = bytes.pick(0, 80);
  s.transposeA = bytes.flag();
  s.transposeB = bytes.flag();
  s.biased = bytes.flag();
  const Floats a = bytes.floats(s.batchA * s.rows * s.depth), b = bytes.floats(s.batchB * s.depth * s.columns);
  const Floats bias = bytes.floats(s.biased * s.columns);
  Doubles truth = zeros(s.batch * s.rows * s.columns);
  for (int64_t o = 0; o < static_cast<int64_t>(truth.size()); ++o) {
    const int64_t matrix = o / (s.rows * s.columns), i = o / s.columns % s.rows, j = o % s.columns;
    const float* left = a.data() + matrix % s.batchA * s.rows * s.depth;
    const float* right = b.data() + matrix % s.batchB * s.depth * s.columns;
    double sum = 0;
    for (int64_t k = 0; k < s.depth; ++k) {
      sum += static_cast<double>(left[s.transposeA ? k * s.rows + i : i * s.depth + k]) *
             static_cast<double>(right[s.transposeB ? j * s.depth + k : k * s.columns + j]);
    }
    truth[o] = sum + (s.biased ? bias[j] : 0);
  }
  Floats c = unwritten(truth);
  s.a = a.data();
  s.b = b.data();
  s.bias = bias.data();
  s.c = c.data();
  set.matmul(s);
  checkNear(c, truth, tolerance(s.depth), "matmul");
}

inline void fuzzConvolution(const InstructionSet& set, Bytes& bytes) {
  const int64_t samples = bytes.pick(0, 3), c = bytes.pick(0, 40), q = bytes.pick(0, 40);
  const Axis y = bytes.axis(0, 0), x = bytes.axis(0, 0);
  const int64_t in = samples * y.in * x.in, out = samples * y.out * x.out, taps = y.filter * x.filter;
  if (out * taps * c * q > mostWork) return;
  conv2d_call s{};
  setPlane(s, samples, y, x);
  s.inChannels = c;
  s.outChannels = q;
  s.biased = bytes.flag();
  if (bytes.flag()) s.activation = conv2d_activation::leakyrelu;
  s.alpha = 0.5;
  const Floats images = bytes.floats(in * c), filter = bytes.floats(taps * c * q), bias = bytes.floats(s.biased * q);
  const Floats deltas = bytes.floats(out * q);
  Doubles forward = zeros(out * q), backward = zeros(in * c);
  addConvolution(s, flat, samples, c, q, images, filter, deltas, &forward, &backward);
  for (size_t i = 0; i < forward.size(); ++i) {
    if (s.biased) forward[i] += bias[i % q];
    if (s.activation == conv2d_activation::leakyrelu && forward[i] < 0) forward[i] *= s.alpha;
  }
  Floats results = unwritten(forward), gradient = unwritten(backward);
  s.images = images.data();
  s.filter = filter.data();
  s.bias = bias.data();
  s.results = results.data();
  set.conv2d(s);
  checkNear(results, forward, tolerance(taps * c), "conv2d");
  if (y.stride == 0 || x.stride == 0) return;  // the edge refuses it
  conv2d_input_call t{};
  setPlane(t, samples, y, x);
  t.inChannels = c;
  t.outChannels = q;
  t.deltas = deltas.data();
  t.filter = filter.data();
  t.gradient = gradient.data();
  set.conv2d_input(t);
  // With large dilations or none, many windows meet a pixel by several taps.
  checkNear(gradient, backward, tolerance(out * taps * q), "conv2d_input");
}

/** Pads may be below zero, as tfjs' for volumes may. */
inline void fuzzVolumes(const InstructionSet& set, Bytes& bytes) {
  const int64_t samples = bytes.pick(0, 2), c = bytes.pick(0, 20), q = bytes.pick(0, 20);
  const Axis z = bytes.axis(0, -2), y = bytes.axis(0, -2), x = bytes.axis(0, -2);
  const int64_t in = samples * z.in * y.in * x.in, out = samples * z.out * y.out * x.out;
  const int64_t taps = z.filter * y.filter * x.filter;
  if (out * taps * std::max<int64_t>(1, c * q) > mostWork) return;
  conv3d_call s{};
  setPlane(s, samples, y, x);
  setDepth(s, z);
  s.inChannels = c;
  s.outChannels = q;
  const Floats volumes = bytes.floats(in * c), filter = bytes.floats(taps * c * q), deltas = bytes.floats(out * q);
  Doubles forward = zeros(out * q), backward = zeros(in * c);
  addConvolution(s, z, samples, c, q, volumes, filter, deltas, &forward, &backward);
  Floats results = unwritten(forward), gradient = unwritten(backward);
  s.volumes = volumes.data();
  s.filter = filter.data();
  s.results = results.data();
  set.conv3d(s);
  checkNear(results, forward, tolerance(taps * c), "conv3d");
  if (z.stride == 0 || y.stride == 0 || x.stride == 0) return;  // the edge refuses it
  conv3d_input_call t{};
  setPlane(t, samples, y, x);
  setDepth(t, z);
  t.inChannels = c;
  t.outChannels = q;
  t.deltas = deltas.data();
  t.filter = filter.data();
  t.gradient = gradient.data();
  set.conv3d_input(t);
  checkNear(gradient, backward, tolerance(out * taps * q), "conv3d_input");
}

inline void fuzzGradMoment(const InstructionSet& set, Bytes& bytes) {
  grad_moment_call s{};
  const int64_t samples = bytes.pick(0, 4), uses = bytes.pick(1, 2), c = bytes.pick(0, 40), q = bytes.pick(0, 40);
  const Axis z = bytes.flag() ? bytes.axis(0, 0) : flat, y = bytes.axis(0, 0), x = bytes.axis(0, 0);
  const int64_t grid = z.out * y.out * x.out, taps = z.filter * y.filter * x.filter, images = samples * uses;
  if (images * grid * taps * std::max<int64_t>(1, c * q) > mostWork) return;
  setPlane(s, samples, y, x);
  setDepth(s, z);
  s.uses = uses;
  s.inChannels = c;
  s.fanOut = q;
  s.phi = static_cast<grad_moment_phi>(bytes.pick(0, 2));
  const Floats activations = bytes.floats(images * z.in * y.in * x.in * c), deltas = bytes.floats(images * grid * q);
  Doubles g = zeros(samples * taps * c * q), truth(static_cast<size_t>(taps * c * q), 0.25);
  forMeetings(s, z, images, [&](int64_t pixel, int64_t o, int64_t tap) {
    const int64_t b = o / (grid * uses);
    for (int64_t i = 0; i < c; ++i) {
      for (int64_t j = 0; j < q; ++j) {
        g[((b * taps + tap) * c + i) * q + j] += static_cast<double>(activations[pixel * c + i]) * deltas[o * q + j];
      }
    }
  });
  for (size_t i = 0; i < g.size(); ++i) truth[i % truth.size()] += phiOf(static_cast<int64_t>(s.phi), g[i]);
  Floats moment = filled(taps * c * q, 0.25f);
  s.activations = activations.data();
  s.deltas = deltas.data();
  s.moment = moment.data();
  set.grad_moment(s);
  const double most = tolerance(images * grid);
  checkNear(moment, truth, s.phi == grad_moment_phi::square ? most * static_cast<double>(grid * uses + 1) : most,
            "grad_moment");
}

}  // namespace engram
