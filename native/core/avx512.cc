// The kernels for AVX-512F. The only file compiled with its flags.
#include "../simd/avx512.h"

#include "kernels.h"

namespace engram {
ENGRAM_SET(avx512Set, "avx512")
}  // namespace engram
