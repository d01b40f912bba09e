// The kernels for NEON. The only file compiled with its flags.
#include "../simd/neon.h"

#include "kernels.h"

namespace engram {
ENGRAM_SET(neonSet, "neon")
}  // namespace engram
