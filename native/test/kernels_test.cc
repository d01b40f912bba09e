// Every kernel on every instruction set of this machine: by hand, against plain loops in double, and the same bits for
// any number of threads. Needs no Node, so that sanitizers see nothing but our code.
#include <limits>

#include "../core/instruction_set.h"
#include "../core/pool.h"
#include "check.h"
#include "meetings.h"

using namespace engram;

namespace {

const float nan_ = std::numeric_limits<float>::quiet_NaN(), inf = std::numeric_limits<float>::infinity();

double phiOf(int phi, double g) { return phi == 0 ? std::fabs(g) : phi == 1 ? g * g : g; }

struct Shape {
  int64_t samples, uses, inHeight, inWidth, inChannels, filterHeight, filterWidth, outChannels, stride, dilation, pad;
};

/** The depth axes that a 2-D shape is given for a 3-D convolution. */
const Axis depths[] = {
    {4, 3, 4, 1, 1, 1},  // same
    {5, 2, 3, 2, 1, 0},  // strides
    {6, 3, 2, 1, 2, 0},  // dilation
    {1, 2, 7, 1, 1, 4},  // padding larger than the image
    {2, 1, 2, 1, 1, 0},  // planes one by one
    {2, 2, 3, 4294967295, 4294967295, 4294967294},  // places in memory that 64 bits do not hold
};

const Shape shapes[] = {
    {3, 1, 7, 9, 3, 3, 3, 5, 1, 1, 0},   {2, 2, 10, 7, 5, 2, 3, 17, 1, 2, 1}, {2, 1, 9, 9, 16, 3, 3, 33, 2, 1, 1},
    {5, 3, 1, 1, 65, 1, 1, 63, 1, 1, 0}, {2, 1, 1, 300, 7, 1, 1, 9, 1, 1, 0}, {40, 1, 6, 6, 1, 5, 5, 8, 3, 1, 2},
    {4, 1, 1, 1, 70, 1, 1, 40, 1, 1, 0}, {1, 1, 20, 20, 2, 3, 3, 4, 1, 1, 0}, {2, 1, 5, 5, 3, 2, 2, 4, 3, 2, 0},
    {2, 1, 18, 15, 130, 3, 3, 6, 1, 1, 1}, {1, 1, 12, 11, 12, 5, 5, 2, 1, 1, 4},
    {1, 1, 14, 20, 64, 3, 3, 4, 1, 1, 1},  // planes in two parts
    {2, 1, 60, 50, 3, 7, 5, 20, 2, 1, 2},  // patches in two parts
};

template <class Call>
void setGeometry(Call& c, const Shape& s) {
  setPlane(c, s.samples, padded(s.inHeight, s.filterHeight, s.stride, s.dilation, s.pad),
           padded(s.inWidth, s.filterWidth, s.stride, s.dilation, s.pad));
  c.inChannels = s.inChannels;
}

void testGradMoment(const InstructionSet& set, const Shape& shape, const Axis& depth, int phi, float oddDelta) {
  grad_moment_call s{};
  setGeometry(s, shape);
  s.inDepth = depth.in;
  s.filterDepth = depth.filter;
  s.outDepth = depth.out;
  s.strideDepth = depth.stride;
  s.dilationDepth = depth.dilation;
  s.padFront = depth.pad;
  s.phi = static_cast<grad_moment_phi>(phi);
  s.uses = shape.uses;
  s.fanOut = shape.outChannels;
  const int64_t images = s.samples * s.uses, c = s.inChannels, q = s.fanOut;
  const int64_t taps = s.filterDepth * s.filterHeight * s.filterWidth, grid = s.outDepth * s.outHeight * s.outWidth;
  const Floats a = randomFloats(static_cast<size_t>(images * s.inDepth * s.inHeight * s.inWidth * c));
  Floats d = randomFloats(static_cast<size_t>(images * grid * q));
  d[0] *= oddDelta;
  std::vector<double> g(static_cast<size_t>(s.samples * taps * c * q)), truth(static_cast<size_t>(taps * c * q), 0.25);
  forMeetings(s, depth, images, [&](int64_t pixel, int64_t o, int64_t tap) {
    const int64_t b = o / (grid * s.uses);
    for (int64_t i = 0; i < c; ++i) {
      for (int64_t j = 0; j < q; ++j) g[((b * taps + tap) * c + i) * q + j] += double(a[pixel * c + i]) * d[o * q + j];
    }
  });
  for (size_t i = 0; i < g.size(); ++i) truth[i % truth.size()] += phiOf(phi, g[i]);
  Floats moment(truth.size(), 0.25f), again = moment;
  s.activations = a.data();
  s.deltas = d.data();
  s.moment = moment.data();
  setThreadCount(1);
  set.grad_moment(s);
  const std::string name = std::string(set.name) + " grad_moment phi " + std::to_string(phi) + ", depth " +
                           std::to_string(s.inDepth) + " to " + std::to_string(s.outDepth);
  const double terms = static_cast<double>(s.uses * grid);
  checkNear(moment, truth, phi == 1 ? 1e-3 + 1e-5 * terms : 1e-4 + 1e-6 * terms, name);
  s.moment = again.data();
  setThreadCount(3);
  set.grad_moment(s);
  checkEqual(again, moment, name + ", the same on three threads");
}

void testConvolutions(const InstructionSet& set, const Shape& shape, float oddWeight) {
  conv2d_call s{};
  setGeometry(s, shape);
  s.outChannels = shape.outChannels;
  s.biased = 1;
  s.activation = conv2d_activation::leakyrelu;
  s.alpha = 0.5;
  const int64_t c = s.inChannels, q = s.outChannels, grid = s.samples * s.outHeight * s.outWidth;
  const Floats x = randomFloats(static_cast<size_t>(s.samples * s.inHeight * s.inWidth * c)), bias = randomFloats(q);
  Floats w = randomFloats(static_cast<size_t>(s.filterHeight * s.filterWidth * c * q));
  w[0] *= oddWeight;
  const Floats delta = randomFloats(static_cast<size_t>(grid * q));
  std::vector<double> forward(static_cast<size_t>(grid * q)), backward(x.size());
  addConvolution(s, flat, s.samples, c, q, x, w, delta, &forward, &backward);
  for (size_t i = 0; i < forward.size(); ++i) {
    forward[i] += bias[i % q];
    if (forward[i] < 0) forward[i] *= 0.5;
  }
  Floats results(forward.size(), nan_), gradient(backward.size(), nan_);
  s.images = x.data();
  s.filter = w.data();
  s.bias = bias.data();
  s.results = results.data();
  set.conv2d(s);
  checkNear(results, forward, 1e-4, std::string(set.name) + " conv2d");
  conv2d_input_call t{};
  setGeometry(t, shape);
  t.outChannels = q;
  t.deltas = delta.data();
  t.filter = w.data();
  t.gradient = gradient.data();
  set.conv2d_input(t);
  checkNear(gradient, backward, 1e-4, std::string(set.name) + " conv2d_input");
}

void testMatmul(const InstructionSet& set, int64_t rows, int64_t depth, int64_t columns, bool ta, bool tb) {
  const int64_t batch = 2;
  const Floats a = randomFloats(static_cast<size_t>(batch * rows * depth)), b = randomFloats(depth * columns);
  std::vector<double> truth(static_cast<size_t>(batch * rows * columns));
  for (int64_t i = 0; i < batch * rows; ++i) {
    for (int64_t j = 0; j < columns; ++j) {
      double sum = 0;
      for (int64_t k = 0; k < depth; ++k) {
        sum += double(a[ta ? (i / rows * depth + k) * rows + i % rows : i * depth + k]) *
               b[tb ? j * depth + k : k * columns + j];
      }
      truth[i * columns + j] = sum < 0 ? 0 : sum;
    }
  }
  Floats c(truth.size(), nan_);
  set.matmul({matmul_activation::relu, batch, batch, 1, rows, depth, columns, ta, tb, 0, 0, a.data(), b.data(), nullptr,
              c.data()});
  checkNear(c, truth, 1e-3, std::string(set.name) + " matmul");
}

/** Small cases whose results anyone can work out. */
void testByHand(const InstructionSet& set) {
  const std::string name = set.name;
  const Floats a{1, -2}, d{3, -4, 5};
  Floats m(6, 1);
  set.grad_moment_dense({grad_moment_dense_phi::abs, 1, 2, 3, a.data(), d.data(), m.data()});
  checkEqual(m, {4, 5, 6, 7, 9, 11}, name + " grad_moment_dense by hand");
  Floats huge(1, 0);
  const Floats large{1e38f}, small{1e-38f};
  set.grad_moment_dense({grad_moment_dense_phi::square, 1, 1, 1, large.data(), small.data(), huge.data()});
  check(std::fabs(huge[0] - 1) < 1e-6, name + " grad_moment_dense: (1e38 * 1e-38)² is 1");

  const Floats deltas{1, 2, -3, 4, 5, 6, 7, -8};  // 2 samples x 2 positions x 2 channels
  Floats sums(2, 0);
  set.grad_moment_sum({grad_moment_sum_phi::abs, 2, 2, 2, 0, nullptr, deltas.data(), sums.data()});
  checkEqual(sums, {14, 8}, name + " grad_moment_sum by hand");

  // Three planes of one pixel, a filter of two planes, one absent plane before: d0 meets (-, 1), d1 (1, -2), d2 (-2, 3).
  const Floats planes{1, -2, 3}, depthDeltas{1, 10, 100};
  Floats through(2, 1);
  set.grad_moment({grad_moment_phi::abs, 1, 1, 3, 1, 1, 1, 2, 1, 1, 3, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, planes.data(),
                   depthDeltas.data(), through.data()});
  checkEqual(through, {191, 282}, name + " grad_moment by hand, along the depth");

  // A row of three pixels, a filter of two taps, two filters for the one channel.
  const Floats pixels{1, -2, 3}, pairs{1, 10, 2, 20};
  Floats filters(4, 1);
  set.grad_moment_depthwise({grad_moment_depthwise_phi::abs, 1, 1, 1, 3, 1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 0, 0, pixels.data(),
                             pairs.data(), filters.data()});
  checkEqual(filters, {4, 31, 5, 41}, name + " grad_moment_depthwise by hand");

  const int32_t ids[] = {1, 0, 1, 9, -1, 1};  // 2 samples x 3 positions; 9 and -1 are no rows
  const Floats steps{1, 2, -3, 50, 60, -4};
  Floats rows(3, 1);
  set.grad_moment_gather({grad_moment_gather_phi::abs, 2, 3, 3, 1, ids, steps.data(), rows.data()});
  checkEqual(rows, {3, 7, 1}, name + " grad_moment_gather by hand");

  const Floats outputs{3, 4, nan_, 1};
  Floats norms(2), seed(4);
  set.output_norm({2, 2, outputs.data(), norms.data(), seed.data()});
  checkEqual(norms, {25, nan_}, name + " output_norm by hand");
  checkEqual(seed, {6, 8, nan_, 2}, name + " output_norm's seed");

  const Floats odd{nan_, 1, -inf, inf, 1e38f};
  uint32_t count = 2;
  set.count_nonfinite({5, odd.data(), &count});
  check(count == 5, name + " count_nonfinite adds to the count");

  Floats batch{1, 0.5f}, hi{16777216, 1}, lo{0, 0};
  set.fold({2, batch.data(), hi.data(), lo.data()});
  checkEqual(hi, {16777216, 1.5f}, name + " fold: the sum rounds");
  checkEqual(lo, {1, 0}, name + " fold: what rounding lost is kept");
  checkEqual(batch, {0, 0}, name + " fold clears the batch");

  const Floats stored{1, nan_, -0.0f, 2}, incoming{3, 1, 0, nan_};
  Floats merged(4);
  set.merge({merge_rule::max, 4, 2, 1, stored.data(), incoming.data(), merged.data()});
  checkEqual(merged, {3, nan_, 0, nan_}, name + " merge by maximum");
  set.merge({merge_rule::linear, 2, 0.5, 0.5, incoming.data(), incoming.data(), merged.data()});
  checkEqual({merged[0], merged[1]}, {3, 1}, name + " merge by mean");

  const Floats theta{1, 1}, gradient{2, 2}, importance{0, 1e30f}, anchor{7, 3};
  Floats next(2), value(1);
  penalized_step_call step{};
  step.penalty = penalized_step_penalty::proximal;
  step.size = 2;
  step.penalized = 1;
  step.learningRate = 0.5;
  step.lambda = 1e6;
  step.theta = theta.data();
  step.gradient = gradient.data();
  step.importance = importance.data();
  step.anchor = anchor.data();
  step.next = next.data();
  set.penalized_step(step);
  checkEqual(next, {0, 3}, name + " proximal step: free without importance, held to the anchor by much of it");
  step.weightDecay = 0.5;
  set.penalized_step(step);
  checkEqual(next, {-0.25, 3}, name + " proximal step: weight decay moves what is free, not what is held");
  step.penalty = penalized_step_penalty::explicit_;
  step.lambda = 0.25;
  const Floats held{2, 0};
  step.importance = held.data();
  set.penalized_step(step);  // the first: g = 2 + 2 * 0.25 * 2 * (1 - 7), the penalty's slope at theta, not at 0.75 theta
  checkEqual(next, {2.75, -0.25}, name + " explicit step with weight decay");

  const Floats one{1, 2};
  set.penalty_value({2, 0.5, theta.data(), one.data(), anchor.data(), value.data()});
  checkEqual(value, {22}, name + " penalty_value by hand");
}

/** The backend's small operations. */
void testBackendByHand(const InstructionSet& set) {
  const std::string name = set.name;
  Floats c(4);
}

}  // namespace

