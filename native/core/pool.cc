// The thread pool: a caller and its helpers take tasks off one counter, so that a slow thread delays nobody. Which
// thread does a task never matters to the result: tasks write disjoint memory and sum in their own fixed order.
#include "pool.h"

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <new>
#include <system_error>
#include <thread>
#ifdef __GLIBC__
#include <malloc.h>
#endif
#ifdef __linux__
#include <sys/mman.h>
#endif

namespace engram {
namespace {

/** What stops the calls of this thread, if anything can: set by {@link Cancellable}. */
thread_local const std::atomic<bool>* stopOfThread = nullptr;

struct Job {
  void (*task)(void*, int64_t);
  void* context;
  int64_t tasks;
  const std::atomic<bool>* const stop = stopOfThread;
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
void watchFor(Condition condition) {
  constexpr std::chrono::microseconds patience{100};
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
    watchFor(finished);
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
        watchFor([&] { return posted_ != seen; });
        lock.lock();
        ++sleeping_;
        wake_.wait(lock, [&] { return (job = wanting()) != nullptr; });
        --sleeping_;
      }
      --job->wanted;
      ++job->working;
      lock.unlock();
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

struct Scratch {
  float* memory = nullptr;
  int64_t floats = 0;
  ~Scratch() { std::free(memory); }
};
thread_local Scratch own;

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

float* scratch(int64_t floats) {
  if (floats > own.floats) {
    std::free(own.memory);
    own.memory = nullptr;
    own.floats = 0;
    own.memory = anyFloats(floats);
    own.floats = floats;
  }
  return own.memory;
}

float* anyFloats(int64_t floats) {
  constexpr size_t line = 64, page = 2 << 20;
  const size_t wanted = static_cast<size_t>(floats) * sizeof(float), alignment = wanted >= page / 2 ? page : line;
  const size_t bytes = (wanted + alignment - 1) / alignment * alignment;
  void* memory = nullptr;
  if (posix_memalign(&memory, alignment, bytes ? bytes : alignment) != 0) throw std::bad_alloc();
#ifdef __linux__
  // Small pages lie anywhere: by chance many panels share the same few sets of a cache, and products take a third longer.
  if (alignment == page) madvise(memory, bytes, MADV_HUGEPAGE);
#endif
  return static_cast<float*>(memory);
}

float* zeroedFloats(int64_t floats) {
  constexpr int64_t piece = 1 << 22;
  checkpoint();
  float* memory = anyFloats(floats);
  try {
    for (int64_t i = 0; i < floats; i += piece) {
      std::memset(memory + i, 0, static_cast<size_t>(floats - i < piece ? floats - i : piece) * sizeof(float));
      checkpoint();
    }
  } catch (const Cancelled&) {
    std::free(memory);
    throw;
  }
  return memory;
}
void freeFloats(float* memory) { std::free(memory); }

void keepFreedMemory() {
#ifdef __GLIBC__
  mallopt(M_MMAP_THRESHOLD, 32 << 20);
  mallopt(M_TRIM_THRESHOLD, 256 << 20);
#endif
}

}  // namespace engram
