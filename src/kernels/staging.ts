/**
 * Copies of a caller's arrays for a kernel that runs while the event loop goes on. No thread ever sees an ArrayBuffer:
 * it can be transferred away and freed at any time. The event loop gets its turn after every MiB that is copied.
 */
import {EngramError} from '../errors.js';
import {arrayTypes} from './check.js';
import type {HostInput, RunOptions} from './engine.js';
import {type KernelName, row} from './table.js';

/** Elements that are copied in one go: a millisecond or two, new pages included. */
const pieceLength = 1 << 18;

/** An array of the caller, its length when the call began, and the memory that stands in for it. */
export interface Copy {
  readonly name: string;
  readonly array: HostInput;
  readonly length: number;
  readonly copy: HostInput;
}
type Piece = readonly [copy: Copy, from: number, to: number];

/** A kernel on its way: settles when nothing touches the arrays any more; rejects with the signal's reason. */
export type Start = (arrays: HostInput[]) => Promise<void>;

/**
 * The signal of a call.
 *
 * @throws EngramError ARGUMENT if it is none; its reason if it is aborted
 */
export function signalOf(options: RunOptions | undefined): AbortSignal | undefined {
  const signal = options?.signal;
  if (signal === undefined) return undefined;
  if (!(signal instanceof AbortSignal)) {
    throw new EngramError('ARGUMENT', {
      expected: 'signal to be an AbortSignal',
      received: Object.prototype.toString.call(signal).slice(8, -1),
      remedy: 'Pass the signal of an AbortController, or AbortSignal.timeout(milliseconds).',
    });
  }
  signal.throwIfAborted();
  return signal;
}

/** The promise's end, or a rejection with the signal's reason as soon as it is aborted. */
export function orAbort<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (!signal) return promise;
  return new Promise((resolve, reject) => {
    const stop = () => reject(signal.reason);
    signal.addEventListener('abort', stop, {once: true});
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', stop));
  });
}

/**
 * Runs a kernel in shared memory: arrays of the caller that lie there as they are, copies of all others. What it wrote
 * is copied back at the end.
 *
 * @param arrays checked arrays in the row's order
 * @throws EngramError DETACHED, the signal's reason, or what `start` rejects with; arrays of the caller outside shared
 *   memory are then as they were
 */
export async function runOnShared(
  kernel: KernelName,
  arrays: readonly HostInput[],
  signal: AbortSignal | undefined,
  start: Start,
): Promise<void> {
  const inputs: Copy[] = [];
  const outputs: Copy[] = [];
  const lengths = arrays.map(({length}) => length);
  const shared = [...arrays];
  for (const [i, [name, {access, dtype}]] of Object.entries(row(kernel).buffers).entries()) {
    const [array, length] = [arrays[i], lengths[i]];
    if (array.buffer instanceof SharedArrayBuffer) continue;
    if (length > pieceLength) await nextTurn(); // recycled memory is zeroed first
    const copy: HostInput = new (arrayTypes[dtype] as Float32ArrayConstructor)(new SharedArrayBuffer(4 * length));
    if (access !== 'write') inputs.push({name, array, length, copy});
    if (access !== 'read') outputs.push({name, array, length, copy});
    shared[i] = copy;
  }
  await eachPiece(inputs, ([input, from, to]) => {
    signal?.throwIfAborted();
    requireWhole(kernel, [input, ...outputs]);
    input.copy.set(input.array.subarray(from, to), from);
  });
  requireWhole(kernel, outputs);
  signal?.throwIfAborted();
  await start(shared);
  await copyBack(kernel, outputs);
}

/**
 * Copies results into the caller's arrays: all of them, or, when one turns out to be gone, none.
 *
 * @throws EngramError DETACHED
 */
export async function copyBack(kernel: KernelName, outputs: readonly Copy[]): Promise<void> {
  const done: Piece[] = [];
  try {
    requireWhole(kernel, outputs);
    await eachPiece(outputs, (piece) => {
      requireWhole(kernel, outputs);
      exchange(piece);
      done.push(piece);
    });
  } catch (error) {
    for (const piece of done) {
      if (isWhole(piece[0])) exchange(piece);
      await nextTurn();
    }
    throw error;
  }
}

/** Swaps a piece of the caller's array with its copy, which then holds what to put back if need be. */
function exchange([{array, copy}, from, to]: Piece): void {
  const before = array.slice(from, to);
  array.set(copy.subarray(from, to), from);
  copy.set(before, from);
}

/** Visits all copies in pieces: `pieceLength` elements at once, as many after each turn of the event loop. */
async function eachPiece(copies: readonly Copy[], visit: (piece: Piece) => void): Promise<void> {
  let room = pieceLength;
  for (const copy of copies) {
    for (let from = 0; from < copy.length; ) {
      if (room === 0) {
        await nextTurn();
        room = pieceLength;
      }
      const to = Math.min(copy.length, from + room);
      visit([copy, from, to]);
      room -= to - from;
      from = to;
    }
  }
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => {
    if (typeof setImmediate === 'function') setImmediate(resolve);
    else setTimeout(resolve);
  });
}

/** A transferred array has lost its length, and one on a resized buffer may have. */
const isWhole = ({array, length}: Copy): boolean => array.length === length;

function requireWhole(kernel: KernelName, copies: readonly Copy[]): void {
  const gone = copies.find((copy) => !isWhole(copy));
  if (!gone) return;
  throw new EngramError('DETACHED', {
    expected: `${kernel}.${gone.name} to keep its ${gone.length} elements until the promise settles`,
    received: 'an array whose memory was transferred away or resized meanwhile',
    remedy: 'Transfer and resize arrays before or after the call, or pass a copy made with slice().',
  });
}
