// The kernels against the peak of the machine. Everything takes turns within one run, round after round, and the best
// round of each counts: what disturbs a shared machine only ever makes something slower.
//
//     roofline [rounds]          10 unless told; a table on stderr, JSON lines on stdout
//     roofline [rounds] cpu      one thread by its processor time, for a machine that is never quiet: it tells how good
//                                the kernels are, but not how well their threads share the work
//
// ENGRAM_NUM_THREADS and OPENBLAS_CORETYPE work as usual. Ends with status 1 if anything was faster than the peak: then
// the peak was disturbed, and the run is void.
#include <algorithm>
#include <chrono>
#include <ctime>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "../core/instruction_set.h"
#include "../core/memory.h"
#include "../core/pool.h"
#include "../test/check.h"
#include "peak.h"
#include "sgemm.h"

using namespace engram;

namespace {

struct Contender {
  std::string kernel, shape;
  double flops, bytes;  // of one call: bytes that any algorithm has to read or write
  double target;        // share of the peak it is to reach, or 0
  std::function<void()> call;
  double pause = 0;  // milliseconds that its threads go on spinning afterwards
  double best = 1e300;
};

bool byProcessorTime = false;

double now() {
  timespec time{};
  clock_gettime(byProcessorTime ? CLOCK_THREAD_CPUTIME_ID : CLOCK_MONOTONIC, &time);
  return double(time.tv_sec) * 1e3 + double(time.tv_nsec) / 1e6;
}

double milliseconds(const std::function<void()>& work) {
  const double start = now();
  work();
  return now() - start;
}

/** One turn: calls until 5 ms are over, the fastest of them. */
void takeTurn(Contender& c) {
  for (double spent = 0; spent < 5;) {
    const double time = milliseconds(c.call);
    spent += time;
    if (time < c.best) c.best = time;
  }
  if (c.pause > 0) std::this_thread::sleep_for(std::chrono::duration<double, std::milli>(c.pause));
}

const Peak& peakOf(const char* instructionSet) {
  const Peak* const peaks[] = {
#ifdef ENGRAM_HAS_AVX512
      &avx512Peak,
#endif
#ifdef ENGRAM_HAS_AVX2
      &avx2Peak,
#endif
#ifdef ENGRAM_HAS_NEON
      &neonPeak,
#endif
  };
  for (const Peak* peak : peaks) {
    if (std::strcmp(peak->instructionSet, instructionSet) == 0) return *peak;
  }
  return scalarPeak;
}

/** More tasks than threads, so that a helper that wakes up late costs little. */
Contender peakContender(const Peak& peak, int threads) {
  static float totals[1024];
  constexpr int64_t steps = 1 << 16;
  const int64_t tasks = std::min(16 * threads, 1024);
  return {"peak", std::string(peak.instructionSet) + ", 12 sums", peak.flops * double(steps) * double(tasks), 0, 0, [=] {
            auto run = peak.run;
            runTasks(tasks, [](void* f, int64_t i) { (*static_cast<decltype(run)*>(f))(steps, &totals[i]); }, &run);
          }};
}

/** Copies as much as an Adam step at a million parameters touches, in pieces. */
Contender copyContender() {
  static Floats from(7 << 19), to(7 << 19);
  constexpr int64_t pieces = 112;
  return {"copy", "28 MiB in all", 0, 8.0 * double(from.size()), 0, [] {
            runTasks(pieces, [](void*, int64_t i) {
              const size_t piece = from.size() / pieces;
              std::memcpy(&to[size_t(i) * piece], &from[size_t(i) * piece], piece * sizeof(float));
            }, nullptr);
          }};
}

Contender matmulContender(int64_t n) {
  matmul_call s{};
  s.batch = s.batchA = s.batchB = 1;
  s.rows = s.depth = s.columns = n;
  auto a = std::make_shared<Floats>(randomFloats(n * n)), b = std::make_shared<Floats>(randomFloats(n * n));
  auto c = std::make_shared<Floats>(n * n);
  s.a = a->data();
  s.b = b->data();
  s.c = c->data();
  return {"matmul", std::to_string(n) + "^3", 2.0 * double(n * n * n), 12.0 * double(n * n), 0.85,
          [s, a, b, c] { instructionSet().matmul(s); }};
}

Contender openBlasContender(const OpenBlas& blas, int64_t n) {
  auto a = std::make_shared<Floats>(randomFloats(n * n)), b = std::make_shared<Floats>(randomFloats(n * n));
  auto c = std::make_shared<Floats>(n * n);
  // Its threads spin for 2^26 cycles after a call, which would be taken from whoever comes next.
  return {std::string("OpenBLAS ") + blas.core(), std::to_string(n) + "^3", 2.0 * double(n * n * n),
          12.0 * double(n * n), 0, [=] { blas.multiply(int(n), a->data(), b->data(), c->data()); }, 60};
}

/** A square convolution with the same height and width everywhere; a filter of 1 takes rows as they lie. */
struct Layer {
  const char* name;
  int64_t samples, in, channels, filter, stride, pad, fanOut;
};

const Layer layers[] = {
    {"conv 3x3 512>512, 4x4", 16, 4, 512, 3, 1, 1, 512},
    {"conv 3x3 512>512, 7x7", 8, 7, 512, 3, 1, 1, 512},
    {"conv 3x3 256>256, 8x8", 16, 8, 256, 3, 1, 1, 256},
    {"conv 3x3 192>384, 13x13", 8, 13, 192, 3, 1, 1, 384},
    {"conv 3x3 64>64, 32x32", 16, 32, 64, 3, 1, 1, 64},
    {"conv 5x5 32>64, 14x14", 16, 14, 32, 5, 1, 2, 64},
    {"conv 11x11/4 3>64, 224x224", 8, 224, 3, 11, 4, 2, 64},
    {"conv 5x5 1>32, 28x28", 64, 28, 1, 5, 1, 2, 32},
};

/** The same products with the activations as rows: `positions` of them a sample. */
struct Rows {
  int64_t samples, positions, fanIn, fanOut;
};

const Rows rows[] = {
    {16, 16, 4608, 512}, {8, 49, 4608, 512}, {16, 64, 2304, 256}, {8, 169, 1728, 384},
    {8, 197, 768, 3072}, {16, 1024, 576, 64}, {16, 196, 800, 64}, {64, 784, 25, 32},
};

/** What the project promises; shapes that are smaller are shown against their roofline. */
double targetOf(int64_t positions, int64_t fanIn, int64_t fanOut) {
  if (fanIn < 128) return 0;
  if (positions >= 49 && fanOut >= 128) return 0.8;
  if (positions >= 49 && fanOut >= 64) return 0.6;
  if (positions >= 16 && fanOut >= 256) return 0.65;
  return 0;
}

Contender momentContender(const char* name, grad_moment_call s) {
  const int64_t positions = s.outHeight * s.outWidth, fanIn = s.filterHeight * s.filterWidth * s.inChannels;
  s.phi = grad_moment_phi::abs;
  s.uses = s.inDepth = s.filterDepth = s.outDepth = s.strideDepth = s.dilationDepth = 1;
  s.dilationHeight = s.dilationWidth = 1;
  auto a = std::make_shared<Floats>(randomFloats(s.samples * s.inHeight * s.inWidth * s.inChannels));
  auto d = std::make_shared<Floats>(randomFloats(s.samples * positions * s.fanOut));
  auto m = std::make_shared<Floats>(fanIn * s.fanOut);
  s.activations = a->data();
  s.deltas = d->data();
  s.moment = m->data();
  const std::string shape = "(" + std::to_string(positions) + ", " + std::to_string(fanIn) + ", " +
                            std::to_string(s.fanOut) + ") " + name + ", B = " + std::to_string(s.samples);
  return {"grad_moment", shape, 2.0 * double(s.samples * positions * fanIn * s.fanOut),
          4.0 * double(a->size() + d->size() + 2 * m->size()), targetOf(positions, fanIn, s.fanOut),
          [s, a, d, m] { instructionSet().grad_moment(s); }};
}

Contender layerContender(const Layer& layer) {
  grad_moment_call s{};
  s.samples = layer.samples;
  s.inHeight = s.inWidth = layer.in;
  s.inChannels = layer.channels;
  s.filterHeight = s.filterWidth = layer.filter;
  s.strideHeight = s.strideWidth = layer.stride;
  s.padTop = s.padLeft = layer.pad;
  s.outHeight = s.outWidth = (layer.in + 2 * layer.pad - layer.filter) / layer.stride + 1;
  s.fanOut = layer.fanOut;
  return momentContender(layer.name, s);
}

Contender rowsContender(const Rows& r) {
  grad_moment_call s{};
  s.samples = r.samples;
  s.inHeight = s.outHeight = r.positions;
  s.inWidth = s.outWidth = s.filterHeight = s.filterWidth = s.strideHeight = s.strideWidth = 1;
  s.inChannels = r.fanIn;
  s.fanOut = r.fanOut;
  return momentContender("rows", s);
}

Contender adamContender(bool penalized) {
  constexpr int64_t size = 1 << 20;
  penalized_step_call s{};
  s.rule = penalized_step_rule::adam;
  s.penalty = penalized_step_penalty::proximal;
  s.size = size;
  s.penalized = penalized;
  s.slotCount = 2;
  s.learningRate = 1e-4;
  s.beta1 = 0.9;
  s.beta2 = 0.999;
  s.epsilon = 1e-7;
  s.correction1 = s.correction2 = 0.5;
  s.lambda = 1;
  auto in = std::make_shared<Floats>(randomFloats(2 * size)), kept = std::make_shared<Floats>(2 * size, 0.5f);
  auto out = std::make_shared<Floats>(3 * size, 0.5f);
  s.theta = in->data();
  s.gradient = in->data() + size;
  s.importance = kept->data();
  s.anchor = kept->data() + size;
  s.slots = out->data();
  s.next = out->data() + 2 * size;
  return {"penalized_step", std::string("Adam, 1 Mi parameters") + (penalized ? ", proximal penalty" : ""), 0,
          4.0 * size * (penalized ? 9 : 7), 0, [s, in, kept, out] { instructionSet().penalized_step(s); }};
}

double gigaPerSecond(double amount, const Contender& c) { return amount / c.best / 1e6; }

}  // namespace

