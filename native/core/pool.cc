// The thread pool: a caller and its helpers take tasks off one counter, so that a slow thread delays nobody. Which
// thread does a task never matters to the result: tasks write disjoint memory and sum in their own fixed order.
#include "pool.h"

#include <atomic>
#include <condition_variable>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <new>
#include <system_error>
#include <thread>

namespace engram {
namespace {

struct Job {
  void (*task)(void*, int64_t);
  void* context;
  int64_t tasks;
  std::atomic<int64_t> next{0};
  std::atomic<bool> outOfMemory{false};

  void work() {
    for (int64_t i; (i = next.fetch_add(1, std::memory_order_relaxed)) < tasks;) {
      try {
        task(context, i);
      } catch (const std::bad_alloc&) {
        outOfMemory = true;
        next = tasks;
      }
    }
  }
};

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
    std::unique_lock<std::mutex> caller(busy_, std::try_to_lock);
    if (helpers == 0 || job.tasks < 2 || !caller.owns_lock()) {
      job.work();
      return;
    }
    {
      std::lock_guard<std::mutex> lock(mutex_);
      start(helpers);
      job_ = &job;
      wanted_ = job.tasks - 1 < helpers ? static_cast<int>(job.tasks - 1) : helpers;
    }
    wake_.notify_all();
    job.work();
    // A helper that was not scheduled in time finds no job and is not waited for.
    std::unique_lock<std::mutex> lock(mutex_);
    job_ = nullptr;
    idle_.wait(lock, [this] { return working_ == 0; });
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

  void help() {
    std::unique_lock<std::mutex> lock(mutex_);
    for (;;) {
      wake_.wait(lock, [this] { return job_ && wanted_ > 0; });
      Job* job = job_;
      --wanted_;
      ++working_;
      lock.unlock();
      job->work();
      lock.lock();
      if (--working_ == 0) idle_.notify_one();
    }
  }

  std::atomic<int> threads_{1};
  std::mutex busy_;  // held by the one caller whose job the helpers share
  std::mutex mutex_;  // guards what follows
  std::condition_variable wake_, idle_;
  Job* job_ = nullptr;
  int wanted_ = 0, working_ = 0, started_ = 0;
};

constexpr size_t alignment = 64;

float* allocate(int64_t floats) {
  const size_t bytes = (static_cast<size_t>(floats) * sizeof(float) + alignment - 1) / alignment * alignment;
  void* memory = nullptr;
  if (posix_memalign(&memory, alignment, bytes ? bytes : alignment) != 0) throw std::bad_alloc();
  return static_cast<float*>(memory);
}

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
}

float* scratch(int64_t floats) {
  if (floats > own.floats) {
    std::free(own.memory);
    own.memory = nullptr;
    own.floats = 0;
    own.memory = allocate(floats);
    own.floats = floats;
  }
  return own.memory;
}

float* zeroedFloats(int64_t floats) {
  float* memory = allocate(floats);
  std::memset(memory, 0, static_cast<size_t>(floats) * sizeof(float));
  return memory;
}
void freeFloats(float* memory) { std::free(memory); }

}  // namespace engram
