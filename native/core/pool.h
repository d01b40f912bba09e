// The thread pool. Portable code: compiled without any instruction-set flag.
#pragma once
#include <atomic>
#include <cstdint>

namespace engram {

/** Threads that work on one call, the calling one included. From ENGRAM_NUM_THREADS, else the machine's. */
int threadCount();
void setThreadCount(int count);

/**
 * Runs task(context, i) for i in 0..tasks-1, each once, in any order, on any thread; returns when all are done.
 * A second caller (another worker_thread) that finds the pool busy does its own tasks itself. A {@link Cancellable}
 * caller gives way: its helpers leave it, between two tasks, for one that is not, and come back afterwards.
 *
 * @throws std::bad_alloc if a task did; Cancelled
 */
void runTasks(int64_t tasks, void (*task)(void* context, int64_t index), void* context);

/** Leaves a kernel whose caller was told to stop. What the kernel writes is unfinished then. */
struct Cancelled {};

/**
 * Called between tasks by the pool, and by tasks that may take longer than a few milliseconds.
 *
 * @throws Cancelled if the call that this thread works for is to stop
 */
void checkpoint();

/** While it lives, setting `flag` stops the calls of this thread, and they run in the background of all others. */
class Cancellable {
 public:
  explicit Cancellable(const std::atomic<bool>& flag);
  ~Cancellable();
  Cancellable(const Cancellable&) = delete;
  Cancellable& operator=(const Cancellable&) = delete;
};

}  // namespace engram
