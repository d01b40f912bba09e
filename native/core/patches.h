// Convolution patches, gathered from the image straight into the micro-kernel's panels: no im2col buffer.
#pragma once
#include "pack.h"
#include "parallel.h"

namespace engram::ENGRAM_ISA {

/** Whether 0 <= i < size. */
static inline bool within(int64_t i, int64_t size) { return static_cast<uint64_t>(i) < static_cast<uint64_t>(size); }

/** Pixel offsets of a filter's taps along one axis. */
struct Taps {
  int64_t count, first, step;
  int64_t operator[](int64_t tap) const { return first + tap * step; }
};

/** One axis of the images, and of the grid of windows slid over them: window i meets pixels i * stride + taps[...]. */
struct Axis {
  int64_t size, grid, stride;
  Taps taps;
  int64_t lowest, room;  // offset of the lowest tap; pixels on which it may lie with all taps inside the image

  Axis(int64_t size_, int64_t grid_, int64_t stride_, Taps taps_)
      : size(size_), grid(grid_), stride(stride_), taps(taps_) {
    const int64_t last = taps[larger(1, taps.count) - 1];
    lowest = smaller(taps.first, last);
    room = larger(0, size - (larger(taps.first, last) - lowest));
  }
  /** Whether all taps of window i lie inside the image. */
  bool covers(int64_t i) const { return within(i * stride + lowest, room); }
  /** Whether every tap lies behind the one before it. */
  bool ascends() const { return taps.count < 2 || taps.step > 0; }
  /** Whether window i is pixel i. */
  bool isIdentity() const {
    return taps.count == 1 && taps.first == 0 && grid == size && (size == 1 || stride == 1);
  }
};
/** The depth of images that have none. */
static inline Axis flat() { return {1, 1, 1, {1, 0, 1}}; }

/**
 * Images and the windows slid over them. A position is (image, z, y, x) of a grid; its patch element
 * p = ((tapZ * tapsY + tapY) * tapsX + tapX) * channels + c is a channel of the pixel that the three taps meet, or
 * absent outside the image.
 */
struct Windows {
  const float* images;
  const float* limit;  // end of the array
  int64_t channels;
  Axis z, y, x;

  int64_t patch() const { return z.taps.count * y.taps.count * x.taps.count * channels; }
  int64_t grid() const { return z.grid * y.grid * x.grid; }
  /** Whether some position has a patch element outside the image. */
  bool overhangs() const {
    if (grid() == 0 || patch() == 0) return false;
    return !(z.covers(0) && y.covers(0) && x.covers(0) && z.covers(z.grid - 1) && y.covers(y.grid - 1) &&
             x.covers(x.grid - 1));
  }
  /** Whether the patches are the pixels as they lie. */
  bool areRows() const { return z.isIdentity() && y.isIdentity() && x.isIdentity(); }
};

/**
 * Place of a pixel's first channel among all images, in floats. Modulo 2^64, for strides and dilations may be huge: put
 * together from parts that are not, it is true again wherever the sum lies inside the image.
 */
static inline uint64_t placeOf(const Windows& w, int64_t image, int64_t z, int64_t y, int64_t x) {
  const auto u = [](int64_t i) { return static_cast<uint64_t>(i); };
  return (((u(image) * u(w.z.size) + u(z)) * u(w.y.size) + u(y)) * u(w.x.size) + u(x)) * u(w.channels);
}

/** A walk over positions: image by image, plane by plane, row by row. */
struct Walk {
  int64_t image, z, y, x;
  uint64_t start;   // place of the pixel that the window starts at
  bool rowCovered;  // whether all taps lie inside the image along the depth and the height