int main(int argumentCount, char** arguments) {
  const int rounds = argumentCount > 1 ? std::atoi(arguments[1]) : 10;
  byProcessorTime = argumentCount == 3 && std::strcmp(arguments[2], "cpu") == 0;
  if (rounds < 1 || argumentCount > (byProcessorTime ? 3 : 2)) {
    std::fprintf(stderr, "usage: roofline [rounds [cpu]]\n");
    return 2;
  }
  if (byProcessorTime) setThreadCount(1);
  keepFreedMemory();  // as the backend does
  const int threads = threadCount();
  const OpenBlas blas(threads);
  std::vector<Contender> contenders{peakContender(peakOf(instructionSet().name), threads), copyContender()};
  for (const int64_t n : {512, 1024, 2048}) {
    contenders.push_back(matmulContender(n));
    if (blas) contenders.push_back(openBlasContender(blas, n));
  }
  for (const Layer& layer : layers) contenders.push_back(layerContender(layer));
  for (const Rows& r : rows) contenders.push_back(rowsContender(r));
  for (const bool penalized : {false, true}) contenders.push_back(adamContender(penalized));
  if (!blas) std::fprintf(stderr, "libopenblas.so.0 is not here: the matrix product goes without its peer\n");

  for (Contender& c : contenders) c.call();  // touches its memory, starts its threads
  for (int round = 0; round < rounds; ++round) {
    for (Contender& c : contenders) takeTurn(c);
  }

  const double peak = gigaPerSecond(contenders[0].flops, contenders[0]);
  const double bandwidth = gigaPerSecond(contenders[1].bytes, contenders[1]);
  bool isVoid = false;
  std::fprintf(stderr, "%d threads%s, best of %d rounds\n%-20s %-50s %10s %9s %8s %7s %7s %8s\n", threads,
               byProcessorTime ? ", processor time" : "", rounds, "kernel",
               "shape, of grad_moment (L, P, Q)", "ms", "Gflop/s", "GB/s", "share", "target", "roofline");
  for (const Contender& c : contenders) {
    const double flops = gigaPerSecond(c.flops, c), bytes = gigaPerSecond(c.bytes, c);
    const double reach = c.bytes > 0 ? c.flops / c.bytes * bandwidth / peak : 1;
    const double roofline = reach < 1 ? reach : 1, share = flops / peak;
    isVoid = isVoid || share > 1;
    std::fprintf(stderr, "%-20s %-50s %10.3f", c.kernel.c_str(), c.shape.c_str(), c.best);
    std::printf("{\"kernel\": \"%s\", \"shape\": \"%s\", \"threads\": %d, \"milliseconds\": %.4f", c.kernel.c_str(),
                c.shape.c_str(), threads, c.best);
    if (c.flops > 0) {
      std::fprintf(stderr, " %9.1f %8.1f %6.1f%%", flops, bytes, 100 * share);
      std::printf(", \"gflops\": %.2f, \"share\": %.4f, \"roofline\": %.4f", flops, share, roofline);
    } else {
      std::fprintf(stderr, " %9s %8.1f %7s", "", bytes, "");
    }
    if (c.bytes > 0) std::printf(", \"gigabytes\": %.2f", bytes);
    if (c.target > 0) {
      std::fprintf(stderr, " %6.0f%%", 100 * c.target);
      std::printf(", \"target\": %.2f, \"reached\": %s", c.target, share >= c.target ? "true" : "false");
    } else {
      std::fprintf(stderr, " %7s", "");
    }
    if (c.flops > 0) std::fprintf(stderr, " %7.0f%%", 100 * roofline);
    std::fprintf(stderr, "\n");
    std::printf("}\n");
  }
  if (isVoid) std::fprintf(stderr, "VOID: something was faster than the peak, so the peak was disturbed. Run it again.\n");
  return isVoid ? 1 : 0;
}
