// Convolution patches, gathered from the image straight into the micro-kernel's panels: no im2col buffer.
#pragma once
#include "pack.h"
#include "parallel.h"

namespace engram::ENGRAM_ISA {

/** Pixel offsets of a filter's taps along one axis. */
struct Taps {
  int64_t count, first, step;
  int64_t operator[](int64_t tap) const { return first + tap * step; }
  int64_t lowest() const { return count == 0 ? 0 : smaller(first, (*this)[count - 1]); }
  int64_t highest() const { return count == 0 ? 0 : larger(first, (*this)[count - 1]); }
};

/**
 * Images and the windows slid over them. A position is (image, y, x) of a grid; its patch element
 * p = (tapY * tapsX + tapX) * channels + c is the pixel (y * strideY + tapY's offset, x * strideX + tapX's offset),
 * or absent outside the image.
 */
struct Windows {
  const float* images;
  const float* limit;  // end of the array
  int64_t height, width, channels;
  int64_t gridHeight, gridWidth;
  int64_t strideY, strideX;
  Taps tapsY, tapsX;

  int64_t patch() const { return tapsY.count * tapsX.count * channels; }
  int64_t grid() const { return gridHeight * gridWidth; }
  /** Whether some position has a patch element outside the image. */
  bool overhangs() const {
    return grid() > 0 && patch() > 0 &&
           (tapsY.lowest() < 0 || tapsX.lowest() < 0 || (gridHeight - 1) * strideY + tapsY.highest() >= height ||
            (gridWidth - 1) * strideX + tapsX.highest() >= width);
  }
};

/** A piece of a patch that lies in one piece in the image: some channels of a tap, or of a row of adjacent taps. */
struct Piece {
  int64_t offsetY, firstX, lastX;  // pixel offsets; inner taps are a pixel apart
  int64_t channel;                 // of the first tap
  int64_t length;                  // floats
};

/** Pieces of patch elements p0..p0+count-1; returns how many. `pieces` has room for `count`. */
static inline int64_t cutPatch(const Windows& w, int64_t p0, int64_t count, Piece* pieces) {
  int64_t n = 0;
  for (int64_t p = p0; p < p0 + count;) {
    const int64_t tap = p / w.channels, channel = p % w.channels, tapX = tap % w.tapsX.count;
    const int64_t here = w.tapsX[tapX];
    const int64_t adjacent = w.tapsX.step == 1 ? w.tapsX.count - tapX : 1;
    const int64_t length = smaller(p0 + count - p, adjacent * w.channels - channel);
    const int64_t last = here + (channel + length - 1) / w.channels;
    pieces[n++] = {w.tapsY[tap / w.tapsX.count], here, last, channel, length};
    p += length;
  }
  return n;
}

/** Copies the pieces of the patch at (image, y, x), one after another; absent elements become 0. */
static inline void gather(const Windows& w, int64_t image, int64_t y, int64_t x, const Piece* pieces, int64_t n,
                          float* to) {
  for (int64_t i = 0; i < n; ++i) {
    const Piece& piece = pieces[i];
    const int64_t row = y * w.strideY + piece.offsetY;
    const int64_t x0 = x * w.strideX + piece.firstX, x1 = x * w.strideX + piece.lastX;
    if (row < 0 || row >= w.height || x1 < 0 || x0 >= w.width) {
      zeroRun(to, piece.length);
    } else {
      const float* from = w.images + ((image * w.height + row) * w.width) * w.channels;
      const int64_t at = x0 * w.channels + piece.channel;
      if (x0 >= 0 && x1 < w.width) {
        copyRun(to, from + at, piece.length, w.limit);
      } else {
        const int64_t end = w.width * w.channels;
        for (int64_t j = 0; j < piece.length; ++j) to[j] = at + j >= 0 && at + j < end ? from[at + j] : 0;
      }
    }
    to += piece.length;
  }
}

/** A walk over positions, image by image, row by row. */
struct Walk {
  int64_t image, y, x;
  Walk(const Windows& w, int64_t position)
      : image(position / w.grid()), y(position % w.grid() / w.gridWidth), x(position % w.gridWidth) {}
  void next(const Windows& w) {
    if (++x < w.gridWidth) return;
    x = 0;
    if (++y < w.gridHeight) return;
    y = 0;
    ++image;
  }
};

/** Patches with positions along the depth: element (k, i) is patch element i of position `start` + k. */
struct PatchColumns {
  static constexpr Layout layout = Layout::columns;
  const Windows& windows;
  int64_t start;

  Panel pack(int64_t from, int64_t depth, int64_t first, int64_t count, int64_t panelWidth, float* panel) const {
    Piece pieces[tileHeight * tilesAtOnce];
    const int64_t n = cutPatch(windows, first, count, pieces);
    if (depth == 0) return {panel, panelWidth};
    Walk walk(windows, start + from);
    for (int64_t k = 0; k < depth; ++k, walk.next(windows)) {
      gather(windows, walk.image, walk.y, walk.x, pieces, n, panel + k * panelWidth);
    }
    return {panel, panelWidth};
  }
};

/** Patches with their elements along the depth: element (k, i) is patch element k of position i. */
struct PatchRows {
  static constexpr Layout layout = Layout::rows;
  const Windows& windows;

  Panel pack(int64_t from, int64_t depth, int64_t first, int64_t count, int64_t, float* panel) const {
    Piece pieces[blockDepth];
    const int64_t n = cutPatch(windows, from, depth, pieces);
    Walk walk(windows, first);
    for (int64_t i = 0; i < count; ++i, walk.next(windows)) {
      gather(windows, walk.image, walk.y, walk.x, pieces, n, panel + i * rowStride);
    }
    return {panel, rowStride};
  }
};

}  // namespace engram::ENGRAM_ISA
