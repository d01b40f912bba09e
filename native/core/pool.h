// The thread pool and each thread's packing memory. Portable code: compiled without any instruction-set flag.
#pragma once
#include <cstdint>

namespace engram {

/** Threads that work on one call, the calling one included. From ENGRAM_NUM_THREADS, else the machine's. */
int threadCount();
void setThreadCount(int count);

/**
 * Runs task(context, i) for i in 0..tasks-1, each once, in any order, on any thread; returns when all are done.
 * A second caller (another worker_thread) that finds the pool busy does its own tasks itself.
 *
 * @throws std::bad_alloc if a task did
 */
void runTasks(int64_t tasks, void (*task)(void* context, int64_t index), void* context);

/** `floats` floats of this thread's own, aligned to 64 bytes, valid until its next call. Grows, never shrinks. */
float* scratch(int64_t floats);

/** `floats` zeroed floats, aligned to 64 bytes, freed with {@link freeFloats}. */
float* zeroedFloats(int64_t floats);
void freeFloats(float* memory);

}  // namespace engram
