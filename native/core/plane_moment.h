// Gradients of a convolution's filter, by planes: activations and deltas both lie along the positions, and an entry of a
// gradient is the sum of the products of a tap's plane and a delta's. Sums stay in registers, one lane per position,
// until the images of a sample are through.
#pragma once
#include "phi.h"
#include "planes.h"

namespace engram::ENGRAM_ISA {

/** The tile: patch elements times deltas. Loads of deltas are aligned, so there are more of them. */
constexpr int meetingTaps = 2 * tileVectors, meetingDeltas = tileHeight / 2;

/** How the images of a call lie in memory: their vectors of positions, and floats from one image to the next. */
struct PlaneRun {
  int64_t images, vectors, planesOfImage, deltasOfImage, deltaPlane;
};

/** sums[i][j] = sum over positions of planes[offsets[i]] * deltas[j * deltaPlane], lane by lane. */
template <int TapCount, int DeltaCount>
static void meetingTile(const PlaneRun& run, const float* planes, const int32_t* offsets, const float* deltas,
                        float* sums) {
  Vec g[TapCount][DeltaCount];
  const float* taps[TapCount];
#pragma GCC unroll 16
  for (int i = 0; i < TapCount; ++i) {
    taps[i] = planes + offsets[i];
#pragma GCC unroll 16
    for (int j = 0; j < DeltaCount; ++j) g[i][j] = zero();
  }
  const int64_t deltaPlane = run.deltaPlane;
  for (int64_t image = 0; image < run.images; ++image) {
    const float* delta = deltas + image * run.deltasOfImage;
    int64_t at = image * run.planesOfImage;
    for (int64_t n = 0; n < run.vectors; ++n, at += width, delta += width) {
      Vec d[DeltaCount];
#pragma GCC unroll 16
      for (int j = 0; j < DeltaCount; ++j) d[j] = load(delta + j * deltaPlane);
#pragma GCC unroll 16
      for (int i = 0; i < TapCount; ++i) {
        const Vec a = load(taps[i] + at);
#pragma GCC unroll 16
        for (int j = 0; j < DeltaCount; ++j) g[i][j] = fma(a, d[j], g[i][j]);
      }
    }
  }
#pragma GCC unroll 16
  for (int i = 0; i < TapCount; ++i) {
#pragma GCC unroll 16
    for (int j = 0; j < DeltaCount; ++j) store(sums + (i * DeltaCount + j) * width, g[i][j]);
  }
}

using MeetingTile = void (*)(const PlaneRun&, const float*, const int32_t*, const float*, float*);

template <int... I>
static MeetingTile meetingTileOf(int64_t taps, int64_t deltas, std::integer_sequence<int, I...>) {
  static constexpr MeetingTile tiles[] = {meetingTile<I / meetingDeltas + 1, I % meetingDeltas + 1>...};
  return tiles[(taps - 1) * meetingDeltas + deltas - 1];
}

class PlaneMoment {
 public:
  PlaneMoment(const Windows& windows, const float* deltas, int64_t fanOut)
      : w(windows), deltas(deltas), fanIn(windows.patch()), fanOut(fanOut), planes(windows, mostFloats) {
    deltaPlane = ceilDivide(planes.rows * planes.pitch, width) * width;
    const int64_t image = planes.floats() + fanOut * deltaPlane;
    together = planes.parts() > 1 ? 1 : larger(1, 4 * mostFloats / larger(1, image));
  }

  bool suits() const { return fanOut <= mostDeltas && fanIn * fanOut <= mostFloats && planes.suit(); }

  /** As {@link engram::ENGRAM_ISA::batchParts}: the matrix is one task here. */
  int64_t batchParts(int64_t items, double work) const { return work < 2 * smallWork ? 1 : smaller(items, 16); }

  /** Floats of memory for a task. */
  int64_t floats() const {
    return together * (planes.floats() + fanOut * deltaPlane) + fanIn * fanOut + 2 * tileSums * width;
  }

