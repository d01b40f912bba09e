// Which instruction sets this build has, and which of them the machine can run.
#include "instruction_set.h"

#include <atomic>

namespace engram {
namespace {

struct Usable {
  const InstructionSet* sets[4] = {};
  Usable() {
    int count = 0;
#ifdef ENGRAM_HAS_AVX512
    if (__builtin_cpu_supports("avx512f")) sets[count++] = &avx512Set;
#endif
#ifdef ENGRAM_HAS_AVX2
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) sets[count++] = &avx2Set;
#endif
#ifdef ENGRAM_HAS_NEON
    sets[count++] = &neonSet;  // every AArch64 has it
#endif
    sets[count++] = &scalarSet;
  }
};

std::atomic<const InstructionSet*> chosen{nullptr};

}  // namespace

const InstructionSet* const* usableSets() {
  static const Usable usable;
  return usable.sets;
}

const InstructionSet& instructionSet() {
  const InstructionSet* set = chosen.load(std::memory_order_relaxed);
  return set ? *set : *usableSets()[0];
}

void chooseInstructionSet(const InstructionSet& set) { chosen.store(&set, std::memory_order_relaxed); }

}  // namespace engram
