/** Labelled images as every data set of this folder gives them, and the error for a file that is not what it should be. */
import {EngramError} from '../errors.js';

/** Images of one size with one label each; where their pixels are, in memory or in files, is the data set's own affair. */
export interface LabelledImages {
  /** `[count]`, an index into {@link classes}. */
  readonly labels: Uint8Array | Uint16Array;
  readonly count: number;
  readonly height: number;
  readonly width: number;
  /** 1 for grey, 3 for red, green and blue. */
  readonly channels: number;
  readonly classes: readonly string[];
  /**
   * Pixels of the images named, `[indices.length, height, width, channels]`, scaled to 0..1. The array is the caller's.
   *
   * @throws EngramError DATA_FILE for a file that cannot be read or decoded
   */
  read(indices: ArrayLike<number>): Promise<Float32Array>;
}

/** Images that lie in memory, one after the other, row by row. */
export interface ImagesInMemory extends LabelledImages {
  /** `[count, height, width, channels]`, scaled to 0..1. */
  readonly pixels: Float32Array;
}

/** Makes images from their pixels. */
export function imagesInMemory(images: Omit<ImagesInMemory, 'read'>): ImagesInMemory {
  const {pixels, height, width, channels} = images;
  const size = height * width * channels;
  return {
    ...images,
    async read(indices) {
      const chosen = new Float32Array(indices.length * size);
      for (let i = 0; i < indices.length; i++) {
        chosen.set(pixels.subarray(indices[i] * size, (indices[i] + 1) * size), i * size);
      }
      return chosen;
    },
  };
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
