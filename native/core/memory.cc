// Blocks of the C library's, aligned to the vectors; each thread keeps two of them, for packing.
#include "memory.h"

#include <cstdlib>
#include <cstring>
#include <new>
#ifdef __GLIBC__
#include <malloc.h>
#endif

#include "pool.h"

namespace engram {
namespace {

float* allocate(int64_t floats) {
  constexpr size_t alignment = 64;
  const size_t bytes = (static_cast<size_t>(floats) * sizeof(float) + alignment - 1) / alignment * alignment;
  void* memory = nullptr;
  if (posix_memalign(&memory, alignment, bytes ? bytes : alignment) != 0) throw std::bad_alloc();
  return static_cast<float*>(memory);
}

/** Memory that a thread keeps. */
class Kept {
 public:
  ~Kept() { std::free(memory_); }
  float* atLeast(int64_t floats) {
    if (floats > floats_) {
      std::free(memory_);
      memory_ = nullptr;
      floats_ = 0;
      memory_ = allocate(floats);
      floats_ = floats;
    }
    return memory_;
  }

 private:
  float* memory_ = nullptr;
  int64_t floats_ = 0;
};
thread_local Kept own, ofCaller;

}  // namespace

float* scratch(int64_t floats) { return own.atLeast(floats); }
float* callerScratch(int64_t floats) { return ofCaller.atLeast(floats); }

float* zeroedFloats(int64_t floats) {
  constexpr int64_t piece = 1 << 22;
  checkpoint();
  float* memory = allocate(floats);
  try {
    for (int64_t i = 0; i < floats; i += piece) {
      std::memset(memory + i, 0, static_cast<size_t>(floats - i < piece ? floats - i : piece) * sizeof(float));
      checkpoint();
    }
  } catch (const Cancelled&) {
    std::free(memory);
    throw;
  }
  return memory;
}
void freeFloats(float* memory) { std::free(memory); }

void keepFreedMemory() {
#ifdef __GLIBC__
  mallopt(M_MMAP_THRESHOLD, 32 << 20);
  mallopt(M_TRIM_THRESHOLD, 256 << 20);
#endif
}

}  // namespace engram
