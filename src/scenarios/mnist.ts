/** MNIST (LeCun, Cortes, Burges, 1998): 70 000 handwritten digits of 28x28 pixels; and EMNIST, its letters. */
import {EngramError} from '../errors.js';
import {type IdxSet, type IdxSetOptions, loadIdxSet, type TrainAndTest} from './idx-sets.js';

const digits = [...'0123456789'];
const capitals = [...'ABCDEFGHIJKLMNOPQRSTUVWXYZ'];

/** What the loader knows of MNIST. The archives come from the mirror that torchvision 0.14 uses. */
export const mnist: IdxSet = {
  name: 'mnist',
  files: {
    trainImages: {
      name: 'train-images-idx3-ubyte',
      sha256: 'ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db',
      bytes: 9912422,
    },
    trainLabels: {
      name: 'train-labels-idx1-ubyte',
      sha256: '65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5',
      bytes: 28881,
    },
    testImages: {
      name: 't10k-images-idx3-ubyte',
      sha256: '0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7',
      bytes: 1648877,
    },
    testLabels: {
      name: 't10k-labels-idx1-ubyte',
      sha256: 'ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2',
      bytes: 4542,
    },
  },
  counts: {train: 60000, test: 10000},
  classes: digits,
  source: 'https://ossci-datasets.s3.amazonaws.com/mnist/',
  remedy: 'Name the folder of the four IDX files.',
};

/**
 * Reads MNIST: see {@link loadIdxSet}. 60 000 training and 10 000 test images `[28, 28]` in 0..1.
 *
 * @throws EngramError DATA_FILE
 */
export function loadMnist(options?: IdxSetOptions): Promise<TrainAndTest> {
  return loadIdxSet(mnist, options);
}

/** The classes of bymerge and balanced: capitals and small letters that look alike are one class. */
const merged = [...digits, ...capitals, ...'abdefghnqrt'];
const emnistClasses = {
  byclass: [...digits, ...capitals, ...capitals.map((letter) => letter.toLowerCase())],
  bymerge: merged,
  balanced: merged,
  letters: capitals,
  digits,
  mnist: digits,
} as const;

/** The six ways in which EMNIST is divided. */
export type EmnistSplit = keyof typeof emnistClasses;

/**
 * What the loader knows of a split of EMNIST (Cohen, Afshar, Tapson, van Schaik, 2017, arXiv:1702.05373). Its images
 * are stored column by column; the labels of `letters`, where both cases are one class, start at 1.
 *
 * @throws EngramError ARGUMENT for another split
 */
export function emnist(split: EmnistSplit): IdxSet {
  if (!Object.hasOwn(emnistClasses, split)) {
    throw new EngramError('ARGUMENT', {
      expected: `a split of EMNIST: ${Object.keys(emnistClasses).join(', ')}`,
      received: String(split),
      remedy: 'Name one of these.',
    });
  }
  const file = (part: string) => ({name: `emnist-${split}-${part}-ubyte`});
  return {
    name: `emnist-${split}`,
    files: {
      trainImages: file('train-images-idx3'),
      trainLabels: file('train-labels-idx1'),
      testImages: file('test-images-idx3'),
      testLabels: file('test-labels-idx1'),
    },
    classes: emnistClasses[split],
    firstLabel: split === 'letters' ? 1 : 0,
    transposed: true,
    remedy: "Unpack NIST's archive of EMNIST in the MNIST format (gzip.zip), and name the folder of its files.",
  };
}

/**
 * Reads a split of EMNIST from a folder of its four files; it is never downloaded, since all splits are one archive.
 * No checksum is known to us, so the files are only held to their format. As floats, an image takes 3 kB: `byclass`
 * and `bymerge`, of 814 255 images, need 2.6 GB and 0.6 GB more while they are read.
 *
 * @returns images `[28, 28]` in 0..1, upright
 * @throws EngramError ARGUMENT for another split; DATA_FILE
 */
export async function loadEmnist(split: EmnistSplit, options: {folder: string}): Promise<TrainAndTest> {
  return loadIdxSet(emnist(split), {folder: options.folder});
}
