// Convolution with few results per position: one channel after another, positions along the vectors. The matrix product
// would leave most of each vector empty. The images of a task are turned into planes with a border of zeros, in which a
// tap is an offset: nothing is gathered patch by patch.
#pragma once
#include "patches.h"

namespace engram::ENGRAM_ISA {

/** Vectors of positions that `results` sums each have registers for. */
constexpr int planeVectors(int results) {
  return results * 8 <= tileHeight * tileVectors ? 8 : results * 4 <= tileHeight * tileVectors ? 4 : tileVectors;
}

/** sums[i][j] (+)= sum over k of filter[k * Results + i] * planes[offsets[k] + j], for a row of vectors of j. */
template <int Results>
static void planeTile(int64_t depth, const float* filter, const float* planes, const int32_t* offsets, bool add,
                      float* sums) {
  constexpr int vectors = planeVectors(Results);
  Vec g[Results][vectors];
#pragma GCC unroll 16
  for (int i = 0; i < Results; ++i) {
#pragma GCC unroll 8
    for (int j = 0; j < vectors; ++j) g[i][j] = zero();
  }
  for (int64_t k = 0; k < depth; ++k) {
    Vec row[vectors];
#pragma GCC unroll 8
    for (int j = 0; j < vectors; ++j) row[j] = load(planes + offsets[k] + j * width);
#pragma GCC unroll 16
    for (int i = 0; i < Results; ++i) {
      const Vec x = set(filter[k * Results + i]);
#pragma GCC unroll 8
      for (int j = 0; j < vectors; ++j) g[i][j] = fma(x, row[j], g[i][j]);
    }
  }
#pragma GCC unroll 16
  for (int i = 0; i < Results; ++i) {
#pragma GCC unroll 8
    for (int j = 0; j < vectors; ++j) {
      float* to = sums + (i * vectors + j) * width;
      store(to, add ? ENGRAM_ISA::add(load(to), g[i][j]) : g[i][j]);
    }
  }
}

using PlaneTile = void (*)(int64_t, const float*, const float*, const int32_t*, bool, float*);

template <int... I>
static PlaneTile planeTileOf(int64_t results, std::integer_sequence<int, I...>) {
  static constexpr PlaneTile tiles[] = {planeTile<I + 1>...};
  return tiles[results - 1];
}

/** The planes of some rows of positions of one image, and where a convolution's taps lie in them. */
struct ChannelPlanes {
  static constexpr int64_t mostDepth = 2048, mostFloats = 1 << 15;
  const Windows& w;
  int64_t results, pitch, spanY, rows;

  ChannelPlanes(const Windows& windows, int64_t results_) : w(windows), results(results_) {
    pitch = w.x.grid + w.x.size - w.x.room;
    spanY = w.y.size - w.y.room;
    rows = smaller(w.y.grid, mostFloats / larger(1, w.channels * pitch) - spanY);
  }

  /** Whether this is the way to go: few results, neighbours side by side, and little border between the rows. */
  static bool suit(const Windows& w, int64_t results) {
    const bool flatZ = w.z.grid == 1 && w.z.isIdentity();
    const bool near = w.x.stride == 1 && w.y.stride == 1 && w.x.room > 0 && w.y.room > 0;
    if (results > tileHeight || !flatZ || !near || w.areRows() || w.patch() == 0 || w.patch() > mostDepth) return false;
    const ChannelPlanes planes(w, results);
    return planes.rows > 0 && planes.rows >= smaller(w.y.grid, planes.spanY) && 2 * w.x.grid > planes.pitch;
  }

  int64_t planeFloats() const { return (rows + spanY) * pitch; }
  /** Floats that the last vectors of positions may read behind the last plane. */
  int64_t slack() const { return pitch + 8 * width; }
  /** Floats of memory for a task. */
  int64_t floats() const {
    constexpr int64_t sums = tileHeight * 8 * width;
    return w.channels * planeFloats() + slack() + w.patch() * results + width + sums;
  }

