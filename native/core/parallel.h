// Loops over tasks. In the namespace of the instruction set, like all that an instruction set's file instantiates:
// the linker must never replace the scalar copy of a function by one that needs AVX-512.
#pragma once
#include "memory.h"
#include "pool.h"

/** Before a loop whose arrays do not overlap (the edge has seen to it): without it some are not vectorised. */
#ifdef __clang__
#define ENGRAM_INDEPENDENT _Pragma("clang loop vectorize(assume_safety)")
#else
#define ENGRAM_INDEPENDENT _Pragma("GCC ivdep")
#endif

namespace engram::ENGRAM_ISA {

static inline int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }
static inline int64_t larger(int64_t a, int64_t b) { return a > b ? a : b; }
static inline int64_t ceilDivide(int64_t a, int64_t b) { return (a + b - 1) / b; }

/**
 * Below this many operations, some 25 microseconds, a call stays on its thread. Measured on two cores, pools, products,
 * depthwise convolutions and exp of so many: two threads take 0.6 to 0.8 of one's time while helpers still watch for the
 * next call, and 1.2 to 1.4 once they sleep. At a quarter nothing is won, at four times always.
 */
constexpr double smallWork = 1 << 20;

/** Operations that are taken at once: of many small tasks one by one, taking them would be most of the work. */
constexpr double groupWork = smallWork / 8;

/** Calls body(i) for i in 0..tasks-1; on several threads if the `work` (operations in all) is worth it. */
template <class Body>
static void parallel(int64_t tasks, double work, Body body) {
  if (tasks < 2 || work < smallWork) {
    for (int64_t i = 0; i < tasks; ++i) body(i);
    return;
  }
  const double groups = 1 + work / groupWork;
  const int64_t together = groups < static_cast<double>(tasks) ? ceilDivide(tasks, static_cast<int64_t>(groups)) : 1;
  auto group = [&](int64_t i) {
    for (int64_t j = i * together; j < smaller(tasks, (i + 1) * together); ++j) body(j);
  };
  runTasks(ceilDivide(tasks, together),
           [](void* context, int64_t i) { (*static_cast<decltype(group)*>(context))(i); }, &group);
}

/** Calls body(from, to) on pieces of 0..size-1; `cost` is the operations of one element. */
template <class Body>
static void parallelRanges(int64_t size, double cost, Body body) {
  const int64_t piece = cost < 64 ? 32768 : 1024;
  parallel(ceilDivide(size, piece), cost * static_cast<double>(size),
           [&](int64_t i) { body(i * piece, smaller(size, (i + 1) * piece)); });
}

/** Memory for one sum per part of the batch; zeroed, freed at the end of the scope. */
struct Sums {
  float* const memory;
  explicit Sums(int64_t floats) : memory(zeroedFloats(floats)) {}
  ~Sums() { freeFloats(memory); }
  Sums(const Sums&) = delete;
  Sums& operator=(const Sums&) = delete;
};

}  // namespace engram::ENGRAM_ISA
