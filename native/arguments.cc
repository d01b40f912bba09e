// The checks of a call's arguments at the N-API edge. node-addon-api's As<>() checks nothing, so the raw interface is
// asked for everything: type, length, whether the memory is still there, and where it lies.
#include "arguments.h"

#include <cmath>
#include <cstring>
#include <string>

#include "kernel_table.h"
#include "relations.h"

namespace engram {

std::string number(double x) {
  if (std::isnan(x)) return "not a number";
  if (x == std::floor(x) && std::fabs(x) < 1e15) return std::to_string(static_cast<long long>(x));
  return std::to_string(x);
}

std::string describe(napi_env env, napi_value value) {
  static const char* const kinds[] = {"Int8Array",   "Uint8Array",  "Uint8ClampedArray", "Int16Array",
                                      "Uint16Array", "Int32Array",  "Uint32Array",       "Float32Array",
                                      "Float64Array", "BigInt64Array", "BigUint64Array"};
  bool typed = false;
  napi_is_typedarray(env, value, &typed);
  napi_typedarray_type type;
  if (typed && napi_get_typedarray_info(env, value, &type, nullptr, nullptr, nullptr, nullptr) == napi_ok) {
    return type <= napi_biguint64_array ? kinds[type] : "a typed array of another kind";
  }
  napi_valuetype kind = napi_undefined;
  napi_typeof(env, value, &kind);
  if (kind == napi_undefined || kind == napi_null) return "nothing";
  return kind == napi_number ? "a number" : kind == napi_string ? "a string" : "something else";
}

namespace {

template <int count>
constexpr bool fit(const Row (&rows)[count]) {
  for (const Row& row : rows) {
    if (row.paramCount > mostParams || row.bufferCount > mostBuffers) return false;
  }
  return true;
}
static_assert(fit(kernelRows) && fit(operationRows), "Arguments has too little room for a row");

struct Memory {
  char* data;
  size_t bytes;
};

/** What typed array a buffer of each type is, by BufferRow::Type. */
struct ArrayType {
  napi_typedarray_type type;
  const char* name;
  size_t element;
};
constexpr ArrayType arrayTypes[] = {{napi_float32_array, "Float32Array", 4},
                                    {napi_uint32_array, "Uint32Array", 4},
                                    {napi_int32_array, "Int32Array", 4},
                                    {napi_uint8_array, "Uint8Array", 1},
                                    {napi_float32_array, "Float32Array, Int32Array or Uint32Array", 4}};
constexpr ArrayType doubles = {napi_float64_array, "Float64Array", 8};

bool accepts(const ArrayType& wanted, napi_typedarray_type type) {
  if (&wanted != &arrayTypes[BufferRow::x32]) return type == wanted.type;
  return type == napi_float32_array || type == napi_int32_array || type == napi_uint32_array;
}

/** The memory of a typed array of exactly this type, still attached and aligned; name() is for messages. */
template <class Name>
Memory memoryOf(Napi::Env env, napi_value value, const ArrayType& wanted, Name name) {
  bool typed = false;
  napi_typedarray_type type = napi_int8_array;
  size_t length = 0;
  void* data = nullptr;
  napi_value buffer = nullptr;
  napi_is_typedarray(env, value, &typed);
  if (!typed || napi_get_typedarray_info(env, value, &type, &length, &data, &buffer, nullptr) != napi_ok ||
      !accepts(wanted, type)) {
    throw refusal(env, "DTYPE", name() + " to be a " + wanted.name, describe(env, value),
                  "Convert the data first; Engram computes in 32-bit floats.");
  }
  bool detached = false;
  napi_is_detached_arraybuffer(env, buffer, &detached);
  if (detached) {
    throw refusal(env, "DETACHED", name() + " to have its memory", "an array whose memory was transferred away",
                  "Pass a copy to postMessage or structuredClone, or make a new array.");
  }
  if (reinterpret_cast<uintptr_t>(data) % wanted.element != 0) {
    throw refusal(env, "ARGUMENT", name() + " to be aligned to its elements", "an array at an odd address",
                  "Copy the array with slice().");
  }
  // An empty array may have no address, and kernels add to addresses before they see that there is nothing to read.
  alignas(64) static char nothing[64];
  return {length == 0 ? nothing : static_cast<char*>(data), length * wanted.element};
}

void checkParam(Napi::Env env, const Row& row, const ParamRow& param, double value) {
  const double least = param.kind == ParamRow::step ? -param.most : 0;
  const bool whole = value == std::floor(value) && value >= least && value <= param.most;
  if (param.kind == ParamRow::scalar ? !std::isnan(value) : whole) return;
  throw refusal(env, "ARGUMENT", std::string(row.name) + "." + param.name + " to be " + param.expected,
                param.kind == ParamRow::choice ? "another value" : number(value),
                "Pass every parameter that the kernel table lists for this kernel.");
}

/** Whether a walk stays in its buffer. Sums of products below 2^106 are exact enough in doubles to tell. */
void checkReach(Napi::Env env, const Row& row, const Reach& reach, const double* params, double length) {
  double lowest = reach.start < 0 ? 0 : params[reach.start], highest = lowest;
  for (int k = 0; k < reach.axes; ++k) {
    const double count = params[reach.counts[k]];
    if (count == 0) return;  // nothing is touched
    const double last = (count - 1) * params[reach.steps[k]];
    (last < 0 ? lowest : highest) += last;
  }
  if (lowest >= 0 && highest < length) return;
  throw refusal(env, "ARGUMENT",
                std::string(row.name) + "." + row.buffers[reach.buffer].name + " to be walked within its " +
                    number(length) + " elements",
                "a walk from " + number(lowest) + " to " + number(highest), "Check starts, counts and steps.");
}

}  // namespace

Napi::Error refusal(Napi::Env env, const char* code, const std::string& expected, const std::string& received,
                    const std::string& remedy) {
  Napi::Error error = Napi::Error::New(env, "expected " + expected + ", got " + received + ". " + remedy);
  error.Set("code", code);
  error.Set("expected", expected);
  error.Set("received", received);
  error.Set("remedy", remedy);
  return error;
}

Arguments readArguments(Napi::Env env, const Row& row, const Napi::Value& params, const Napi::Value& buffers) {
  Arguments arguments;
  // Elements first: reading them may run a getter, and nothing looked at before would still be sure afterwards.
  napi_value values[mostBuffers];
  for (int i = 0; i < row.bufferCount; ++i) {
    napi_value none;
    napi_get_undefined(env, &none);
    values[i] = none;
    if (!buffers.IsObject()) continue;
    if (napi_get_element(env, buffers, static_cast<uint32_t>(i), &values[i]) != napi_ok) {
      throw Napi::Error::New(env);
    }
  }

  const Memory packed = memoryOf(env, params, doubles, [&] { return std::string(row.name) + "'s parameters"; });
  if (packed.bytes != static_cast<size_t>(row.paramCount) * sizeof(double)) {
    throw refusal(env, "ARGUMENT", std::string(row.name) + " to have " + std::to_string(row.paramCount) + " parameters",
                  std::to_string(packed.bytes / sizeof(double)),
                  "Pass every parameter that the kernel table lists for this kernel.");
  }
  for (int i = 0; i < row.paramCount; ++i) {
    arguments.params[i] = reinterpret_cast<const double*>(packed.data)[i];
    checkParam(env, row, row.params[i], arguments.params[i]);
  }
  checkRelations(env, row, arguments.params);

  Memory memories[mostBuffers];
  for (int i = 0; i < row.bufferCount; ++i) {
    const BufferRow& buffer = row.buffers[i];
    const auto name = [&] { return std::string(row.name) + "." + buffer.name; };
    const ArrayType& type = arrayTypes[buffer.type];
    memories[i] = memoryOf(env, values[i], type, name);
    double length = 1;
    for (int j = 0; j < buffer.factorCount; ++j) length *= arguments.params[buffer.factors[j]];
    const size_t elements = memories[i].bytes / type.element;
    if (static_cast<double>(elements) != length) {
      throw refusal(env, "SHAPE", name() + " to have " + buffer.length + " = " + number(length) + " elements",
                    std::to_string(elements), "Check the shapes against the parameters.");
    }
    arguments.buffers[i] = memories[i].data;
    arguments.arrays[i] = values[i];
  }
  for (int i = 0; i < row.reachCount; ++i) {
    const int buffer = row.reaches[i].buffer;
    const size_t element = arrayTypes[row.buffers[buffer].type].element;
    checkReach(env, row, row.reaches[i], arguments.params, static_cast<double>(memories[buffer].bytes / element));
  }
  for (int i = 0; i < row.bufferCount; ++i) {
    if (row.buffers[i].access == BufferRow::read) continue;
    for (int j = 0; j < row.bufferCount; ++j) {
      const bool apart = memories[i].data + memories[i].bytes <= memories[j].data ||
                         memories[j].data + memories[j].bytes <= memories[i].data;
      if (i == j || apart || memories[i].bytes == 0 || memories[j].bytes == 0) continue;
      throw refusal(env, "ARGUMENT",
                    std::string(row.name) + "." + row.buffers[i].name + ", which is written, to share no memory with another buffer",
                    std::string("memory of ") + row.buffers[j].name + " too", "Pass a copy made with slice().");
    }
  }
  return arguments;
}

void checkShared(Napi::Env env, const Row& row, const Arguments& arguments) {
  for (int i = 0; i < row.bufferCount; ++i) {
    napi_value buffer = nullptr;
    bool lent = true;  // is_arraybuffer denies it of a SharedArrayBuffer
    if (napi_get_typedarray_info(env, arguments.arrays[i], nullptr, nullptr, nullptr, &buffer, nullptr) == napi_ok) {
      napi_is_arraybuffer(env, buffer, &lent);
    }
    if (!lent) continue;
    throw refusal(env, "ARGUMENT", std::string(row.name) + "." + row.buffers[i].name + " to lie in a SharedArrayBuffer",
                  "an ArrayBuffer, which may be freed meanwhile", "Copy the array into shared memory first.");
  }
}

}  // namespace engram
