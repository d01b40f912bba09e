/** The safetensors file format (huggingface/safetensors, README "Format"), written and read strictly. */
import {EngramError} from '../errors.js';
import {damaged, loneSurrogate, readHeader, type TensorInfo} from './safetensors-header.js';

/** A tensor to be written; only 32-bit floats are. */
export interface FloatTensor {
  readonly shape: readonly number[];
  readonly values: Float32Array;
}

/** A tensor as read: `bytes` is a view on the file, aligned to nothing. */
export interface RawTensor extends TensorInfo {
  readonly bytes: Uint8Array;
}

export interface SafetensorsFile {
  readonly metadata: ReadonlyMap<string, string>;
  readonly tensors: ReadonlyMap<string, RawTensor>;
}

/** The header's largest length in bytes, as in the reference implementation. */
const largestHeader = 100_000_000;

const byName = ([a]: [string, unknown], [b]: [string, unknown]): number => (a < b ? -1 : a > b ? 1 : 0);

/**
 * Writes tensors as one file: header length, header padded with spaces to a multiple of 8, then the data without holes
 * in the order of the names. The same content gives the same bytes.
 *
 * @throws EngramError ARGUMENT for a name or text that has no UTF-8 form or that readers refuse
 */
export function writeSafetensors(
  tensors: ReadonlyMap<string, FloatTensor>,
  metadata: ReadonlyMap<string, string>,
): Uint8Array<ArrayBuffer> {
  for (const text of [...tensors.keys(), ...[...metadata].flat()]) checkText(text);
  const sorted = [...tensors].sort(byName);
  let end = 0;
  const entries: [string, unknown][] = [['__metadata__', Object.fromEntries([...metadata].sort(byName))]];
  for (const [name, {shape, values}] of sorted) {
    const begin = end;
    end += values.byteLength;
    entries.push([name, {dtype: 'F32', shape, data_offsets: [begin, end]}]);
  }
  // Not JSON.stringify of one object: it would move names that look like numbers to the front.
  const members = entries.map(([name, value]) => `${JSON.stringify(name)}:${JSON.stringify(value)}`);
  const header = new TextEncoder().encode(`{${members.join(',')}}`);
  const dataStart = 8 + Math.ceil(header.length / 8) * 8;
  const file = new Uint8Array(dataStart + end);
  new DataView(file.buffer).setBigUint64(0, BigInt(dataStart - 8), true);
  file.set(header, 8);
  file.fill(0x20, 8 + header.length, dataStart);
  const data = new Float32Array(file.buffer, dataStart);
  let at = 0;
  for (const [, {values}] of sorted) {
    data.set(values, at);
    at += values.length;
  }
  return file;
}

/**
 * Reads a file and checks all of it: sizes before anything is allocated, names, types, shapes, and that the tensors
 * cover the data once, without hole or overlap. Tensors are views: nothing is copied.
 *
 * @throws EngramError DATA_FILE for every defect
 */
export function readSafetensors(file: Uint8Array): SafetensorsFile {
  if (file.length < 8) throw damaged('a safetensors file of at least 8 bytes', `${file.length} bytes`);
  const length = new DataView(file.buffer, file.byteOffset, 8).getBigUint64(0, true);
  if (length > BigInt(largestHeader)) throw damaged(`a header of at most ${largestHeader} bytes`, `${length} bytes`);
  const dataStart = 8 + Number(length);
  if (dataStart > file.length) throw damaged(`a header of ${length} bytes`, `a file of ${file.length} bytes`);
  const {metadata, tensors} = readHeader(decode(file.subarray(8, dataStart)));
  const size = file.length - dataStart;
  // A tensor without elements may share its place with the next one, hence the second key.
  const laidOut = [...tensors].sort(([, a], [, b]) => a.begin - b.begin || a.end - b.end);
  let covered = 0;
  for (const [name, {begin, end}] of laidOut) {
    if (begin !== covered || end > size) {
      throw damaged(`"${name}" to begin at byte ${covered} of ${size}`, `bytes ${begin} to ${end}`);
    }
    covered = end;
  }
  if (covered !== size) throw damaged(`${covered} bytes of data`, `${size} bytes`);
  const views = laidOut.map(([name, info]): [string, RawTensor] => {
    return [name, {...info, bytes: file.subarray(dataStart + info.begin, dataStart + info.end)}];
  });
  return {metadata, tensors: new Map(views)};
}

/**
 * The values of an F32 tensor as a copy of its own, so that they neither pin the file nor change with it.
 *
 * @throws EngramError DATA_FILE for another dtype
 */
export function floatsOf(name: string, {dtype, bytes}: RawTensor): Float32Array {
  if (dtype !== 'F32') throw damaged(`"${name}" to be of dtype F32`, dtype);
  return new Float32Array(new Uint8Array(bytes).buffer); // slice() of a Node Buffer would not copy
}

function decode(bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', {fatal: true, ignoreBOM: true}).decode(bytes);
  } catch (cause) {
    throw damaged('a header in UTF-8', 'other bytes', cause);
  }
}

function checkText(text: string): void {
  if (!loneSurrogate.test(text) && text !== '__proto__' && text !== '__metadata__') return;
  throw new EngramError('ARGUMENT', {
    expected: 'names and texts of well-formed Unicode, other than __proto__ and __metadata__',
    received: JSON.stringify(text),
    remedy: 'Give the variable another name.',
  });
}
