// The thread pool: a caller and its helpers take tasks off one counter, so that a slow thread delays nobody. Which
// thread does a task never matters to the result: tasks write disjoint memory and sum in their own fixed order.
#include "pool.h"

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <mutex>
#include <new>
#include <system_error>
#include <thread>
#ifdef __linux__
#include <sched.h>
#endif

namespace engram {
namespace {

/** What stops the calls of this thread, if anything can: set by {@link Cancellable}. */
thread_local const std::atomic<bool>* stopOfThread = nullptr;

#ifdef __linux__
int processor() { return sched_getcpu(); }

/**
 * Moves this thread elsewhere if it is on processor `other`. The system may wake a helper on the caller's, where both
 * stay for tens of milliseconds while another idles.
 */
void keepOff(int other) {
  if (other < 0 || sched_getcpu() != other) return;
  cpu_set_t allowed;
  if (sched_getaffinity(0, sizeof allowed, &allowed) != 0 || CPU_COUNT(&allowed) < 2) return;
  cpu_set_t others = allowed;
  CPU_CLR(other, &others);
  if (sched_setaffinity(0, sizeof others, &others) == 0) sched_setaffinity(0, sizeof allowed, &allowed);
}
#else
int processor() { return -1; }
void keepOff(int) {}
#endif

struct Job {
  void (*task)(void*, int64_t);
  void* context;
  int64_t tasks;
  const std::atomic<bool>* const stop = stopOfThread;
  const int caller = processor();
  std::atomic<int64_t> next{0};
  std::atomic<bool> outOfMemory{false}, cancelled{false};
  int wanted = 0;                // helpers; guarded by the pool
  std::atomic<int> working{0};  // helpers; changed under the pool's lock

  bool background() const { return stop != nullptr; }
  bool left() const { return next.load(std::memory_order_relaxed) < tasks; }

  /** Takes tasks until none is left, or until `leave` is set. */
  void work(const std::atomic<bool>* leave = nullptr) {
    const std::atomic<bool>* const before = stopOfThread;
    stopOfThread = stop;
    while (!(leave && *leave)) {
      const int64_t i = next.fetch_add(1, std::memory_order_relaxed);
      if (i >= tasks) break;
      try {
        checkpoint();
        task(context, i);
      } catch (const std::bad_alloc&) {
        outOfMemory = true;
        next = tasks;
      } catch (const Cancelled&) {
        cancelled = true;
        next = tasks;
      }
    }
    stopOfThread = before;
  }
};

/**
 * Looks for a while whether `condition` holds: calls follow one another by less than it takes to sleep and be woken.
 * Yields, so that it costs those who have work to do little.
 */
template <class Condition>
void watchFor(std::chrono::microseconds patience, Condition condition) {
  const auto end = std::chrono::steady_clock::now() + patience;
  do {
    for (int i = 0; i < 32; ++i) {
      if (condition()) return;
    }
    std::this_thread::yield();
  } while (std::chrono::steady_clock::now() < end);
}

class Pool {
 public:
  /** Never destroyed: helpers sleep in it while the process exits. */
  static Pool& instance() {
    static Pool* pool = new Pool();
    return *pool;
  }

  int threads() const { return threads_; }
  void setThreads(int count) { threads_ = count < 1 ? 1 : count > most ? most : count; }

  void run(Job& job) {
    const int helpers = threads_ - 1;
    if (helpers == 0 || job.tasks < 2) {
      job.work();
      return;
    }
    Job*& place = job.background() ? background_ : foreground_;
    {
      std::unique_lock<std::mutex> lock(mutex_);
      if (place) {
        lock.unlock();
        job.work();
        return;
      }
      start(helpers);
      place = &job;
      job.wanted = job.tasks - 1 < helpers ? static_cast<int>(job.tasks - 1) : helpers;
      if (!job.background()) urgent_ = true;
      ++posted_;
      if (sleeping_ > 0) wake_.notify_all();
    }
    job.work();
    // A helper that was not scheduled in time finds no job and is not waited for.
    std::unique_lock<std::mutex> lock(mutex_);
    place = nullptr;
    if (!job.background()) {
      urgent_ = false;
      if (background_) {
        ++posted_;
        wake_.notify_all();
      }
    }
    const auto finished = [&job] { return job.working == 0; };
    if (finished()) return;
    lock.unlock();
    // Longer than for a next call: a sleeper would be woken on the processor of the helper, and have to share it.
    watchFor(std::chrono::milliseconds(10), finished);
    lock.lock();
    idle_.wait(lock, finished);
  }

 private:
  static constexpr int most = 256;

  Pool() {
    const char* wanted = std::getenv("ENGRAM_NUM_THREADS");
    const int count = wanted ? std::atoi(wanted) : 0;
    setThreads(count > 0 ? count : static_cast<int>(std::thread::hardware_concurrency()));
  }

  /** Makes up to `count` helpers; where the system refuses threads, the caller does more of the work itself. */
  void start(int count) {
    try {
      for (; started_ < count; ++started_) std::thread([this] { help(); }).detach();
    } catch (const std::system_error&) {
      threads_ = started_ + 1;
    }
  }

  /** The job that wants a helper: one in the background only while no other caller works. */
  Job* wanting() const {
    Job* job = foreground_ ? foreground_ : background_;
    return job && job->wanted > 0 && job->left() ? job : nullptr;
  }

  void help() {
    std::unique_lock<std::mutex> lock(mutex_);
    for (;;) {
      Job* job = wanting();
      if (!job) {
        const int64_t seen = posted_;
        lock.unlock();
        watchFor(std::chrono::microseconds(100), [&] { return posted_ != seen; });
        lock.lock();
        ++sleeping_;
        wake_.wait(lock, [&] { return (job = wanting()) != nullptr; });
        --sleeping_;
      }
      --job->wanted;
      ++job->working;
      lock.unlock();
      keepOff(job->caller);
      job->work(job->background() ? &urgent_ : nullptr);
      lock.lock();
      ++job->wanted;  // whoever leaves before the end may come back
      if (--job->working == 0) idle_.notify_all();
    }
  }

  std::atomic<int> threads_{1};
  std::atomic<bool> urgent_{false};  // a caller in the foreground wants the helpers
  std::atomic<int64_t> posted_{0};   // jobs; changed under the lock
  std::mutex mutex_;  // guards what follows, and the helpers of the jobs
  std::condition_variable wake_, idle_;
  Job *foreground_ = nullptr, *background_ = nullptr;  // the one caller of each kind whose job the helpers share
  int started_ = 0, sleeping_ = 0;
};

}  // namespace

int threadCount() { return Pool::instance().threads(); }
void setThreadCount(int count) { Pool::instance().setThreads(count); }

void runTasks(int64_t tasks, void (*task)(void*, int64_t), void* context) {
  Job job;
  job.task = task;
  job.context = context;
  job.tasks = tasks;
  Pool::instance().run(job);
  if (job.outOfMemory) throw std::bad_alloc();
  if (job.cancelled) throw Cancelled();
}

void checkpoint() {
  if (stopOfThread && stopOfThread->load(std::memory_order_relaxed)) throw Cancelled();
}

Cancellable::Cancellable(const std::atomic<bool>& flag) { stopOfThread = &flag; }
Cancellable::~Cancellable() { stopOfThread = nullptr; }

}  // namespace engram
