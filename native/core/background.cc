#include "background.h"

#include <algorithm>
#include <deque>
#include <new>
#include <thread>

#include "pool.h"

namespace engram {

/** The calls that wait, and the thread that takes them. */
class BackgroundCall::Queue {
 public:
  /** Never destroyed: its thread sleeps in it while the process exits. */
  static Queue& instance() {
    static Queue* queue = new Queue();
    return *queue;
  }

  void add(const std::shared_ptr<BackgroundCall>& call) {
    std::lock_guard<std::mutex> lock(mutex_);
    if (!started_) std::thread([this] { serve(); }).detach();
    started_ = true;
    calls_.push_back(call);
    filled_.notify_one();
  }

  /** Takes a call that still waits out of the queue; false if it runs or is over. */
  bool remove(const BackgroundCall* call) {
    std::lock_guard<std::mutex> lock(mutex_);
    const auto at = std::find_if(calls_.begin(), calls_.end(), [call](const auto& c) { return c.get() == call; });
    if (at == calls_.end()) return false;
    calls_.erase(at);
    return true;
  }

 private:
  void serve() {
    for (;;) {
      std::shared_ptr<BackgroundCall> call;
      {
        std::unique_lock<std::mutex> lock(mutex_);
        filled_.wait(lock, [this] { return !calls_.empty(); });
        call = std::move(calls_.front());
        calls_.pop_front();
      }
      call->run();
    }
  }

  std::mutex mutex_;  // guards what follows
  std::condition_variable filled_;
  std::deque<std::shared_ptr<BackgroundCall>> calls_;
  bool started_ = false;
};

void BackgroundCall::submit(const std::shared_ptr<BackgroundCall>& call) { Queue::instance().add(call); }

void BackgroundCall::cancel() {
  stop_ = true;
  if (Queue::instance().remove(this)) finish(Outcome::cancelled);
}

void BackgroundCall::wait() {
  std::unique_lock<std::mutex> lock(mutex_);
  over_.wait(lock, [this] { return finished_; });
}

void BackgroundCall::run() {
  Outcome outcome = Outcome::done;
  try {
    const Cancellable cancellable(stop_);
    checkpoint();
    work_();
  } catch (const Cancelled&) {
    outcome = Outcome::cancelled;
  } catch (const std::bad_alloc&) {
    outcome = Outcome::outOfMemory;
  }
  finish(outcome);
}

void BackgroundCall::finish(Outcome outcome) {
  report_(outcome);
  std::lock_guard<std::mutex> lock(mutex_);
  finished_ = true;
  over_.notify_all();
}

}  // namespace engram
