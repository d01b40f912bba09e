/** What tests do with accumulations: read their Omega, and everything that is in them as bytes. */
import type * as tf from '@tensorflow/tfjs';
import {expect} from 'vitest';
import {type Accumulation, EngramError} from '../dist/index.js';

/** Omega by variable name. */
export async function omegaOf(accumulation: Accumulation): Promise<Map<string, Float32Array>> {
  const {importance} = await accumulation.finish();
  return read(importance);
}

/** The values of tensors, which are disposed. */
export async function read(tensors: ReadonlyMap<string, tf.Tensor>): Promise<Map<string, Float32Array>> {
  const values = new Map<string, Float32Array>();
  for (const [name, tensor] of tensors) {
    values.set(name, ((await tensor.data()) as Float32Array).slice());
    tensor.dispose();
  }
  return values;
}

/** A place in memory. */
export function shelf() {
  const store = {
    bytes: new Uint8Array(),
    write: async (bytes: Uint8Array) => {
      store.bytes = bytes.slice();
    },
    read: async () => store.bytes,
  };
  return store;
}

/** Sums, counts, settings and fingerprints, to the bit. */
export async function bytesOf(accumulation: Accumulation): Promise<Uint8Array> {
  const store = shelf();
  await accumulation.save(store);
  return store.bytes;
}

export async function errorOf(run: () => unknown): Promise<EngramError> {
  try {
    await run();
  } catch (error) {
    expect(error).toBeInstanceOf(EngramError);
    return error as EngramError;
  }
  throw new Error('nothing was thrown');
}
