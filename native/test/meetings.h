// Where windows meet pixels, by plain loops: the truth of convolutions and poolings.
#pragma once
#include <cstdint>

/** One axis of a sliding window. */
struct Axis {
  int64_t in, filter, out, stride, dilation, pad;
};
/** The depth of an image. */
const Axis flat{1, 1, 1, 1, 1, 0};

/** An axis padded alike at both ends. */
inline Axis padded(int64_t in, int64_t filter, int64_t stride, int64_t dilation, int64_t pad) {
  return {in, filter, (in + 2 * pad - (filter - 1) * dilation - 1) / stride + 1, stride, dilation, pad};
}

/** The windows of a call: its height and width, and its depth if it has one. */
template <class Call>
void setPlane(Call& s, int64_t samples, const Axis& y, const Axis& x) {
  s.samples = samples;
  s.inHeight = y.in, s.filterHeight = y.filter, s.outHeight = y.out;
  s.strideHeight = y.stride, s.dilationHeight = y.dilation, s.padTop = y.pad;
  s.inWidth = x.in, s.filterWidth = x.filter, s.outWidth = x.out;
  s.strideWidth = x.stride, s.dilationWidth = x.dilation, s.padLeft = x.pad;
}
template <class Call>
void setDepth(Call& s, const Axis& z) {
  s.inDepth = z.in, s.filterDepth = z.filter, s.outDepth = z.out;
  s.strideDepth = z.stride, s.dilationDepth = z.dilation, s.padFront = z.pad;
}

/** Runs body(pixel of the images, position of the grids, tap) for all that meet. */
template <class Call, class Body>
void forMeetings(const Call& s, const Axis& d, int64_t images, Body body) {
  const int64_t area = s.outHeight * s.outWidth, window = s.filterHeight * s.filterWidth;
  for (int64_t image = 0; image < images; ++image) {
    for (int64_t o = 0; o < d.out * area; ++o) {
      for (int64_t tap = 0; tap < d.filter * window; ++tap) {
        const int64_t oy = o % area / s.outWidth, tapY = tap % window / s.filterWidth;
        const int64_t z = o / area * d.stride + tap / window * d.dilation - d.pad;
        const int64_t y = oy * s.strideHeight + tapY * s.dilationHeight - s.padTop;
        const int64_t x = o % s.outWidth * s.strideWidth + tap % s.filterWidth * s.dilationWidth - s.padLeft;
        if (z < 0 || z >= d.in || y < 0 || y >= s.inHeight || x < 0 || x >= s.inWidth) continue;
        body(((image * d.in + z) * s.inHeight + y) * s.inWidth + x, image * d.out * area + o, tap);
      }
    }
  }
}

/** Sums of a convolution, forwards and back to its images, added by plain loops. */
template <class Call, class Values, class Sums>
void addConvolution(const Call& s, const Axis& depth, int64_t images, int64_t c, int64_t q, const Values& pixels,
                    const Values& filter, const Values& deltas, Sums* forward, Sums* backward) {
  forMeetings(s, depth, images, [&](int64_t pixel, int64_t o, int64_t tap) {
    for (int64_t i = 0; i < c; ++i) {
      for (int64_t j = 0; j < q; ++j) {
        const double weight = filter[(tap * c + i) * q + j];
        (*forward)[o * q + j] += pixels[pixel * c + i] * weight;
        (*backward)[pixel * c + i] += deltas[o * q + j] * weight;
      }
    }
  });
}
