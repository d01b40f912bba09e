// Calls whose shapes, strides and places come from bytes, on buffers of exactly the size that a call may touch, against
// plain loops in double: what sanitizers are to see. With -DENGRAM_FUZZ=ON libFuzzer chooses the bytes. Without it this
// is a test of inputs by number, `fuzz [inputs] [first]`, and `fuzz 1 NUMBER` repeats the one that failed.
#include <csignal>
#include <cstdlib>

#include "../core/instruction_set.h"
#include "../core/pool.h"
#include "fuzz/products.h"
#include "fuzz/walks.h"
#include "fuzz/windows.h"

using namespace engram;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using Target = void (*)(const InstructionSet&, Bytes&);
  static constexpr Target targets[] = {fuzzMatmul, fuzzConvolution, fuzzVolumes, fuzzGradMoment, fuzzDepthwise,
                                       fuzzPooling, fuzzCopy,        fuzzBroadcast, fuzzReduce};
  constexpr int64_t targetCount = sizeof targets / sizeof targets[0];
  int64_t sets = 0;
  while (usableSets()[sets]) ++sets;
  Bytes bytes(data, size);
  const Target target = targets[bytes.pick(0, targetCount - 1)];
  const InstructionSet& set = *usableSets()[bytes.pick(0, sets - 1)];
  target(set, bytes);
  if (failures > 0) {
    std::printf("with %s\n", set.name);
    std::fflush(stdout);
    std::abort();  // how libFuzzer learns of it
  }
  return 0;
}

#ifndef ENGRAM_FUZZ
namespace {

/** The input under way. */
long long number = 0;

void report(int) { std::fprintf(stderr, "input %lld: fuzz 1 %lld repeats it\n", number, number); }

}  // namespace

/** A report of a sanitizer ends the process by SIGABRT as a failed comparison does. */
extern "C" const char* __asan_default_options() { return "abort_on_error=1"; }
extern "C" const char* __ubsan_default_options() { return "abort_on_error=1:print_stacktrace=1"; }

int main(int count, char** arguments) {
  const long long inputs = count > 1 ? std::atoll(arguments[1]) : 80000, first = count > 2 ? std::atoll(arguments[2]) : 0;
  std::signal(SIGABRT, report);
  setThreadCount(3);
  for (number = first; number < first + inputs; ++number) {
    uint8_t data[96];
    uint64_t state = static_cast<uint64_t>(number) + 1;
    for (uint8_t& byte : data) {
      state = state * 6364136223846793005u + 1442695040888963407u;
      byte = static_cast<uint8_t>(state >> 56);
    }
    LLVMFuzzerTestOneInput(data, sizeof data);
  }
  std::printf("fuzz: %lld inputs passed\n", inputs);
  return 0;
}
#endif
