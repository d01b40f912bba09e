// Bias and activation, applied to a rectangle of results while it is in the cache. As tfjs' cpu backend has them.
#pragma once
#include "../core/math.h"

namespace engram::ENGRAM_ISA {

/** The choices of `activation` in the backend's table, in its order. */
enum class Activation { linear, relu, relu6, leakyrelu, elu, sigmoid };

/** What is left to do to a row of results; bias may be null. */
struct Finish {
  const float* bias;
  Activation activation;
  double alpha;

  void operator()(float* c, int64_t stride, int64_t rows, int64_t first, int64_t columns) const {
    if (!bias && activation == Activation::linear) return;
    for (int64_t i = 0; i < rows; ++i) row(c + i * stride, first, columns);
  }

 private:
  void row(float* __restrict c, int64_t first, int64_t columns) const {
    if (bias) {
      const float* __restrict b = bias + first;
      for (int64_t j = 0; j < columns; ++j) c[j] += b[j];
    }
    // Written so that NaN passes, and so that relu(-0) is +0.
    switch (activation) {
      case Activation::linear:
        break;
      case Activation::relu:
        for (int64_t j = 0; j < columns; ++j) c[j] = c[j] <= 0 ? 0 : c[j];
        break;
      case Activation::relu6:
        for (int64_t j = 0; j < columns; ++j) c[j] = c[j] <= 0 ? 0 : c[j] > 6 ? 6 : c[j];
        break;
      case Activation::leakyrelu:
        for (int64_t j = 0; j < columns; ++j) {
          const float scaled = static_cast<float>(alpha * c[j]);
          c[j] = c[j] < 0 ? scaled : c[j];
        }
        break;
      case Activation::elu:
        for (int64_t j = 0; j < columns; ++j) c[j] = exponentialLinear(c[j]);
        break;
      case Activation::sigmoid:
        for (int64_t j = 0; j < columns; ++j) c[j] = logistic(c[j]);
        break;
    }
  }
};

}  // namespace engram::ENGRAM_ISA
