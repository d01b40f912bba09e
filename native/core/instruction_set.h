// One table of functions per instruction set, and the choice among them at run time.
#pragma once
#include "../kernel_table.h"

namespace engram {

struct InstructionSet {
  const char* name;
#define ENGRAM_FUNCTION(kernel) void (*kernel)(const kernel##_call&);
  ENGRAM_KERNELS(ENGRAM_FUNCTION)
  ENGRAM_OPERATIONS(ENGRAM_FUNCTION)
#undef ENGRAM_FUNCTION
};

extern const InstructionSet avx512Set, avx2Set, neonSet, scalarSet;

/** Instruction sets of this build that the machine can run, the best first; `scalar` always. Ends with null. */
const InstructionSet* const* usableSets();
/** The one in use: the best, unless another was chosen. */
const InstructionSet& instructionSet();
void chooseInstructionSet(const InstructionSet& set);

}  // namespace engram
