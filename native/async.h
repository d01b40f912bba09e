// Calls of the addon that run off the event loop.
#pragma once
#include <napi.h>

#include <functional>

#include "arguments.h"

namespace engram {

/**
 * Runs `work` on the background thread, and then `done` on the event loop with the outcome: "done", "cancelled" or
 * "out of memory". The arrays of the call stay alive until then; when the environment ends first (a worker_thread that
 * is terminated), it waits until the work has stopped.
 *
 * @returns a function that cancels the call
 * @throws Napi::Error with code ARGUMENT if `done` is no function
 */
Napi::Value runInBackground(Napi::Env env, const Row& row, const Arguments& arguments, std::function<void()> work,
                            const Napi::Value& done);

}  // namespace engram