  /** moment += phi of the gradient of `images` images from `first` on, taken together. */
  void add(int64_t first, int64_t images, End phi, float* moment, float* memory) const {
    const int64_t size = fanIn * fanOut, planesOfImage = planes.floats(), deltasOfImage = fanOut * deltaPlane;
    float* pixels = memory;
    float* spread = pixels + together * planesOfImage;
    float* g = spread + together * deltasOfImage;
    float* sums = g + size;
    int32_t offsets[ChannelPlanes::mostDepth];
    planes.locate(offsets);
    for (int64_t i = 0; i < size; ++i) g[i] = 0;
    for (int64_t image = first; image < first + images; image += together) {
      const int64_t count = smaller(together, first + images - image);
      for (int64_t y0 = 0; y0 < w.y.grid; y0 += planes.rows) {
        checkpoint();
        const int64_t y1 = smaller(w.y.grid, y0 + planes.rows);
        for (int64_t i = 0; i < count; ++i) {
          planes.fill(image + i, y0, y1, pixels + i * planesOfImage);
          fillDeltas(image + i, y0, y1, spread + i * deltasOfImage);
        }
        const int64_t vectors = ceilDivide((y1 - y0) * planes.pitch, width);
        meet({count, vectors, planesOfImage, deltasOfImage, deltaPlane}, pixels, offsets, spread, g, sums);
      }
    }
    for (int64_t i = 0; i < size; ++i) moment[i] += applyPhi(phi, g[i]);
  }

 private:
  static constexpr int64_t mostFloats = 1 << 14, mostDeltas = tileHeight;
  static constexpr int64_t tileSums = meetingTaps * meetingDeltas;
  const Windows& w;
  const float* deltas;
  int64_t fanIn, fanOut;
  ChannelPlanes planes;
  int64_t deltaPlane, together;

  /** The deltas of rows y0..y1-1 of positions; zeros where the planes' rows are longer than the grid's. */
  void fillDeltas(int64_t image, int64_t y0, int64_t y1, float* to) const {
    for (int64_t i = 0; i < fanOut * deltaPlane; ++i) to[i] = 0;
    for (int64_t y = y0; y < y1; ++y) {
      const float* row = deltas + (image * w.y.grid + y) * w.x.grid * fanOut;
      spreadChannels(to + (y - y0) * planes.pitch, deltaPlane, w.x.grid, fanOut,
                     [&](int64_t x) { return row + x * fanOut; });
    }
  }

  /** g (+)= the sums of all tiles, their lanes added. */
  void meet(const PlaneRun& run, const float* pixels, const int32_t* offsets, const float* spread, float* g,
            float* sums) const {
    constexpr auto tiles = std::make_integer_sequence<int, static_cast<int>(tileSums)>();
    const int64_t deltaStep = ceilDivide(fanOut, ceilDivide(fanOut, meetingDeltas));
    const int64_t tapStep = ceilDivide(fanIn, ceilDivide(fanIn, meetingTaps));
    float* turned = sums + tileSums * width;
    for (int64_t q = 0; q < fanOut; q += deltaStep) {
      for (int64_t p = 0; p < fanIn; p += tapStep) {
        const int64_t rows = smaller(tapStep, fanIn - p), columns = smaller(deltaStep, fanOut - q);
        meetingTileOf(rows, columns, tiles)(run, pixels, offsets + p, spread + q * deltaPlane, sums);
        packTransposed(turned, tileSums, rows * columns, width, [&](int64_t i) { return sums + i * width; });
        float total[tileSums] = {};
        for (int64_t lane = 0; lane < width; ++lane) {
          for (int64_t i = 0; i < tileSums; ++i) total[i] += turned[lane * tileSums + i];
        }
        for (int64_t i = 0; i < rows * columns; ++i) g[(p + i / columns) * fanOut + q + i % columns] += total[i];
      }
    }
  }
};

}  // namespace engram::ENGRAM_ISA
