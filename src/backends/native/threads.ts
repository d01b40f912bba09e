/** The threads that kernels of the addon are spread over. One pool serves the process, whichever worker_thread asks. */
import {type Addon, loadAddon} from '#addon';
import {EngramError} from '../../errors.js';
import {callAddon} from '../../kernels/native.js';

/** @throws EngramError NO_ADDON where the addon is missing */
export function requireAddon(): Addon {
  const loaded = loadAddon();
  if ('addon' in loaded) return loaded.addon;
  throw new EngramError('NO_ADDON', {
    expected: 'the C++ addon',
    received: loaded.missing,
    remedy: 'Run "npm run build:native" in the folder of engram, or use another backend: tf.setBackend("cpu").',
  });
}

/**
 * Threads that work on one kernel, the calling one included: what {@link setThreads} set last, before that the
 * environment variable ENGRAM_NUM_THREADS, and without it the processors of the machine.
 *
 * @throws EngramError NO_ADDON where the addon is missing
 */
export function threads(): number {
  return requireAddon().threads();
}

/**
 * Spreads kernels over `count` threads, the calling one included, from the next one on; 1 runs them on the calling
 * thread alone. Small kernels stay on that one in any case. The pool belongs to the process: this sets it for all
 * worker_threads and for `engram/kernels` too.
 *
 * Results are deterministic: the same bits again for the same count. Importance (`grad_moment` and its kin) has the same
 * bits for any count.
 *
 * @param count a whole number from 1 to 256
 * @throws EngramError ARGUMENT for anything else, and nothing changes; NO_ADDON where the addon is missing
 */
export function setThreads(count: number): void {
  const addon = requireAddon();
  callAddon(() => addon.setThreads(count));
}
