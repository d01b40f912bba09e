/** Ways to show an image: pixels in another order, turned, normalised. */
import {EngramError} from '../errors.js';

/** Pixels `[height, width, channels]` of one image to as many others; the given ones stay as they are. */
export type View = (pixels: Float32Array) => Float32Array;

/** Size of the images that a view is for. */
export interface ImageSize {
  readonly height: number;
  readonly width: number;
  readonly channels: number;
}

/** Pixel p of the result is pixel `permutation[p]`, with all of its channels. */
export function permutedView(permutation: Uint32Array, channels: number): View {
  return (pixels) => {
    const moved = new Float32Array(pixels.length);
    permutation.forEach((from, to) => {
      for (let c = 0; c < channels; c++) moved[to * channels + c] = pixels[from * channels + c];
    });
    return moved;
  };
}

/**
 * The image turned about its centre, with bilinear interpolation; what comes from outside of it is 0. Where the turned
 * image is at (y, x) relative to the centre, y downwards, the given one is at
 * (y cos a + x sin a, x cos a - y sin a).
 *
 * @param degrees counterclockwise
 */
export function rotatedView({height, width, channels}: ImageSize, degrees: number): View {
  const [cos, sin] = cosineAndSine(degrees);
  const [centreY, centreX] = [(height - 1) / 2, (width - 1) / 2];
  // Four pixels of the given image and their weights for each of the result, worked out once for all images.
  const sources = new Int32Array(4 * height * width);
  const weights = new Float64Array(4 * height * width);
  for (let p = 0; p < height * width; p++) {
    const [y, x] = [Math.floor(p / width) - centreY, (p % width) - centreX];
    const [fromY, fromX] = [y * cos + x * sin + centreY, x * cos - y * sin + centreX];
    const [top, left] = [Math.floor(fromY), Math.floor(fromX)];
    for (let corner = 0; corner < 4; corner++) {
      const [row, column] = [top + (corner >> 1), left + (corner & 1)];
      if (row < 0 || row >= height || column < 0 || column >= width) continue;
      sources[4 * p + corner] = row * width + column;
      weights[4 * p + corner] = (1 - Math.abs(fromY - row)) * (1 - Math.abs(fromX - column));
    }
  }
  return (pixels) => {
    const turned = new Float32Array(pixels.length);
    for (let p = 0; p < height * width; p++) {
      for (let c = 0; c < channels; c++) {
        let sum = 0;
        for (let k = 4 * p; k < 4 * p + 4; k++) sum += weights[k] * pixels[sources[k] * channels + c];
        turned[p * channels + c] = sum;
      }
    }
    return turned;
  };
}

/** Exact at quarter turns, where the library's functions are off by one rounding. */
function cosineAndSine(degrees: number): [cos: number, sin: number] {
  const quarters = degrees / 90;
  if (!Number.isInteger(quarters)) return [Math.cos((degrees * Math.PI) / 180), Math.sin((degrees * Math.PI) / 180)];
  const turns = ((quarters % 4) + 4) % 4;
  return [[1, 0, -1, 0][turns], [0, 1, 0, -1][turns]];
}

/** Mean and standard deviation of each channel. */
export interface ChannelStatistics {
  readonly mean: readonly number[];
  readonly std: readonly number[];
}

/**
 * Every channel less its mean, over its standard deviation.
 *
 * @throws EngramError ARGUMENT unless each channel has a finite mean and a finite deviation above 0
 */
export function normalisedView({mean, std}: ChannelStatistics, channels: number): View {
  const right =
    mean.length === channels &&
    std.length === channels &&
    mean.every(Number.isFinite) &&
    std.every((s) => s > 0 && s < 1 / 0);
  if (!right) {
    throw new EngramError('ARGUMENT', {
      expected: `a mean and a standard deviation above 0 for each of ${channels} channels`,
      received: `mean [${mean.join(', ')}], std [${std.join(', ')}]`,
      remedy: 'Take them from channelStatistics of training images that are not all alike.',
    });
  }
  return (pixels) => pixels.map((value, i) => (value - mean[i % channels]) / std[i % channels]);
}
