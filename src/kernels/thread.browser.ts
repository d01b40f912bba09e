/** Stands in for thread.ts in browsers, where a module cannot start itself as a worker without the bundler's help. */
import {EngramError} from '../errors.js';

export async function runOnThread(): Promise<void> {
  throw new EngramError('NO_ADDON', {
    expected: 'Node, where the reference engine has a thread of its own',
    received: 'a browser',
    remedy: 'Call runAsync of a WebGpuEngine, or run(), which blocks the event loop, in a Worker of your own.',
  });
}
