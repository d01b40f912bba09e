// Convolution with few results per position, by planes: the sums of a row of positions are vectors, one per result.
#pragma once
#include "planes.h"

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

struct PlaneConvolution {
  const Windows& w;
  int64_t results;
  ChannelPlanes planes;

  PlaneConvolution(const Windows& windows, int64_t results_)
      : w(windows), results(results_), planes(windows, 1 << 15) {}

  bool suits() const { return results <= tileHeight && planes.suit(); }

  /**
   * The results of all images, at `to`; calls finish(results, positions) on parts of them while in the cache.
   * `filter` packs element (k, i) as the right operand of a product does.
   */
  template <class Filter, class Finish>
  void run(const Filter& filter, int64_t images, float* to, Finish finish) const {
    const double work = 2.0 * static_cast<double>(images * w.grid()) * static_cast<double>(w.patch() * results);
    const int64_t parts = planes.parts();
    parallel(images * parts, work, [&](int64_t task) {
      const int64_t image = task / parts, y0 = task % parts * planes.rows, y1 = smaller(w.y.grid, y0 + planes.rows);
      float* part = to + (image * w.y.grid + y0) * w.x.grid * results;
      runRows(filter, image, y0, y1, part);
      finish(part, (y1 - y0) * w.x.grid);
    });
  }

 private:
  /** Of rows y0..y1-1 of positions of an image, at `to`: its positions, row by row, with their results together. */
  template <class Filter>
  void runRows(const Filter& filter, int64_t image, int64_t y0, int64_t y1, float* to) const {
    constexpr int64_t mostSums = tileHeight * 8 * width;
    float* pixels = scratch(planes.floats() + w.patch() * results + width + mostSums);
    float* panel = pixels + planes.floats();
    float* sums = panel + w.patch() * results + width;
    int32_t offsets[ChannelPlanes::mostDepth];
    planes.fill(image, y0, y1, pixels);
    planes.locate(offsets);
    filter.pack(0, w.patch(), 0, results, results, panel);

    const PlaneTile tile = planeTileOf(results, std::make_integer_sequence<int, tileHeight>());
    const int64_t pitch = planes.pitch, end = (y1 - y0) * pitch;
    const int64_t step = planeVectors(static_cast<int>(results)) * width;
    for (int64_t j = 0; j < end; j += step) {
      for (int64_t k = 0; k < w.patch(); k += blockDepth) {
        tile(smaller(blockDepth, w.patch() - k), panel + k * results, pixels + j, offsets + k, k > 0, sums);
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
};

}  // namespace engram::ENGRAM_ISA
