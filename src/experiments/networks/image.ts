/** The images that a network sees. */
import {EngramError} from '../../errors.js';

/** Size of an image; a batch has the shape `[B, height, width, channels]`. */
export interface ImageShape {
  /** In pixels. */
  readonly height: number;
  readonly width: number;
  /** 1 for grey, 3 for colours. */
  readonly channels: number;
}

/**
 * The shape of one image.
 *
 * @param least fewest pixels a side that the network can work with
 * @throws EngramError ARGUMENT
 */
export function inputShape({height, width, channels}: ImageShape, least = 1): [number, number, number] {
  const isWhole = [height, width, channels].every((size) => Number.isSafeInteger(size) && size >= 1);
  if (isWhole && Math.min(height, width) >= least) return [height, width, channels];
  throw new EngramError('ARGUMENT', {
    expected: `images of at least ${least}x${least} pixels and one channel`,
    received: `height ${height}, width ${width}, channels ${channels}`,
    remedy: 'Give larger images, or take another network.',
  });
}
