/** Stands in for node-file.ts in browsers, which have no files to replace. */
import {EngramError} from '../errors.js';

function refuse(url: string | URL): never {
  throw new EngramError('ARGUMENT', {
    expected: 'a place that a browser can store to',
    received: String(url),
    remedy: 'Use "indexeddb://name", a tf.io handler, or an object {write(bytes), read()}.',
  });
}

export async function writeWhole(url: string | URL, _bytes: Uint8Array): Promise<void> {
  refuse(url);
}

export async function readWhole(url: string | URL): Promise<Uint8Array> {
  return refuse(url);
}
