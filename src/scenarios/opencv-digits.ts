/** The 5000 handwritten digits of OpenCV's samples: MNIST digits, 20x20 pixels each, on one picture. */
import {createHash} from 'node:crypto';
import {dataFileError, type ImagesInMemory, imagesInMemory, reasonOf} from './images.js';
import {sharpPackage} from './optional-packages.js';

/** Where Debian's package opencv-doc puts the picture. */
export const opencvDigitsFile = '/usr/share/doc/opencv-doc/examples/data/digits.png';

const SIDE = 20;
const COLUMNS = 100;
const ROWS = 50;
/** Five rows of a hundred for each digit, from 0 to 9. The last of the five is for testing. */
const ROWS_PER_DIGIT = 5;
/** Of the grey values, row by row: the picture may be packed anew. */
const SHA256 = 'f331411c6b9042ee1588ce7897122ce97b987dbfcde229ea12a26a4ad6e25cd7';

/**
 * Reads the digits: 4000 training and 1000 test images `[20, 20]` in 0..1, 400 and 100 of each digit.
 *
 * @param file the picture, 2000x1000 pixels; default that of Debian's package
 * @throws EngramError DATA_FILE for another picture; BACKEND without the package sharp
 */
export async function loadOpencvDigits(
  file: string = opencvDigitsFile,
): Promise<{train: ImagesInMemory; test: ImagesInMemory}> {
  const grey = await decode(file);
  return {
    train: digitsOf(grey, (row) => row < ROWS_PER_DIGIT - 1),
    test: digitsOf(grey, (row) => row === ROWS_PER_DIGIT - 1),
  };
}

/** The digits of some of the five rows that each has. */
function digitsOf(grey: Uint8Array, wanted: (row: number) => boolean): ImagesInMemory {
  const rows = Array.from(Array(ROWS).keys()).filter((row) => wanted(row % ROWS_PER_DIGIT));
  const count = rows.length * COLUMNS;
  const pixels = new Float32Array(count * SIDE * SIDE);
  for (let i = 0; i < count; i++) {
    const corner = rows[Math.floor(i / COLUMNS)] * SIDE * COLUMNS * SIDE + (i % COLUMNS) * SIDE;
    for (let p = 0; p < SIDE * SIDE; p++) {
      pixels[i * SIDE * SIDE + p] = grey[corner + Math.floor(p / SIDE) * COLUMNS * SIDE + (p % SIDE)] / 255;
    }
  }
  const labels = Uint8Array.from({length: count}, (_, i) => Math.floor(rows[Math.floor(i / COLUMNS)] / ROWS_PER_DIGIT));
  const classes = Array.from({length: 10}, (_, digit) => String(digit));
  return imagesInMemory({pixels, labels, count, height: SIDE, width: SIDE, channels: 1, classes});
}

async function decode(file: string): Promise<Uint8Array> {
  const sharp = await sharpPackage();
  const remedy = 'Install the Debian package opencv-doc, or name its digits.png.';
  let grey: Uint8Array;
  try {
    grey = await sharp(file).toColourspace('b-w').raw({depth: 'uchar'}).toBuffer();
  } catch (cause) {
    throw dataFileError(file, {expected: "OpenCV's picture of digits", received: reasonOf(cause), remedy, cause});
  }
  const received = createHash('sha256').update(grey).digest('hex');
  if (received === SHA256) return grey;
  const expected = `OpenCV's picture of digits (SHA-256 of its grey values ${SHA256})`;
  throw dataFileError(file, {expected, received: `SHA-256 ${received}`, remedy});
}