int main() {
  for (int i = 0; usableSets()[i]; ++i) {
    const InstructionSet& set = *usableSets()[i];
    const int before = failures;
    testByHand(set);
    testBackendByHand(set);
    for (const Shape& shape : shapes) {
      for (int phi = 0; phi < 3; ++phi) testGradMoment(set, shape, flat, phi, 1);
      testGradMoment(set, shape, flat, 0, inf);
      for (const Axis& depth : depths) {
        testGradMoment(set, shape, depth, 0, 1);
        testGradMoment(set, shape, depth, 0, inf);
      }
      testConvolutions(set, shape, 1);
      testConvolutions(set, shape, inf);
    }
    for (int64_t size : {0, 1, 63, 64, 65, 257}) {
      for (int transposed = 0; transposed < 4; ++transposed) {
        testMatmul(set, size, 65, 33, transposed & 1, transposed & 2);
        testMatmul(set, 13, size, 66, transposed & 1, transposed & 2);
        testMatmul(set, 30, 300, size, transposed & 1, transposed & 2);
      }
    }
    for (int transposed = 0; transposed < 4; ++transposed) {
      testMatmul(set, 970, 261, 530, transposed & 1, transposed & 2);  // packed once for all tasks
    }
    std::printf("%s: %s\n", set.name, failures == before ? "passed" : "failed");
  }
  return failures == 0 ? 0 : 1;
}
