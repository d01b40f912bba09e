// The shape of a row of the kernel table, as kernel_table.h spells the rows.
#pragma once
#include <cstdint>

namespace engram {

struct ParamRow {
  const char* name;
  const char* expected;  // for messages: "a whole number (samples)"
  enum Kind { size, choice, scalar } kind;
  double most;  // of a size, or of the index of a choice
};

struct BufferRow {
  const char* name;
  enum Access { read, read_write, write } access;
  enum Type { f32, u32, i32 } type;
  const char* length;  // for messages: "samples x outputs"
  int factorCount;
  int factors[8];  // parameters whose product is the length in elements
};

struct Row {
  const char* name;
  int paramCount;
  const ParamRow* params;
  int bufferCount;
  const BufferRow* buffers;
};

}  // namespace engram