  Walk(const Windows& w, int64_t position)
      : image(position / w.grid()),
        z(position % w.grid() / (w.y.grid * w.x.grid)),
        y(position % (w.y.grid * w.x.grid) / w.x.grid),
        x(position % w.x.grid) {
    enterRow(w);
  }
  void next(const Windows& w) {
    start += static_cast<uint64_t>(w.x.stride) * static_cast<uint64_t>(w.channels);
    if (++x < w.x.grid) return;
    x = 0;
    if (++y == w.y.grid) {
      y = 0;
      if (++z == w.z.grid) {
        z = 0;
        ++image;
      }
    }
    enterRow(w);
  }
  void enterRow(const Windows& w) {
    start = placeOf(w, image, z * w.z.stride, y * w.y.stride, x * w.x.stride);
    rowCovered = w.z.covers(z) && w.y.covers(y);
  }
};

/** A piece of a patch that lies in one piece in the image: some channels of a tap, or of a row of adjacent taps. */
struct Piece {
  int64_t z, y, firstX, lastX;  // pixel offsets; inner taps are a pixel apart
  int64_t channel;              // of the first tap
  int64_t length;               // floats
  uint64_t offset;              // floats, all of the above in one
};

/** Pieces of patch elements p0..p0+count-1; returns how many. `pieces` has room for `count`. */
static inline int64_t cutPatch(const Windows& w, int64_t p0, int64_t count, Piece* pieces) {
  int64_t n = 0;
  for (int64_t p = p0; p < p0 + count;) {
    const int64_t tap = p / w.channels, channel = p % w.channels;
    const int64_t tapX = tap % w.x.taps.count, row = tap / w.x.taps.count;
    const int64_t z = w.z.taps[row / w.y.taps.count], y = w.y.taps[row % w.y.taps.count], x = w.x.taps[tapX];
    const int64_t adjacent = w.x.taps.step == 1 ? w.x.taps.count - tapX : 1;
    const int64_t length = smaller(p0 + count - p, adjacent * w.channels - channel);
    pieces[n++] = {z, y, x, x + (channel + length - 1) / w.channels, channel, length,
                   placeOf(w, 0, z, y, x) + static_cast<uint64_t>(channel)};
    p += length;
  }
  return n;
}

/** Copies the pieces of the patch at a position, one after another; absent elements become 0. */
static inline void gather(const Windows& w, const Walk& at, const Piece* pieces, int64_t n, float* to) {
  if (at.rowCovered && w.x.covers(at.x)) {
    // Offsets ascend, but for a dilation of 0: if the last piece may be read in whole vectors, so may all.
    const float* last = w.images + (at.start + (n > 0 ? pieces[n - 1].offset : 0));
    const bool ascending = w.z.ascends() && w.y.ascends() && w.x.ascends();
    const bool inVectors = n > 0 && ascending && w.limit - last >= pieces[n - 1].length + width;
    for (int64_t i = 0; i < n; ++i) {
      const float* from = w.images + (at.start + pieces[i].offset);
      if (inVectors) {
        for (int64_t j = 0; j < pieces[i].length; j += width) store(to + j, load(from + j));
      } else {
        copyRun(to, from, pieces[i].length, w.limit);
      }
      to += pieces[i].length;
    }
    return;
  }
  const int64_t z = at.z * w.z.stride, y = at.y * w.y.stride, x = at.x * w.x.stride;
  for (int64_t i = 0; i < n; ++i) {
    const Piece& piece = pieces[i];
    const int64_t x0 = x + piece.firstX, x1 = x + piece.lastX;
    if (!within(z + piece.z, w.z.size) || !within(y + piece.y, w.y.size) || x1 < 0 || x0 >= w.x.size) {
      zeroRun(to, piece.length);
    } else if (x0 >= 0 && x1 < w.x.size) {
      copyRun(to, w.images + (at.start + piece.offset), piece.length, w.limit);
    } else {
      // Of a row of the image, from its first float on; `first` may lie before it.
      const int64_t first = x0 * w.channels + piece.channel, end = w.x.size * w.channels;
      const int64_t before = larger(0, -first), inside = smaller(piece.length, end - first);
      const float* row = w.images + (at.start + piece.offset - static_cast<uint64_t>(first));
      zeroRun(to, before);
      copyRun(to + before, row + (first + before), inside - before, w.limit);
      zeroRun(to + inside, piece.length - inside);
    }
    to += piece.length;
  }
}

/** Adds the pieces of the patch at a position, one after another at `from`, to the image; absent elements are left out. */
static inline void scatterAdd(const Windows& w, float* images, const Walk& at, const Piece* pieces, int64_t n,
                              const float* from) {
  const bool covered = at.rowCovered && w.x.covers(at.x);
  const int64_t z = at.z * w.z.stride, y = at.y * w.y.stride, x = at.x * w.x.stride;
  for (int64_t i = 0; i < n; from += pieces[i++].length) {
    const Piece& piece = pieces[i];
    float* to = images + (at.start + piece.offset);
    int64_t before = 0, end = piece.length;
    if (!covered) {
      if (!within(z + piece.z, w.z.size) || !within(y + piece.y, w.y.size)) continue;
      // Of a row of the image, from its first float on; may lie before it, or behind its end.
      const int64_t first = (x + piece.firstX) * w.channels + piece.channel;
      before = larger(0, -first);
      end = smaller(end, w.x.size * w.channels - first);
    }
    for (int64_t j = before; j < end; j += width) {
      const int64_t count = smaller(width, end - j);
      storeFirst(to + j, add(loadFirst(to + j, count), loadFirst(from + j, count)), count);
    }
  }
}

/**
 * One patch element at a position, null where it is absent. For the slow loops that values which are not finite need:
 * 0 times NaN or infinity would be NaN where the definition has no term at all.
 */
static inline const float* elementAt(const Windows& w, const Walk& at, const Piece& piece) {
  const int64_t z = at.z * w.z.stride + piece.z, y = at.y * w.y.stride + piece.y, x = at.x * w.x.stride + piece.firstX;
  if (!within(z, w.z.size) || !within(y, w.y.size) || !within(x, w.x.size)) return nullptr;
  return w.images + (at.start + piece.offset);
}

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
      gather(windows, walk, pieces, n, panel + k * panelWidth);
    }
    return {panel, panelWidth};
  }
};

/** Patches with their elements along the depth: element (k, i) is patch element k of position i. For one thread. */
struct PatchRows {
  static constexpr Layout layout = Layout::rows;
  const Windows& windows;
  // The cut of the last block of depth, which many rows have in common.
  mutable Piece pieces[blockDepth];
  mutable int64_t cutFrom = 0, cutDepth = 0, cuts = 0;

  explicit PatchRows(const Windows& windows_) : windows(windows_) {}

  Panel pack(int64_t from, int64_t depth, int64_t first, int64_t count, int64_t, float* panel) const {
    if (from != cutFrom || depth != cutDepth) {
      cuts = cutPatch(windows, from, depth, pieces);
      cutFrom = from;
      cutDepth = depth;
    }
    Walk walk(windows, first);
    for (int64_t i = 0; i < count; ++i, walk.next(windows)) {
      gather(windows, walk, pieces, cuts, panel + i * rowStride);
    }
    return {panel, rowStride};
  }
};

}  // namespace engram::ENGRAM_ISA
