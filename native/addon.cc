// The addon: kernels and their settings as functions for JavaScript (interface Addon in src/kernels/addon.ts).
// No state of its own: instruction set and threads belong to the process, whichever worker_thread asks.
#include <dlfcn.h>
#include <napi.h>

#include <new>
#include <string>

#include "arguments.h"
#include "async.h"
#include "core/instruction_set.h"
#include "core/memory.h"
#include "core/pool.h"

namespace engram {
namespace {

constexpr int kernelCount = sizeof kernelRows / sizeof kernelRows[0];
constexpr int operationCount = sizeof operationRows / sizeof operationRows[0];

using Call = void (*)(const InstructionSet&, const Arguments&);
#define ENGRAM_CALL(kernel) \
  [](const InstructionSet& set, const Arguments& a) { set.kernel(read_##kernel(a.params, a.buffers)); },
constexpr Call kernelCalls[] = {ENGRAM_KERNELS(ENGRAM_CALL)};
constexpr Call operationCalls[] = {ENGRAM_OPERATIONS(ENGRAM_CALL)};
#undef ENGRAM_CALL

/** The number of a row, the first argument of a call. */
int readIndex(const Napi::CallbackInfo& info, int count) {
  const double index = info[0].IsNumber() ? info[0].As<Napi::Number>().DoubleValue() : -1;
  if (index >= 0 && index < count && index == static_cast<int>(index)) return static_cast<int>(index);
  throw refusal(info.Env(), "ARGUMENT", "the number of a kernel, below " + std::to_string(count),
                info[0].IsNumber() ? "another number" : "no number", "Build the addon: npm run build:native.");
}

/** Checks the arguments (index, params, buffers), then runs row number `index`. */
Napi::Value runRow(const Napi::CallbackInfo& info, const Row* rows, const Call* calls, int count) {
  const Napi::Env env = info.Env();
  const int row = readIndex(info, count);
  const Arguments arguments = readArguments(env, rows[row], info[1], info[2]);
  try {
    calls[row](instructionSet(), arguments);
  } catch (const std::bad_alloc&) {
    throw Napi::Error::New(env, std::string("engram: out of memory in ") + rows[row].name);
  }
  return env.Undefined();
}

Napi::Value run(const Napi::CallbackInfo& info) { return runRow(info, kernelRows, kernelCalls, kernelCount); }
Napi::Value operate(const Napi::CallbackInfo& info) {
  return runRow(info, operationRows, operationCalls, operationCount);
}

/** Refuses what run() would refuse, and does nothing else. */
Napi::Value check(const Napi::CallbackInfo& info) {
  readArguments(info.Env(), kernelRows[readIndex(info, kernelCount)], info[1], info[2]);
  return info.Env().Undefined();
}

/** Starts (index, params, shared buffers, done) on the background thread; returns a function that cancels it. */
Napi::Value start(const Napi::CallbackInfo& info) {
  const int index = readIndex(info, kernelCount);
  const Row& row = kernelRows[index];
  const Arguments arguments = readArguments(info.Env(), row, info[1], info[2]);
  checkShared(info.Env(), row, arguments);
  const auto work = [index, arguments, &set = instructionSet()] { kernelCalls[index](set, arguments); };
  return runInBackground(info.Env(), row, arguments, work, info[3]);
}

Napi::Value getInstructionSet(const Napi::CallbackInfo& info) {
  return Napi::String::New(info.Env(), instructionSet().name);
}

Napi::Value getInstructionSets(const Napi::CallbackInfo& info) {
  Napi::Array names = Napi::Array::New(info.Env());
  for (uint32_t i = 0; usableSets()[i]; ++i) names.Set(i, usableSets()[i]->name);
  return names;
}

Napi::Value setInstructionSet(const Napi::CallbackInfo& info) {
  const std::string wanted = info[0].IsString() ? info[0].As<Napi::String>().Utf8Value() : "no string";
  std::string names;
  for (int i = 0; usableSets()[i]; ++i) {
    if (wanted == usableSets()[i]->name) {
      chooseInstructionSet(*usableSets()[i]);
      return info.Env().Undefined();
    }
    names += std::string(i ? ", " : "") + usableSets()[i]->name;
  }
  throw refusal(info.Env(), "ARGUMENT", "an instruction set of this machine (" + names + ")", wanted,
                "Choose one of instructionSets().");
}

Napi::Value getThreads(const Napi::CallbackInfo& info) { return Napi::Number::New(info.Env(), threadCount()); }

Napi::Value setThreads(const Napi::CallbackInfo& info) {
  const double count = info[0].IsNumber() ? info[0].As<Napi::Number>().DoubleValue() : 0;
  if (!(count >= 1 && count <= 256) || count != static_cast<int>(count)) {
    throw refusal(info.Env(), "ARGUMENT", "a whole number of threads from 1 to 256",
                  info[0].IsNumber() ? number(count) : describe(info.Env(), info[0]),
                  "Pass os.availableParallelism(), say.");
  }
  setThreadCount(static_cast<int>(count));
  return info.Env().Undefined();
}

Napi::Value keepFreed(const Napi::CallbackInfo& info) {
  keepFreedMemory();
  return info.Env().Undefined();
}

/** The names of all rows, for the test that compares them with the TypeScript table. */
Napi::Array describeRows(Napi::Env env, const Row* rows, int count) {
  Napi::Array list = Napi::Array::New(env);
  for (int i = 0; i < count; ++i) {
    Napi::Object row = Napi::Object::New(env);
    Napi::Array params = Napi::Array::New(env), buffers = Napi::Array::New(env);
    for (int j = 0; j < rows[i].paramCount; ++j) params.Set(static_cast<uint32_t>(j), rows[i].params[j].name);
    for (int j = 0; j < rows[i].bufferCount; ++j) buffers.Set(static_cast<uint32_t>(j), rows[i].buffers[j].name);
    row.Set("name", rows[i].name);
    row.Set("params", params);
    row.Set("buffers", buffers);
    list.Set(static_cast<uint32_t>(i), row);
  }
  return list;
}

/** Keeps the library in memory: Node unloads it with the worker_thread that loaded it, under the pool's threads. */
void stayLoaded() {
  Dl_info library;
  if (dladdr(reinterpret_cast<void*>(&stayLoaded), &library)) dlopen(library.dli_fname, RTLD_NOW | RTLD_NODELETE);
}

Napi::Object init(Napi::Env env, Napi::Object exports) {
  stayLoaded();
  exports.Set("run", Napi::Function::New(env, run, "run"));
  exports.Set("operate", Napi::Function::New(env, operate, "operate"));
  exports.Set("check", Napi::Function::New(env, check, "check"));
  exports.Set("start", Napi::Function::New(env, start, "start"));
  exports.Set("table", describeRows(env, kernelRows, kernelCount));
  exports.Set("operations", describeRows(env, operationRows, operationCount));
  exports.Set("instructionSet", Napi::Function::New(env, getInstructionSet, "instructionSet"));
  exports.Set("instructionSets", Napi::Function::New(env, getInstructionSets, "instructionSets"));
  exports.Set("setInstructionSet", Napi::Function::New(env, setInstructionSet, "setInstructionSet"));
  exports.Set("threads", Napi::Function::New(env, getThreads, "threads"));
  exports.Set("setThreads", Napi::Function::New(env, setThreads, "setThreads"));
  exports.Set("keepFreedMemory", Napi::Function::New(env, keepFreed, "keepFreedMemory"));
  return exports;
}

}  // namespace
}  // namespace engram

static Napi::Object engramInit(Napi::Env env, Napi::Object exports) { return engram::init(env, exports); }
NODE_API_MODULE(engram_native, engramInit)
