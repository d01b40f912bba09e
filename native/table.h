// The shape of a row of the kernel table, as kernel_table.h spells the rows.
#pragma once
#include <cstdint>

namespace engram {

struct ParamRow {
  const char* name;
  const char* expected;  // for messages: "a whole number (samples)"
  enum Kind { size, choice, scalar, step } kind;
  double most;  // of a size, of the index of a choice, or of the magnitude of a step
};

struct BufferRow {
  const char* name;
  enum Access { read, read_write, write } access;
  enum Type { f32, u32, i32, u8, x32 } type;  // x32: any 32-bit words, moved and not computed with
  const char* length;  // for messages: "samples x outputs"
  int factorCount;
  int factors[8];  // parameters whose product is the length in elements
};

/** A walk through a buffer: the elements start + sum of i[k] * steps[k] with 0 <= i[k] < counts[k] must be in it. */
struct Reach {
  int buffer;
  int start;  // parameters, by number; -1: the walk begins at the first element
  int axes;
  int counts[6], steps[6];
};

struct Row {
  const char* name;
  int paramCount;
  const ParamRow* params;
  int bufferCount;
  const BufferRow* buffers;
  int reachCount;
  const Reach* reaches;
};

}  // namespace engram
