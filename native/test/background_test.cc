// Calls in the background: their order, their end by cancelling, and the pool that they share with other callers.
// Under ThreadSanitizer this is the proof that nothing of a cancelled call goes on.
#include "../core/background.h"

#include <atomic>
#include <limits>
#include <memory>
#include <thread>
#include <vector>

#include "../core/instruction_set.h"
#include "../core/pool.h"
#include "check.h"

using namespace engram;

namespace {

/** A call and how it ended. */
struct Call {
  std::atomic<int> outcome{-1};
  std::shared_ptr<BackgroundCall> call;

  explicit Call(std::function<void()> work)
      : call(std::make_shared<BackgroundCall>(std::move(work), [this](Outcome o) { outcome = static_cast<int>(o); })) {
    BackgroundCall::submit(call);
  }
  void expect(Outcome wanted, const std::string& what) {
    call->wait();
    check(outcome == static_cast<int>(wanted), what + ": outcome " + std::to_string(outcome));
  }
};

void spin() {
  for (;;) checkpoint();
}

void await(const std::atomic<bool>& flag) {
  while (!flag) std::this_thread::yield();
}

void testOrder() {
  std::vector<int> order;
  std::vector<std::unique_ptr<Call>> calls;
  for (int i = 0; i < 100; ++i) calls.push_back(std::make_unique<Call>([&order, i] { order.push_back(i); }));
  for (auto& call : calls) call->expect(Outcome::done, "a call in a row");
  for (int i = 0; i < 100; ++i) check(order[static_cast<size_t>(i)] == i, "calls run in their order");
}

void testCancel() {
  std::atomic<bool> started{false};
  Call endless([&] {
    started = true;
    spin();
  });
  bool ran = false;
  Call waiting([&] { ran = true; });
  await(started);
  waiting.call->cancel();
  waiting.expect(Outcome::cancelled, "a waiting call, cancelled");
  check(endless.outcome == -1, "a running call goes on while another is cancelled");
  endless.call->cancel();
  endless.expect(Outcome::cancelled, "a running call, cancelled");
  check(!ran, "a call that was cancelled while it waited never runs");
  endless.call->cancel();
  waiting.call->cancel();

  Call after([] { checkpoint(); });
  after.expect(Outcome::done, "a call after a cancelled one");
  after.call->cancel();
  check(after.outcome == static_cast<int>(Outcome::done), "cancelling what is over changes nothing");

  Call large([] { throw std::bad_alloc(); });
  large.expect(Outcome::outOfMemory, "a call without memory");
}

/** All tasks of all threads end before the call does, and the memory that they wrote is free again. */
void testCancelTasks() {
  for (int round = 0; round < 200; ++round) {
    std::atomic<bool> started{false};
    auto memory = std::make_unique<std::vector<int64_t>>(1000);
    int64_t* const numbers = memory->data();
    Call call([&started, numbers] {
      auto task = [&started, numbers](int64_t i) {
        started = true;
        for (;;) {
          ++numbers[i];
          checkpoint();
        }
      };
      runTasks(1000, [](void* t, int64_t i) { (*static_cast<decltype(task)*>(t))(i); }, &task);
    });
    await(started);
    call.call->cancel();
    call.expect(Outcome::cancelled, "tasks, cancelled");
    memory.reset();
  }
}

/** A caller in the foreground takes the helpers away from the background, and both still do every task once. */
void testForegroundFirst() {
  constexpr int64_t count = 20000;
  std::vector<int> back(count), front(count);
  const auto increase = [](void* numbers, int64_t i) {
    for (volatile int spent = 0; spent < 100;) spent = spent + 1;
    ++(*static_cast<std::vector<int>*>(numbers))[static_cast<size_t>(i)];
  };
  std::atomic<bool> over{false};
  Call call([&] {
    for (int i = 0; i < 20; ++i) runTasks(count, increase, &back);
    over = true;
  });
  int rounds = 0;
  while (!over) {
    runTasks(count / 10, increase, &front);
    ++rounds;
  }
  call.expect(Outcome::done, "a call beside another caller");
  for (int64_t i = 0; i < count; ++i) {
    const size_t at = static_cast<size_t>(i);
    check(back[at] == 20 && front[at] == (i < count / 10 ? rounds : 0), "each task runs once");
  }
}

/** A kernel whose tasks are long: cancelled in the middle of its product, or of an empty place for NaN. */
void testCancelKernel(const InstructionSet& set, float oddDelta) {
  const int64_t side = 256, channels = 16, taps = 3;
  Floats activations(side * side * channels, 1), deltas(side * side * channels, 1), moment(taps * taps * channels * channels);
  deltas[0] = oddDelta;
  grad_moment_call s{};
  s.phi = grad_moment_phi::abs;
  s.samples = s.uses = 1;
  s.inDepth = s.outDepth = s.filterDepth = s.strideDepth = s.dilationDepth = 1;
  s.inHeight = s.inWidth = s.outHeight = s.outWidth = side;
  s.inChannels = s.fanOut = channels;
  s.filterHeight = s.filterWidth = taps;
  s.strideHeight = s.strideWidth = s.dilationHeight = s.dilationWidth = s.padTop = s.padLeft = 1;
  s.activations = activations.data();
  s.deltas = deltas.data();
  s.moment = moment.data();
  std::atomic<int> rounds{0};
  std::atomic<bool> told{false};
  Call call([&] {
    // A kernel that looks for no end, or computes nothing, is found out by the rounds that it makes all the same.
    for (int late = 0; late < 100; late += told) {
      set.grad_moment(s);
      ++rounds;
    }
  });
  while (rounds < 2) std::this_thread::yield();
  call.call->cancel();
  told = true;
  call.expect(Outcome::cancelled, std::string(set.name) + " grad_moment, cancelled");
  check(moment[0] != 0, std::string(set.name) + " grad_moment computes something");
}

}  // namespace

int main() {
  setThreadCount(4);
  testOrder();
  testCancel();
  testCancelTasks();
  testForegroundFirst();
  for (int i = 0; usableSets()[i]; ++i) {
    testCancelKernel(*usableSets()[i], 1);
    testCancelKernel(*usableSets()[i], std::numeric_limits<float>::infinity());
  }
  std::printf("background: %s\n", failures == 0 ? "passed" : "failed");
  return failures == 0 ? 0 : 1;
}
