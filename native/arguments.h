// The checks of a call's arguments at the N-API edge, read off the kernel table. Nothing behind them checks again.
#pragma once
#include <napi.h>

#include <string>

#include "table.h"

namespace engram {

constexpr int mostParams = 40, mostBuffers = 8;

/** Checked arguments in the order of the row. */
struct Arguments {
  double params[mostParams];
  void* buffers[mostBuffers];
  napi_value arrays[mostBuffers];  // that the buffers belong to; for the length of the call
};

/**
 * Reads (index, params, buffers) of a JavaScript call, refusing whatever does not fit the row.
 *
 * @throws Napi::Error with `code` ARGUMENT, SHAPE, DTYPE or DETACHED, and `expected`, `received`, `remedy`
 */
Arguments readArguments(Napi::Env env, const Row& row, const Napi::Value& params, const Napi::Value& buffers);

/**
 * Refuses arrays outside SharedArrayBuffers. An ArrayBuffer can be transferred away and freed while a thread works on
 * it, whatever references to it exist; a SharedArrayBuffer cannot.
 *
 * @throws Napi::Error with `code` ARGUMENT
 */
void checkShared(Napi::Env env, const Row& row, const Arguments& arguments);

/** A number, and what a value is, for messages. */
std::string number(double x);
std::string describe(napi_env env, napi_value value);

/** An error that src/kernels/native.ts turns into an EngramError. */
Napi::Error refusal(Napi::Env env, const char* code, const std::string& expected, const std::string& received,
                    const std::string& remedy);

}  // namespace engram
