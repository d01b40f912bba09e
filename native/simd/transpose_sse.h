// 4x4 transpose for the x86 instruction sets; included by their headers, inside the namespace of each.
#include <immintrin.h>

namespace engram::ENGRAM_ISA {

/** to[j * stride + i] = row_i[j] for i, j in 0..3. */
static inline void transpose4(float* to, int64_t stride, const float* row0, const float* row1, const float* row2,
                              const float* row3) {
  __m128 a = _mm_loadu_ps(row0), b = _mm_loadu_ps(row1), c = _mm_loadu_ps(row2), d = _mm_loadu_ps(row3);
  _MM_TRANSPOSE4_PS(a, b, c, d);
  _mm_storeu_ps(to, a);
  _mm_storeu_ps(to + stride, b);
  _mm_storeu_ps(to + 2 * stride, c);
  _mm_storeu_ps(to + 3 * stride, d);
}

}  // namespace engram::ENGRAM_ISA
