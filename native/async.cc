// Calls that run off the event loop. Their arrays lie in SharedArrayBuffers (arguments.cc has seen to it): memory that
// nobody can transfer away or resize under the thread, and that a reference keeps alive.
#include "async.h"

#include <memory>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "core/background.h"

namespace engram {
namespace {

struct Pending;
void deliver(Napi::Env env, Napi::Function done, Pending* pending, void*);
using Delivery = Napi::TypedThreadSafeFunction<Pending, void, deliver>;

/** A call on its way, owned by its delivery. */
struct Pending {
  std::vector<Napi::ObjectReference> arrays;
  std::shared_ptr<BackgroundCall> call;
  Delivery delivery;
  Outcome outcome = Outcome::done;
};

/**
 * The end of an environment under a call. Hooks run in the reverse order of their making: this one before the
 * delivery's own and before references are dropped.
 */
void abandon(void* data) {
  const std::shared_ptr<BackgroundCall> call = static_cast<Pending*>(data)->call;
  call->cancel();
  call->wait();
}

void deliver(Napi::Env env, Napi::Function done, Pending* pending, void*) {
  if (env == nullptr) return;  // the environment is gone, and its promises with it
  napi_remove_env_cleanup_hook(env, abandon, pending);
  static const char* const names[] = {"done", "cancelled", "out of memory"};  // by Outcome
  done.Call({Napi::String::New(env, names[static_cast<int>(pending->outcome)])});
}

}  // namespace

Napi::Value runInBackground(Napi::Env env, const Row& row, const Arguments& arguments, std::function<void()> work,
                            const Napi::Value& done) {
  if (!done.IsFunction()) {
    throw refusal(env, "ARGUMENT", "a function for the outcome", "something else", "Pass (outcome) => {...}.");
  }
  auto owned = std::make_unique<Pending>();
  Pending* const pending = owned.get();
  for (int i = 0; i < row.bufferCount; ++i) {
    pending->arrays.push_back(Napi::Persistent(Napi::Object(env, arguments.arrays[i])));
  }
  pending->call = std::make_shared<BackgroundCall>(std::move(work), [pending](Outcome outcome) {
    pending->outcome = outcome;
    Delivery delivery = pending->delivery;  // the event loop may free `pending` once it is released
    delivery.NonBlockingCall();
    delivery.Release();
  });
  pending->delivery = Delivery::New(env, done.As<Napi::Function>(), std::string("engram ") + row.name, 0, 1, pending,
                                    [](Napi::Env, void*, Pending* finished) { delete finished; });
  owned.release();
  napi_add_env_cleanup_hook(env, abandon, pending);
  const std::shared_ptr<BackgroundCall> call = pending->call;
  try {
    BackgroundCall::submit(call);
  } catch (const std::system_error&) {
    napi_remove_env_cleanup_hook(env, abandon, pending);
    pending->delivery.Release();
    throw Napi::Error::New(env, std::string("engram: the system refuses a thread for ") + row.name);
  }
  return Napi::Function::New(env, [call](const Napi::CallbackInfo&) { call->cancel(); }, "cancel");
}

}  // namespace engram
