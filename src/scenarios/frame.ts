/** Brings images of any size and number of channels to a common one. */
import type {LabelledImages} from './images.js';
import type {ImageSize} from './views.js';

/**
 * The images in a frame of the given size, when they are read:
 *
 * - grey becomes red, green and blue alike; colour becomes its luma, 0.299 R + 0.587 G + 0.114 B (ITU-R BT.601);
 * - images that fit, and fill more than half of the frame's height or width, keep their pixels;
 * - all others are scaled, in proportion, to the largest size that fits (28x28 into 32x32 is padded; 8x8 and 100x60 are
 *   scaled). Scaling is bilinear; to a smaller size the triangle is widened, so that every pixel counts;
 * - the image is in the middle, with the odd row or column below or to the right, and 0 around it.
 */
export function framed(images: LabelledImages, frame: ImageSize): LabelledImages {
  const {height, width, channels} = images;
  if (height === frame.height && width === frame.width && channels === frame.channels) return images;
  const keeps =
    height <= frame.height && width <= frame.width && (2 * height > frame.height || 2 * width > frame.width);
  const scale = keeps ? 1 : Math.min(frame.height / height, frame.width / width);
  const rows = mix(height, clamp(Math.round(height * scale), frame.height), frame.height);
  const columns = mix(width, clamp(Math.round(width * scale), frame.width), frame.width);
  const size = height * width * channels;
  const frameSize = frame.height * frame.width * frame.channels;
  return {
    ...images,
    ...{height: frame.height, width: frame.width, channels: frame.channels},
    async read(indices) {
      const given = await images.read(indices);
      const result = new Float32Array(indices.length * frameSize);
      for (let i = 0; i < indices.length; i++) {
        const image = recoloured(given.subarray(i * size, (i + 1) * size), channels, frame.channels);
        result.set(placed(image, images.width, frame, rows, columns), i * frameSize);
      }
      return result;
    },
  };
}

function clamp(side: number, most: number): number {
  return Math.min(Math.max(side, 1), most);
}

/** For each place along a side of the frame, the places of the image that it is mixed from, and how much of each. */
type Mix = readonly {readonly first: number; readonly weights: Float64Array}[];

/**
 * Along one side: `from` pixels become `to`, in the middle of `frame`. Pixel centres are at k + 1/2; a pixel of the
 * result at u = (k + 1/2) from/to takes max(0, 1 - |u - v|/r) of each pixel v, r = max(1, from/to), over their sum.
 */
function mix(from: number, to: number, frame: number): Mix {
  const start = Math.floor((frame - to) / 2);
  const reach = Math.max(1, from / to);
  return Array.from({length: frame}, (_, place) => {
    if (place < start || place >= start + to) return {first: 0, weights: new Float64Array(0)};
    const centre = ((place - start + 0.5) * from) / to;
    const first = Math.max(0, Math.floor(centre - reach));
    const last = Math.min(from - 1, Math.ceil(centre + reach));
    const weights = Float64Array.from({length: last - first + 1}, (_, k) =>
      Math.max(0, 1 - Math.abs(first + k + 0.5 - centre) / reach),
    );
    const sum = weights.reduce((a, b) => a + b);
    return {first, weights: weights.map((weight) => weight / sum)};
  });
}

/** One image in its frame: first along the columns, then along the rows. */
function placed(image: Float32Array, width: number, frame: ImageSize, rows: Mix, columns: Mix): Float32Array {
  const {channels} = frame;
  const height = image.length / (width * channels);
  const narrow = new Float64Array(height * frame.width * channels);
  for (let y = 0; y < height; y++) {
    for (const [x, {first, weights}] of columns.entries()) {
      for (let c = 0; c < channels; c++) {
        let sum = 0;
        for (let k = 0; k < weights.length; k++) sum += weights[k] * image[(y * width + first + k) * channels + c];
        narrow[(y * frame.width + x) * channels + c] = sum;
      }
    }
  }
  const row = frame.width * channels;
  const result = new Float32Array(frame.height * row);
  for (const [y, {first, weights}] of rows.entries()) {
    for (let x = 0; x < row; x++) {
      let sum = 0;
      for (let k = 0; k < weights.length; k++) sum += weights[k] * narrow[(first + k) * row + x];
      result[y * row + x] = sum;
    }
  }
  return result;
}

function recoloured(image: Float32Array, from: number, to: number): Float32Array {
  if (from === to) return image;
  const grey = from === 1 ? image : Float32Array.from({length: image.length / 3}, (_, p) => luma(image, 3 * p));
  return to === 1 ? grey : Float32Array.from({length: 3 * grey.length}, (_, i) => grey[Math.floor(i / 3)]);
}

function luma(image: Float32Array, at: number): number {
  return 0.299 * image[at] + 0.587 * image[at + 1] + 0.114 * image[at + 2];
}
