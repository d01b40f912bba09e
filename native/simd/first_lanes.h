// Loads and stores of some lanes, for instruction sets without masks; included by their headers.
namespace engram::ENGRAM_ISA {

/** The first n floats, and zeros in the other lanes; 0 <= n <= width. */
static inline Vec loadFirst(const float* p, int64_t n) {
  float lanes[width] = {};
  for (int64_t i = 0; i < n; ++i) lanes[i] = p[i];
  return load(lanes);
}
static inline void storeFirst(float* p, Vec x, int64_t n) {
  float lanes[width];
  store(lanes, x);
  for (int64_t i = 0; i < n; ++i) p[i] = lanes[i];
}

}  // namespace engram::ENGRAM_ISA
