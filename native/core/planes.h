// Images as planes, one channel after another, with a border of zeros in which a filter's tap is an offset: positions
// lie along the vectors, and nothing is gathered patch by patch. For convolutions with few channels, whose matrix
// product would leave most of each vector empty.
#pragma once
#include "patches.h"

namespace engram::ENGRAM_ISA {

/** Copies rows row(0..rows-1) of `depth` floats into columns `stride` apart. */
template <class Row>
static void spreadChannels(float* to, int64_t stride, int64_t rows, int64_t depth, Row row) {
  if (depth == 1 && rows > 0) {
    const float* from = row(0);
    for (int64_t i = 0; i < rows; ++i) to[i] = from[i];
  } else {
    packTransposed(to, stride, rows, depth, row);
  }
}

/** The planes of some rows of positions of an image, and where a convolution's taps lie in them. */
struct ChannelPlanes {
  static constexpr int64_t mostDepth = 2048;
  const Windows& w;
  int64_t pitch, spanY, rows;

  /** `floats` are what the planes may take; 0 rows are what fits where even one does not. */
  ChannelPlanes(const Windows& windows, int64_t floats) : w(windows) {
    pitch = w.x.grid + w.x.size - w.x.room;
    spanY = w.y.size - w.y.room;
    rows = larger(0, smaller(w.y.grid, floats / larger(1, w.channels * pitch) - spanY));
  }

  /** Whether planes can serve at all: neighbours side by side, and little border between the rows. */
  bool suit() const {
    const bool flatZ = w.z.grid == 1 && w.z.isIdentity();
    const bool near = w.x.stride == 1 && w.y.stride == 1 && w.x.room > 0 && w.y.room > 0;
    if (!flatZ || !near || w.areRows() || w.patch() == 0 || w.patch() > mostDepth) return false;
    return rows > 0 && rows >= smaller(w.y.grid, spanY) && 2 * w.x.grid > pitch;
  }

  int64_t parts() const { return rows > 0 ? ceilDivide(w.y.grid, rows) : 0; }
  int64_t planeFloats() const { return (rows + spanY) * pitch; }
  /** Of an image, with what the last vectors of positions may read behind the last plane. */
  int64_t floats() const { return ceilDivide(w.channels * planeFloats() + pitch, width) * width + 8 * width; }

  /** Pixels that the taps of rows y0..y1-1 of positions meet; zeros outside the image, and behind the last plane. */
  void fill(int64_t image, int64_t y0, int64_t y1, float* planes) const {
    const int64_t left = smaller(larger(0, -w.x.lowest), pitch), first = larger(0, w.x.lowest);
    const int64_t inside = larger(0, smaller(pitch - left, w.x.size - first)), plane = planeFloats();
    for (int64_t i = 0; i < floats(); ++i) planes[i] = 0;
    for (int64_t r = 0; r < y1 - y0 + spanY; ++r) {
      const int64_t y = y0 + w.y.lowest + r;
      if (!within(y, w.y.size)) continue;
      const float* pixels = w.images + ((image * w.y.size + y) * w.x.size + first) * w.channels;
      spreadChannels(planes + r * pitch + left, plane, inside, w.channels,
                     [&](int64_t x) { return pixels + x * w.channels; });
    }
  }

  /** Where the plane of patch element k starts, for all k. */
  void locate(int32_t* offsets) const {
    for (int64_t k = 0; k < w.patch(); ++k) {
      const int64_t tap = k / w.channels, tapX = w.x.taps[tap % w.x.taps.count], tapY = w.y.taps[tap / w.x.taps.count];
      const int64_t offset = (tapY - w.y.lowest) * pitch + tapX - w.x.lowest;
      offsets[k] = static_cast<int32_t>(k % w.channels * planeFloats() + offset);
    }
  }
};

}  // namespace engram::ENGRAM_ISA
