/** Labelled images as every data set of this folder gives them, and the error for a file that is not what it should be. */
import {EngramError} from '../errors.js';

/** Images laid out one after the other, row by row, with one label each. */
export interface LabelledImages {
  /** `[count, height, width]`, scaled to 0..1. */
  readonly pixels: Float32Array;
  /** `[count]`, an index into {@link classes}. */
  readonly labels: Uint8Array;
  readonly count: number;
  readonly height: number;
  readonly width: number;
  readonly classes: readonly string[];
}

/** A data file that is missing or is not what it should be. */
export function dataFileError(
  file: string,
  detail: {expected: string; received: string; remedy?: string; cause?: unknown},
): EngramError {
  return new EngramError('DATA_FILE', {
    expected: `${file} to hold ${detail.expected}`,
    received: detail.received,
    remedy: detail.remedy ?? 'Replace the file by the original.',
    cause: detail.cause,
  });
}

/** `code` of a Node system error, else its message. */
export function reasonOf(error: unknown): string {
  const {code, message} = error as {code?: string; message?: string};
  return code ?? message ?? String(error);
}
