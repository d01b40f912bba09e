// Memory of the kernels' own: for packing, and for sums. Portable code: compiled without any instruction-set flag.
#pragma once
#include <cstdint>

namespace engram {

/** `floats` floats of this thread's own, aligned to 64 bytes, valid until its next call. Grows, never shrinks. */
float* scratch(int64_t floats);
/** Another such place, for what a caller packs for all its tasks, which have scratch() to themselves. */
float* callerScratch(int64_t floats);

/** `floats` zeroed floats, aligned to 64 bytes, freed with {@link freeFloats}. */
float* zeroedFloats(int64_t floats);
void freeFloats(float* memory);

/**
 * Tells the C library to keep freed blocks instead of giving them back to the system. Tensors come and go by the
 * megabyte; touching new pages for each of them costs several times what the kernels do.
 */
void keepFreedMemory();

}  // namespace engram