  /** The results of all images, at `to`; calls finish(results, positions) on parts of them while in the cache. */
  template <class Filter, class Finish>
  void convolve(const Filter& filter, int64_t images, float* to, Finish finish) const {
    const int64_t parts = ceilDivide(w.y.grid, rows);
    const double work = 2.0 * static_cast<double>(images * w.grid()) * static_cast<double>(w.patch() * results);
    parallel(images * parts, work, [&](int64_t task) {
      const int64_t image = task / parts, y0 = task % parts * rows, y1 = smaller(w.y.grid, y0 + rows);
      float* part = to + (image * w.y.grid + y0) * w.x.grid * results;
      convolveRows(filter, image, y0, y1, part, scratch(floats()));
      finish(part, (y1 - y0) * w.x.grid);
    });
  }

 private:
  /**
   * Results of rows y0..y1-1 of positions of an image, at `to`: its positions, row by row, with their results together.
   * `filter` packs element (k, i) as the right operand of a product does.
   */
  template <class Filter>
  void convolveRows(const Filter& filter, int64_t image, int64_t y0, int64_t y1, float* to, float* memory) const {
    float* planes = memory;
    float* panel = planes + w.channels * planeFloats() + slack();
    float* sums = panel + w.patch() * results + width;
    int32_t offsets[mostDepth];
    fill(image, y0, y1, planes);
    locate(offsets);
    filter.pack(0, w.patch(), 0, results, results, panel);

    const PlaneTile run = planeTileOf(results, std::make_integer_sequence<int, tileHeight>());
    const int64_t step = planeVectors(static_cast<int>(results)) * width, end = (y1 - y0) * pitch;
    for (int64_t j = 0; j < end; j += step) {
      for (int64_t k = 0; k < w.patch(); k += blockDepth) {
        run(smaller(blockDepth, w.patch() - k), panel + k * results, planes + j, offsets + k, k > 0, sums);
      }
      for (int64_t i = j; i < smaller(end, j + step);) {
        const int64_t y = i / pitch, x = i % pitch, past = smaller(smaller(end, j + step), (y + 1) * pitch);
        const int64_t count = smaller(w.x.grid, x + past - i) - x;
        if (count > 0) {
          packTransposed(to + (y * w.x.grid + x) * results, results, results, count,
                         [&](int64_t q) { return sums + q * step + (i - j); });
        }
        i = past;
      }
    }
  }

  /** Pixels that the rows' taps meet, channel by channel; zeros outside the image, and behind the last plane. */
  void fill(int64_t image, int64_t y0, int64_t y1, float* planes) const {
    const int64_t left = smaller(larger(0, -w.x.lowest), pitch), first = larger(0, w.x.lowest);
    const int64_t inside = larger(0, smaller(pitch - left, w.x.size - first)), plane = planeFloats();
    for (int64_t i = 0; i < w.channels * plane + slack(); ++i) planes[i] = 0;
    for (int64_t r = 0; r < y1 - y0 + spanY; ++r) {
      const int64_t y = y0 + w.y.lowest + r;
      if (!within(y, w.y.size)) continue;
      const float* pixels = w.images + ((image * w.y.size + y) * w.x.size + first) * w.channels;
      packTransposed(planes + r * pitch + left, plane, inside, w.channels,
                     [&](int64_t x) { return pixels + x * w.channels; });
    }
  }

  void locate(int32_t* offsets) const {
    for (int64_t k = 0; k < w.patch(); ++k) {
      const int64_t tap = k / w.channels, tapX = w.x.taps[tap % w.x.taps.count], tapY = w.y.taps[tap / w.x.taps.count];
      const int64_t offset = (tapY - w.y.lowest) * pitch + tapX - w.x.lowest;
      offsets[k] = static_cast<int32_t>(k % w.channels * planeFloats() + offset);
    }
  }
};

}  // namespace engram::ENGRAM_ISA
