// Gradient of a convolution with respect to its images, or volumes, in the cheapest of three ways.
#pragma once
#include "../core/finite.h"
#include "../core/plane_convolution.h"
#include "conv2d_input_patches.h"
#include "conv2d_input_pixels.h"

namespace engram::ENGRAM_ISA {

/**
 * The three ways to the gradient, in vector operations per image. The weights are fitted to measured times: sums of
 * fewer columns than a vector cost 1.7, a remainder's product 1.3 of what they compute, a patch's columns 8 steps and 10
 * for each run that is added to the image; planes of one channel wait for loads.
 */
struct Costs {
  double byPixels, byPlanes, byPatches;

  explicit Costs(const conv3d_input_call& s) {
    const auto f = [](int64_t i) { return static_cast<double>(i); };
    const double pixels = f(s.inDepth) * f(s.inHeight) * f(s.inWidth), deltas = f(s.outChannels);
    const double grid = f(s.outDepth) * f(s.outHeight) * f(s.outWidth);
    const double taps = f(s.filterDepth) * f(s.filterHeight) * f(s.filterWidth), patch = taps * f(s.inChannels);
    const double strides = f(s.strideDepth) * f(s.strideHeight) * f(s.strideWidth);
    const double columns = s.inChannels <= width ? 1.7 : f(tileVectors * ceilDivide(s.inChannels, tileWidth));
    byPixels = pixels * taps / strides * deltas * columns * (strides > 1 ? 1.3 : 1);

    const double reach = f(s.filterWidth - 1) * f(s.dilationWidth);
    byPlanes = pixels * (1 + reach / f(s.inWidth)) * deltas * (patch / width * (s.inChannels == 1 ? 2 : 1) + 1);

    const double runs = f(s.filterDepth) * f(s.filterHeight) * __builtin_ceil(f(s.filterWidth * s.inChannels) / width);
    byPatches = grid * (tileVectors * __builtin_ceil(patch / tileWidth) * (deltas + 8) + 10 * runs);
    // An image is one task, and its patches want to be several.
    byPatches *= f(threadCount()) / f(smaller(threadCount(), s.samples));
    if (grid * patch == 0 || patch * tileHeight > f(mostPatchFloats)) byPatches = __builtin_inf();
  }
  bool planes() const { return byPlanes < byPatches && byPlanes < byPixels; }
  bool patches() const { return byPatches < 0.8 * byPixels; }
};

/** Without the fast path's zeros in the place of absent deltas, for filters with NaN or infinity in them. */
static inline void scatterDeltas(const conv3d_input_call& s, int64_t volume) {
  const int64_t pixels = s.inDepth * s.inHeight * s.inWidth, grid = s.outDepth * s.outHeight * s.outWidth;
  float* gradient = s.gradient + volume * pixels * s.inChannels;
  for (int64_t i = 0; i < pixels * s.inChannels; ++i) gradient[i] = 0;
  for (int64_t position = 0; position < grid; ++position) {
    const float* delta = s.deltas + (volume * grid + position) * s.outChannels;
    const int64_t gridX = position % s.outWidth, gridRow = position / s.outWidth;
    for (int64_t tap = 0; tap < s.filterDepth * s.filterHeight * s.filterWidth; ++tap) {
      const int64_t tapX = tap % s.filterWidth, tapRow = tap / s.filterWidth;
      const int64_t z = gridRow / s.outHeight * s.strideDepth + tapRow / s.filterHeight * s.dilationDepth - s.padFront;
      const int64_t y = gridRow % s.outHeight * s.strideHeight + tapRow % s.filterHeight * s.dilationHeight - s.padTop;
      const int64_t x = gridX * s.strideWidth + tapX * s.dilationWidth - s.padLeft;
      if (!within(z, s.inDepth) || !within(y, s.inHeight) || !within(x, s.inWidth)) continue;
      for (int64_t c = 0; c < s.inChannels; ++c) {
        const float* weight = s.filter + (tap * s.inChannels + c) * s.outChannels;
        float sum = 0;
        for (int64_t q = 0; q < s.outChannels; ++q) sum += delta[q] * weight[q];
        gradient[((z * s.inHeight + y) * s.inWidth + x) * s.inChannels + c] += sum;
      }
    }
  }
}

static inline void conv3d_input(const conv3d_input_call& s) {
  if (s.samples * s.inDepth * s.inHeight * s.inWidth * s.inChannels == 0) return;
  const int64_t taps = s.filterDepth * s.filterHeight * s.filterWidth;
  if (countNonfinite(s.filter, taps * s.inChannels * s.outChannels) > 0) {
    parallel(s.samples, 1e9, [&](int64_t volume) { scatterDeltas(s, volume); });
    return;
  }
  const Costs costs(s);
  const Remainder all(s, 0, 0, 0);
  const PlaneConvolution byPlanes(all.windows, s.inChannels);
  const bool dense = s.strideDepth == 1 && s.strideHeight == 1 && s.strideWidth == 1;
  if (dense && byPlanes.suits() && costs.planes()) {
    return byPlanes.run(all.filter, s.samples, s.gradient, [](float*, int64_t) {});
  }
  if (costs.patches()) return addPatches(s);
  for (int64_t z = 0; z < smaller(s.strideDepth, s.inDepth); ++z) {
    for (int64_t y = 0; y < smaller(s.strideHeight, s.inHeight); ++y) {
      for (int64_t x = 0; x < smaller(s.strideWidth, s.inWidth); ++x) multiplyRemainder(s, Remainder(s, z, y, x));
    }
  }
}

/** Images are volumes of depth 1. */
static inline void conv2d_input(const conv2d_input_call& s) {
  conv3d_input_call volumes{};
  volumes.samples = s.samples;
  volumes.inDepth = volumes.filterDepth = volumes.outDepth = volumes.strideDepth = volumes.dilationDepth = 1;
  volumes.inHeight = s.inHeight;
  volumes.inWidth = s.inWidth;
  volumes.inChannels = s.inChannels;
  volumes.filterHeight = s.filterHeight;
  volumes.filterWidth = s.filterWidth;
  volumes.outHeight = s.outHeight;
  volumes.outWidth = s.outWidth;
  volumes.outChannels = s.outChannels;
  volumes.strideHeight = s.strideHeight;
  volumes.strideWidth = s.strideWidth;
  volumes.dilationHeight = s.dilationHeight;
  volumes.dilationWidth = s.dilationWidth;
  volumes.padTop = s.padTop;
  volumes.padLeft = s.padLeft;
  volumes.deltas = s.deltas;
  volumes.filter = s.filter;
  volumes.gradient = s.gradient;
  conv3d_input(volumes);
}

}  // namespace engram::ENGRAM_ISA
