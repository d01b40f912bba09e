// The micro-kernel: one tile of a matrix product, its sums in registers. Everything else only feeds it.
#pragma once
#include <cstdint>
#include <utility>

namespace engram::ENGRAM_ISA {

/** What becomes of a tile's sums g: C = g, C += g, C += |g|, C += g². */
enum class End { store, add, abs, square };

/** What is summed: the products a·b; or their squares, which for one position a sample is phi(g) itself. */
enum class Term { product, square };

/** How a panel of the left operand lies: element (k, i) at [k * stride + i], or at [i * rowStride + k]. */
enum class Layout { columns, rows };

constexpr int tileWidth = tileVectors * width;

/** Depth of a block: a left panel stays in the first cache, the block of the right operand in the second. */
constexpr int64_t blockDepth = 256;

/** Floats between the rows of a panel of rows. A constant: the micro-kernel addresses them all by one register. */
constexpr int64_t rowStride = blockDepth + width;

/**
 * g[i][j] = sum over k of a(k, i) * b[k * bStride + j], plus carry[i * tileWidth + j] if there is a carry; then
 * C[i * cStride + j] as `end` says.
 */
template <int Rows, int Vectors, Term term, Layout layout>
static void tile(int64_t depth, const float* a, int64_t aStride, const float* b, int64_t bStride, const float* carry,
                 float* c, int64_t cStride, End end) {
  Vec g[Rows][Vectors];
#pragma GCC unroll 16
  for (int i = 0; i < Rows; ++i) {
#pragma GCC unroll 2
    for (int j = 0; j < Vectors; ++j) g[i][j] = zero();
  }
  // C comes from a cache further away than the panels: asked for now, it is there when the sums are.
#pragma GCC unroll 16
  for (int i = 0; i < Rows; ++i) {
#pragma GCC unroll 2
    for (int j = 0; j < Vectors; ++j) __builtin_prefetch(c + i * cStride + (j + Vectors) * width, 1);
  }
  for (int64_t k = 0; k < depth; ++k) {
    Vec row[Vectors];
#pragma GCC unroll 2
    for (int j = 0; j < Vectors; ++j) row[j] = load(b + j * width);
#pragma GCC unroll 16
    for (int i = 0; i < Rows; ++i) {
      const Vec x = set(layout == Layout::columns ? a[i] : a[i * rowStride]);
#pragma GCC unroll 2
      for (int j = 0; j < Vectors; ++j) {
        if (term == Term::product) {
          g[i][j] = fma(x, row[j], g[i][j]);
        } else {
          const Vec product = mul(x, row[j]);
          g[i][j] = fma(product, product, g[i][j]);
        }
      }
    }
    a += layout == Layout::columns ? aStride : 1;
    b += bStride;
  }
  // The blocks of a long sum are added here, not chained through the accumulators: its error grows less.
  if (carry) {
#pragma GCC unroll 16
    for (int i = 0; i < Rows; ++i) {
#pragma GCC unroll 2
      for (int j = 0; j < Vectors; ++j) g[i][j] = add(g[i][j], load(carry + i * tileWidth + j * width));
    }
  }
  // Else the compiler keeps the rows' addresses since the prefetch, in memory: there are more than registers.
  float* row = c;
  __asm__("" : "+r"(row));
#define ENGRAM_FINISH(value)                                            \
  _Pragma("GCC unroll 16") for (int i = 0; i < Rows; ++i, row += cStride) { \
    _Pragma("GCC unroll 2") for (int j = 0; j < Vectors; ++j) {         \
      float* to = row + j * width;                                      \
      store(to, value);                                                 \
    }                                                                   \
  }
  switch (end) {
    case End::store:
      ENGRAM_FINISH(g[i][j])
      break;
    case End::add:
      ENGRAM_FINISH(add(load(to), g[i][j]))
      break;
    case End::abs:
      ENGRAM_FINISH(add(load(to), abs(g[i][j])))
      break;
    case End::square:
      ENGRAM_FINISH(fma(g[i][j], g[i][j], load(to)))
      break;
  }
#undef ENGRAM_FINISH
}

using Tile = void (*)(int64_t, const float*, int64_t, const float*, int64_t, const float*, float*, int64_t, End);

/** Micro-kernels of 1..tileHeight rows, so that no row at an edge is computed in vain. */
template <int Vectors, Term term, Layout layout>
struct Tiles {
  template <int... I>
  static const Tile* list(std::integer_sequence<int, I...>) {
    static constexpr Tile tiles[] = {tile<I + 1, Vectors, term, layout>...};
    return tiles;
  }
};

template <Term term, Layout layout>
static Tile tileOf(int64_t rows, int64_t columns) {
  constexpr auto heights = std::make_integer_sequence<int, tileHeight>();
  return columns <= width ? Tiles<1, term, layout>::list(heights)[rows - 1]
                          : Tiles<tileVectors, term, layout>::list(heights)[rows - 1];
}

/** Adds the sums of a tile that is wider than the matrix: the part of `g` that lies inside. */
static inline void finishEdge(const float* g, int64_t rows, int64_t columns, float* c, int64_t cStride, End end) {
  for (int64_t i = 0; i < rows; ++i) {
    for (int64_t j = 0; j < columns; ++j) {
      const float x = g[i * tileWidth + j];
      float& to = c[i * cStride + j];
      to = end == End::store ? x : to + (end == End::add ? x : end == End::abs ? __builtin_fabsf(x) : x * x);
    }
  }
}

}  // namespace engram::ENGRAM_ISA
