// Debian's OpenBLAS as a peer, if it is there: loaded at run time, so that the benchmark builds without it.
#pragma once
#include <dlfcn.h>

#include <cstdint>

namespace engram {

class OpenBlas {
 public:
  explicit OpenBlas(int threads) {
    void* library = dlopen("libopenblas.so.0", RTLD_NOW | RTLD_LOCAL);
    if (!library) return;
    sgemm_ = reinterpret_cast<Sgemm>(dlsym(library, "cblas_sgemm"));
    const auto setThreads = reinterpret_cast<void (*)(int)>(dlsym(library, "openblas_set_num_threads"));
    const auto core = reinterpret_cast<const char* (*)()>(dlsym(library, "openblas_get_corename"));
    if (setThreads) setThreads(threads);
    if (core) core_ = core();
  }
  explicit operator bool() const { return sgemm_ != nullptr; }
  /** The kernels it has chosen: by the processor, or by OPENBLAS_CORETYPE. */
  const char* core() const { return core_; }
  /** C = A B, square, row by row. */
  void multiply(int n, const float* a, const float* b, float* c) const {
    constexpr int rowMajor = 101, asItIs = 111;
    sgemm_(rowMajor, asItIs, asItIs, n, n, n, 1, a, n, b, n, 0, c, n);
  }

 private:
  using Sgemm = void (*)(int, int, int, int, int, int, float, const float*, int, const float*, int, float, float*, int);
  Sgemm sgemm_ = nullptr;
  const char* core_ = "unknown";
};

}  // namespace engram
