/** The 1797 handwritten digits of 8x8 pixels that ship with the package (UCI optdigits, test part; data/README.md). */
import {readFile} from 'node:fs/promises';
import {fileURLToPath} from 'node:url';
import {gunzipSync} from 'node:zlib';
import {dataFileError, type ImagesInMemory, imagesInMemory, reasonOf} from './images.js';

const COUNT = 1797;
const SIDE = 8;
const PIXELS = SIDE * SIDE;
/** Pixels count the ink in a block of 4x4 bitmap points, so 16 is black. */
const BLACK = 16;
/** Uncompressed, the file has 265 kB; a gzip that claims more is not ours. */
const MAX_BYTES = 1 << 20;

/** Where the file lies in the package. */
export const digitsFile = fileURLToPath(new URL('../../data/digits.csv.gz', import.meta.url));

/**
 * Reads the digits: 1797 images `[8, 8]` in 0..1 with labels 0..9, by 13 writers.
 *
 * @param file a gzipped CSV of 1797 lines, each 64 whole numbers of 0..16 and the label; default the package's own
 * @throws EngramError DATA_FILE naming the first line that is wrong
 */
export async function loadDigits(file: string = digitsFile): Promise<ImagesInMemory> {
  const lines = (await readText(file)).split('\n');
  if (lines.at(-1) === '') lines.pop();
  if (lines.length !== COUNT) {
    throw dataFileError(file, {expected: `${COUNT} lines`, received: `${lines.length} lines`});
  }
  const pixels = new Float32Array(COUNT * PIXELS);
  const labels = new Uint8Array(COUNT);
  lines.forEach((line, i) => {
    const numbers = line.split(',').map(wholeNumber);
    const label = numbers.pop() ?? Number.NaN;
    if (numbers.length !== PIXELS || !numbers.every((v) => v <= BLACK) || !(label <= 9)) {
      throw dataFileError(file, {
        expected: `${PIXELS} pixels of 0..${BLACK} and a label of 0..9 in every line`,
        received: `line ${i + 1}: ${line.length > 40 ? `${line.slice(0, 40)}...` : line}`,
      });
    }
    for (let p = 0; p < PIXELS; p++) pixels[i * PIXELS + p] = numbers[p] / BLACK;
    labels[i] = label;
  });
  const classes = Array.from({length: 10}, (_, digit) => String(digit));
  return imagesInMemory({pixels, labels, count: COUNT, height: SIDE, width: SIDE, channels: 1, classes});
}

async function readText(file: string): Promise<string> {
  try {
    return gunzipSync(await readFile(file), {maxOutputLength: MAX_BYTES}).toString('latin1');
  } catch (cause) {
    throw dataFileError(file, {expected: 'gzipped text', received: reasonOf(cause), cause});
  }
}

/** Digits only: `Number` would also take '', '1e1' and ' 7'. */
function wholeNumber(text: string): number {
  return /^\d{1,2}$/.test(text) ? Number(text) : Number.NaN;
}
