// The kernels for AVX2 and FMA. The only file compiled with its flags.
#include "../simd/avx2.h"

#include "kernels.h"

namespace engram {
ENGRAM_SET(avx2Set, "avx2")
}  // namespace engram
