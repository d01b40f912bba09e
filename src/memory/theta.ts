/** theta as it was when samples were measured, and its fingerprint, by which other processes know it again. */
import {sha256} from '@noble/hashes/sha2.js';
import * as tf from '@tensorflow/tfjs-core';
import {EngramError} from '../errors.js';

/** Bytes that are hashed in one go where that keeps the event loop waiting: a few milliseconds of work. */
const slice = 1 << 17;

/** Milliseconds after which the event loop gets a turn. */
const yieldEvery = 20;

/** All NaN are one: their bits say where they came from, not what the network computes. */
const anyNaN = 0x7fc00000;

/**
 * SHA-256 over the shape as `784,100` and a line feed, then the values as little-endian 32-bit floats. Names take no
 * part, since TensorFlow.js numbers them by process; 0 and -0 differ.
 *
 * @returns 64 hexadecimal digits
 */
export async function fingerprintOf(tensor: tf.Tensor): Promise<string> {
  const shape = new TextEncoder().encode(`${tensor.shape.join(',')}\n`);
  const values = (await tensor.data()) as Float32Array;
  const start = -shape.length & 3; // so that the values are aligned
  const buffer = new ArrayBuffer(start + shape.length + values.byteLength);
  const bytes = new Uint8Array(buffer, start);
  bytes.set(shape);
  const bits = new Uint32Array(buffer, start + shape.length);
  new Float32Array(buffer, start + shape.length).set(values);
  for (let i = 0; i < bits.length; i++) if ((bits[i] & 0x7fffffff) > 0x7f800000) bits[i] = anyNaN;
  const digest = await sha256Of(bytes);
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, '0')).join('');
}

/** By the platform, off the event loop; a page that came over plain http has none and gets a slower one. */
async function sha256Of(bytes: Uint8Array<ArrayBuffer>): Promise<Uint8Array> {
  const subtle = globalThis.crypto?.subtle as SubtleCrypto | undefined;
  if (subtle) return new Uint8Array(await subtle.digest('SHA-256', bytes));
  const hash = sha256.create();
  let resumed = performance.now();
  for (let at = 0; at < bytes.length; at += slice) {
    hash.update(bytes.subarray(at, at + slice));
    if (performance.now() - resumed < yieldEvery) continue;
    await new Promise((resolve) => setTimeout(resolve, 0));
    resumed = performance.now();
  }
  return hash.digest();
}

/**
 * The values of variables at one time. Clones hold them, which share the variables' memory until these are trained; so
 * nothing is hashed unless a file or another process asks. What came from a file has fingerprints alone.
 */
export class Theta {
  private constructor(
    private tensors: ReadonlyMap<string, tf.Tensor>,
    private readonly fingerprints: Map<string, string>,
  ) {}

  /** The present values. */
  static take(variables: Iterable<tf.Variable>): Theta {
    return new Theta(clonesOf([...variables].map((variable) => [variable.name, variable])), new Map());
  }

  /** Values known by their fingerprints. */
  static of(fingerprints: ReadonlyMap<string, string>): Theta {
    return new Theta(new Map(), new Map(fingerprints));
  }

  /** The same under other names, which are given by the present ones. */
  renamed(names: ReadonlyMap<string, string>): Theta {
    const tensors = [...this.tensors].map(([name, tensor]) => [names.get(name)!, tensor] as const);
    const fingerprints = [...this.fingerprints].map(([name, print]) => [names.get(name)!, print] as const);
    return new Theta(clonesOf(tensors), new Map(fingerprints));
  }

  /** The values by variable name, as far as they did not come from a file; owned by this object. */
  get values(): ReadonlyMap<string, tf.Tensor> {
    return this.tensors;
  }

  async fingerprint(name: string): Promise<string> {
    let print = this.fingerprints.get(name);
    if (print === undefined) {
      print = await fingerprintOf(this.tensors.get(name)!);
      this.fingerprints.set(name, print);
    }
    return print;
  }

  /** Whether the variables still have the very memory that was taken: no value can have changed. */
  isHeldBy(variables: Iterable<tf.Variable>): boolean {
    for (const {name, dataId} of variables) if (this.tensors.get(name)?.dataId !== dataId) return false;
    return true;
  }

  /** Names of the variables whose present values are other ones. */
  async changedIn(variables: readonly tf.Variable[]): Promise<string[]> {
    if (this.isHeldBy(variables)) return [];
    const now = Theta.take(variables);
    const changed = await this.differences(now).catch((error) => {
      now.dispose();
      throw error;
    });
    if (changed.length > 0) {
      now.dispose();
    } else {
      // The same values in another place, such as weights that were loaded again: found at once the next time.
      const before = this.tensors;
      this.tensors = now.tensors;
      tf.dispose([...before.values()]);
    }
    return changed;
  }

  /**
   * Compares with other values.
   *
   * @param names this one's name of each of the other's variables; left out, they are the same
   * @returns this one's names of the variables that differ
   */
  async differences(other: Theta, names?: ReadonlyMap<string, string>): Promise<string[]> {
    const different: string[] = [];
    for (const theirs of new Set([...other.tensors.keys(), ...other.fingerprints.keys()])) {
      const name = names?.get(theirs) ?? theirs;
      const [a, b] = [this.tensors.get(name), other.tensors.get(theirs)];
      if (a && b && a.dataId === b.dataId) continue;
      if ((await this.fingerprint(name)) !== (await other.fingerprint(theirs))) different.push(name);
    }
    return different;
  }

  dispose(): void {
    tf.dispose([...this.tensors.values()]);
    this.tensors = new Map();
  }
}

/** Clones that outlive their originals and every `tf.tidy`; they share memory, and the caller disposes them. */
export function clonesOf(tensors: Iterable<readonly [string, tf.Tensor]>): Map<string, tf.Tensor> {
  return new Map([...tensors].map(([name, tensor]) => [name, tf.keep(tensor.clone())]));
}

/** @throws EngramError CHANGED for variables that were trained or assigned since samples were measured */
export function refuseChanged(names: readonly string[]): void {
  if (names.length === 0) return;
  throw new EngramError('CHANGED', {
    expected: 'the same parameters from the first sample to the result',
    received: `other values in ${names.join(', ')}`,
    remedy: 'Await consolidation before training goes on; begin a new accumulation for what was learned since.',
  });
}

/** @throws EngramError CHANGED for variables that had other values in another process */
export function refuseOtherTheta(names: readonly string[]): void {
  if (names.length === 0) return;
  throw new EngramError('CHANGED', {
    expected: 'accumulations that were taken with the same parameters',
    received: `other values in ${names.join(', ')}`,
    remedy: 'Give every process the same weights before it accumulates.',
  });
}
