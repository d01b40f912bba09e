/** Reads IDX files, the format of MNIST and Fashion-MNIST, plain or gzipped, and believes nothing they say unchecked. */
import {gunzipSync} from 'node:zlib';
import {dataFileError, reasonOf} from './images.js';

/** An array of unsigned bytes with its shape. */
export interface IdxArray {
  readonly shape: readonly number[];
  readonly values: Uint8Array;
}

const UNSIGNED_BYTE = 0x08;
const MAX_RANK = 4;
/** Largest file that is unpacked: the training images of EMNIST byclass have 547 MB. */
const MAX_BYTES = 1 << 30;

/**
 * Parses an IDX file of unsigned bytes: two zero bytes, the type 0x08, the rank, one big-endian uint32 per dimension,
 * then exactly as many bytes as the dimensions multiply to (http://yann.lecun.com/exdb/mnist/).
 *
 * @param bytes the file's contents, gzipped or plain (see {@link gunzipIfNeeded})
 * @param file name for error messages
 * @param shape the shape it must have; `null` leaves a dimension open
 * @returns a view of the bytes, not a copy, if the file is plain
 * @throws EngramError DATA_FILE; sizes are checked against the bytes that are there before anything is allocated
 */
export function parseIdx(bytes: Uint8Array, file: string, shape?: readonly (number | null)[]): IdxArray {
  const data = gunzipIfNeeded(bytes, file);
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  if (data.length < 4) {
    throw dataFileError(file, {expected: 'an IDX header of at least 4 bytes', received: `${data.length} bytes`});
  }
  const rank = data[3];
  if (data[0] !== 0 || data[1] !== 0 || data[2] !== UNSIGNED_BYTE || rank < 1 || rank > MAX_RANK) {
    throw dataFileError(file, {
      expected: `the IDX magic number 0x000008NN of unsigned bytes with 1..${MAX_RANK} dimensions`,
      received: `0x${view.getUint32(0).toString(16).padStart(8, '0')}`,
    });
  }
  const header = 4 + 4 * rank;
  if (data.length < header) {
    throw dataFileError(file, {expected: `a header of ${header} bytes`, received: `${data.length} bytes`});
  }
  const found = Array.from({length: rank}, (_, i) => view.getUint32(4 + 4 * i));
  // Four uint32 can multiply beyond 2^53, but then the rounded product is still far above any length that is there.
  const size = found.reduce((product, dimension) => product * dimension, 1);
  if (size !== data.length - header) {
    throw dataFileError(file, {
      expected: `${size} bytes after the header, as its dimensions [${found.join(', ')}] say`,
      received: `${data.length - header} bytes`,
    });
  }
  if (shape && (shape.length !== rank || shape.some((wanted, i) => wanted !== null && wanted !== found[i]))) {
    throw dataFileError(file, {
      expected: `an array of shape [${shape.map((wanted) => wanted ?? 'any').join(', ')}]`,
      received: `[${found.join(', ')}]`,
    });
  }
  return {shape: found, values: data.subarray(header)};
}

/**
 * Unpacks gzip, recognised by its magic number; other bytes are returned as they are.
 *
 * @throws EngramError DATA_FILE for a damaged archive or one that unpacks to more than 1 GiB
 */
export function gunzipIfNeeded(bytes: Uint8Array, file: string): Uint8Array {
  if (bytes[0] !== 0x1f || bytes[1] !== 0x8b) return bytes;
  try {
    return gunzipSync(bytes, {maxOutputLength: MAX_BYTES});
  } catch (cause) {
    throw dataFileError(file, {expected: 'an undamaged gzip archive', received: reasonOf(cause), cause});
  }
}
