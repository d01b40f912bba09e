// The kernels for no instruction set in particular. The only file compiled with its flags.
#include "../simd/scalar.h"

#include "kernels.h"

namespace engram {
ENGRAM_SET(scalarSet, "scalar")
}  // namespace engram
