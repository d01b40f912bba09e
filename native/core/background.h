// Calls that run on a thread of their own. There is one such thread: it takes them in the order of their submission and
// spreads each over the pool, so that many calls at once neither fight for the processor nor fill the memory caches.
#pragma once
#include <atomic>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>

namespace engram {

enum class Outcome { done, cancelled, outOfMemory };

class BackgroundCall {
 public:
  /** `work` runs at most once; `report` exactly once, after it, on any thread. Neither may throw anything else. */
  BackgroundCall(std::function<void()> work, std::function<void(Outcome)> report)
      : work_(std::move(work)), report_(std::move(report)) {}

  /** Puts the call at the end of the queue. @throws std::system_error where the system refuses a thread */
  static void submit(const std::shared_ptr<BackgroundCall>& call);

  /** Stops the call within milliseconds, whether it waits or runs. One that is over stays as it is. */
  void cancel();
  /** Returns when the report is over: nothing of this call touches its memory any more. */
  void wait();

 private:
  class Queue;
  void run();
  void finish(Outcome outcome);

  std::function<void()> work_;
  std::function<void(Outcome)> report_;
  std::atomic<bool> stop_{false};
  std::mutex mutex_;
  std::condition_variable over_;
  bool finished_ = false;
};

}  // namespace engram
