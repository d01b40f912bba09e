/** Reference kernels on a worker_thread of Node. The browser build resolves `#thread` to thread.browser.ts. */
import {Worker} from 'node:worker_threads';
import type {HostInput} from './engine.js';
import {orAbort} from './staging.js';
import type {KernelName} from './table.js';

/** One call at a time, as on the addon: each ends before the next begins. */
let last: Promise<unknown> = Promise.resolve();

/**
 * Runs the reference body of a kernel on a thread of its own. The arrays lie in shared memory.
 *
 * @throws the signal's reason, once the thread has ended
 */
export function runOnThread(
  kernel: KernelName,
  params: object,
  arrays: Readonly<Record<string, HostInput>>,
  signal: AbortSignal | undefined,
): Promise<void> {
  const before = last;
  const call = (async () => {
    await orAbort(before, signal);
    await runWorker({kernel, params, arrays}, signal);
  })();
  // Whoever is aborted while it waits does not let the next one pass its predecessor.
  last = Promise.allSettled([before, call]);
  return call;
}

function runWorker(workerData: object, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    // Options that the process was started with may be none for a file: --input-type, say.
    const worker = new Worker(new URL('./thread-worker.js', import.meta.url), {workerData, execArgv: []});
    const stop = () => void worker.terminate();
    signal?.addEventListener('abort', stop, {once: true});
    let done = false;
    let failure: unknown = new Error('engram: the thread of a reference kernel ended before its kernel did');
    worker.once('message', () => {
      done = true;
    });
    worker.once('error', (error) => {
      failure = error;
    });
    worker.once('exit', () => {
      signal?.removeEventListener('abort', stop);
      if (done) resolve();
      else reject(signal?.aborted ? signal.reason : failure);
    });
  });
}
