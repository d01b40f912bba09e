/** Where the bytes of a memory go: a file, a tf.io scheme, a tf.io handler, or a store of the caller's own. */

import * as tf from '@tensorflow/tfjs-core';
import {readWhole, writeWhole} from '#files';
import {EngramError} from '../errors.js';
import {damaged} from './safetensors-header.js';

/** Storage of one's own: the bytes are a safetensors file. */
export interface ByteStore {
  /** Stores the bytes in the place of those before; a rejection leaves these as they are. */
  write(bytes: Uint8Array): Promise<void>;
  /** The bytes that were last written. */
  read(): Promise<Uint8Array>;
}

/**
 * - `file://path` or a file URL object: in Node, replaced as one step (temporary file, fsync, rename).
 * - any other scheme that TensorFlow.js knows, such as `indexeddb://name`, or a `tf.io.IOHandler`: carried as the one
 *   weight of a model without topology, so the stored form is the scheme's own.
 * - a {@link ByteStore}.
 */
export type MemoryStorage = string | URL | ByteStore | tf.io.IOHandler;

/** Name of the one weight in which a tf.io handler carries the file. */
const weightName = 'memory.safetensors';

/** @throws EngramError ARGUMENT for a place that cannot be stored to, DATA_FILE when storing fails */
export async function storeBytes(place: MemoryStorage, bytes: Uint8Array<ArrayBuffer>): Promise<void> {
  if (isFile(place)) return writeWhole(place, bytes);
  const handler = handlerOf(place, 'save');
  await reported(async () => {
    if (isByteStore(handler)) return handler.write(bytes);
    await handler.save!({
      modelTopology: {engram: weightName},
      weightSpecs: [{name: weightName, shape: [bytes.length], dtype: 'bool'}],
      weightData: bytes.buffer,
      format: 'engram-memory',
    });
  });
}

/** @throws EngramError ARGUMENT for a place that cannot be loaded from, DATA_FILE when loading fails */
export async function fetchBytes(place: MemoryStorage): Promise<Uint8Array> {
  if (isFile(place)) return readWhole(place);
  const handler = handlerOf(place, 'load');
  const bytes = await reported(async () => {
    if (isByteStore(handler)) return handler.read();
    const {weightData, weightSpecs} = await handler.load!();
    if (weightSpecs?.length !== 1 || weightSpecs[0].name !== weightName || !weightData) {
      throw damaged('a memory that engram saved', 'a model, or something else');
    }
    return new Uint8Array(tf.io.concatenateArrayBuffers([weightData].flat()));
  });
  if (!(bytes instanceof Uint8Array)) throw damaged('read() to give a Uint8Array', String(bytes));
  return bytes;
}

const isFile = (place: MemoryStorage): place is string | URL =>
  (typeof place === 'string' && place.startsWith('file://')) || (place instanceof URL && place.protocol === 'file:');
const isByteStore = (handler: ByteStore | tf.io.IOHandler): handler is ByteStore =>
  typeof (handler as ByteStore).write === 'function' && typeof (handler as ByteStore).read === 'function';

function handlerOf(place: Exclude<MemoryStorage, never>, act: 'save' | 'load'): ByteStore | tf.io.IOHandler {
  if (typeof place === 'string' || place instanceof URL) {
    const url = String(place);
    const found = act === 'save' ? tf.io.getSaveHandlers(url) : tf.io.getLoadHandlers(url);
    if (found.length === 1) return found[0];
  } else if (place && (isByteStore(place) || typeof (place as tf.io.IOHandler)[act] === 'function')) {
    return place;
  }
  throw new EngramError('ARGUMENT', {
    expected: `a "file://" URL, a URL of one tf.io scheme, a handler with ${act}(), or {write(bytes), read()}`,
    received: typeof place === 'string' ? JSON.stringify(place) : String(place),
    remedy: 'For example "file://memory.safetensors" in Node, "indexeddb://memory" in a browser.',
  });
}

/** Gives the errors of a handler, whatever they are, the one type. */
async function reported<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (cause) {
    if (cause instanceof EngramError) throw cause;
    throw new EngramError('DATA_FILE', {
      expected: 'the storage to answer',
      received: String((cause as Error)?.message ?? cause),
      remedy: 'See the cause.',
      cause,
    });
  }
}
