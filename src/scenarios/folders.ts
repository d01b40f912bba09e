/** Images in folders, one folder a class, decoded when they are asked for. */
import type {Dirent} from 'node:fs';
import {readdir, stat} from 'node:fs/promises';
import {extname, join} from 'node:path';
import {EngramError} from '../errors.js';
import {dataFileError, type LabelledImages, reasonOf} from './images.js';
import {sharpPackage} from './optional-packages.js';
import {shuffledRange} from './sequences.js';

/** What is taken for an image; other files in a class folder are left alone. */
const EXTENSIONS = ['.avif', '.gif', '.jpeg', '.jpg', '.png', '.tif', '.tiff', '.webp'];
/** Images in work at once: enough for every thread of libvips, few enough that the memory of large photos is bounded. */
const AT_ONCE = 8;

/** How images of all sizes become images of one. */
export interface ImageFolderOptions {
  readonly height: number;
  readonly width: number;
  /** 1 for grey (libvips' luminance), 3 for red, green and blue. */
  readonly channels: 1 | 3;
  /** Where the folder does not set test images apart: the share of each class that is for testing; default 0.2. */
  readonly testShare?: number;
  /** Where the folder does not set test images apart: decides which they are; default 0. */
  readonly seed?: number;
}

/** Images in files. */
export interface ImageFiles extends LabelledImages {
  /** `[count]`, their paths. */
  readonly files: readonly string[];
}

/**
 * Finds the images of a folder: `train/CLASS/*` and `test/CLASS/*` if it has both, else `CLASS/*`, of which a seeded
 * share is for testing. JPEG, PNG, WebP, GIF, TIFF and AVIF, by their extension; names that begin with a dot are passed
 * over. Classes and files are in the order of JavaScript's plain sort of their names.
 *
 * An image is read when `read` asks for it, each time anew: turned upright as its EXIF orientation says, laid on black
 * where it is transparent, scaled (libvips' default, Lanczos) until its shorter side, measured in `[height, width]`,
 * fits, and cut to the centre.
 *
 * @throws EngramError ARGUMENT for sizes; BACKEND without the package sharp; DATA_FILE for a folder that is not there,
 * has no class, or has a class without images
 */
export async function loadImageFolder(
  folder: string,
  options: ImageFolderOptions,
): Promise<{train: ImageFiles; test: ImageFiles}> {
  const {height, width, channels, testShare = 0.2, seed = 0} = options;
  check(
    [height, width].every((side) => Number.isInteger(side) && side > 0),
    'whole sides above 0',
    `${height}, ${width}`,
  );
  check(channels === 1 || channels === 3, '1 or 3 channels', String(channels));
  check(testShare > 0 && testShare < 1, 'a share for testing between 0 and 1', String(testShare));
  const sharp = await sharpPackage();
  const make = (classes: readonly string[], filesOf: readonly (readonly string[])[]): ImageFiles => {
    const files = filesOf.flat();
    const labels = Uint16Array.from(filesOf.flatMap((own, label) => own.map(() => label)));
    const read = (indices: ArrayLike<number>) =>
      decodeAll(
        sharp,
        Array.from(indices, (i) => files[i]),
        options,
      );
    return {labels, count: files.length, height, width, channels, classes, files, read};
  };

  const found = await foldersIn(folder);
  if (found.includes('train') && found.includes('test')) {
    const classes = await foldersIn(join(folder, 'train'));
    const others = (await foldersIn(join(folder, 'test'))).filter((name) => !classes.includes(name));
    if (others.length > 0) {
      throw dataFileError(join(folder, 'test'), {
        expected: `the classes of ${join(folder, 'train')}`,
        received: `${others.join(', ')} besides`,
        remedy: 'Give every class a folder in both.',
      });
    }
    const part = async (name: string) =>
      make(classes, await Promise.all(classes.map((own) => imagesIn(join(folder, name, own), 1))));
    return {train: await part('train'), test: await part('test')};
  }
  const files = await Promise.all(found.map((name) => imagesIn(join(folder, name), 2)));
  const parts = files.map((own, label) => {
    const order = shuffledRange(own.length, `${seed}/test images/${found[label]}`);
    const held = Math.min(own.length - 1, Math.max(1, Math.round(own.length * testShare)));
    const pick = (indices: Uint32Array) => Array.from(indices.sort(), (index) => own[index]);
    return {test: pick(order.slice(0, held)), train: pick(order.slice(held))};
  });
  return {
    train: make(
      found,
      parts.map(({train}) => train),
    ),
    test: make(
      found,
      parts.map(({test}) => test),
    ),
  };
}

/** Names of the folders in one, sorted. */
async function foldersIn(folder: string): Promise<string[]> {
  const names = await namesIn(folder, 'folder');
  if (names.length > 0) return names;
  throw dataFileError(folder, {
    expected: 'one folder a class',
    received: 'no folder',
    remedy: 'Put the images into CLASS/*, or into train/CLASS/* and test/CLASS/*.',
  });
}

/** Paths of the images in the folder of a class, sorted. */
async function imagesIn(folder: string, atLeast: number): Promise<string[]> {
  const names = await namesIn(folder, 'file');
  const images = names.filter((name) => EXTENSIONS.includes(extname(name).toLowerCase()));
  if (images.length >= atLeast) return images.map((name) => join(folder, name));
  throw dataFileError(folder, {
    expected: `${atLeast} or more images of a class (${EXTENSIONS.join(', ')})`,
    received: `${images.length} among ${names.length} files`,
    remedy:
      'Put the images into CLASS/*, or into train/CLASS/* and test/CLASS/*; remove the folder of a class without.',
  });
}

async function namesIn(folder: string, kind: 'file' | 'folder'): Promise<string[]> {
  try {
    const names: string[] = [];
    for (const entry of await readdir(folder, {withFileTypes: true})) {
      if (!entry.name.startsWith('.') && (await kindOf(folder, entry)) === kind) names.push(entry.name);
    }
    return names.sort();
  } catch (cause) {
    throw dataFileError(folder, {
      expected: 'folders of images',
      received: reasonOf(cause),
      remedy: 'Name a folder that is there and can be read.',
      cause,
    });
  }
}

/** Links are followed: large sets are often folders of links. */
async function kindOf(folder: string, entry: Dirent): Promise<'file' | 'folder' | undefined> {
  const what = entry.isSymbolicLink() ? await stat(join(folder, entry.name)) : entry;
  return what.isDirectory() ? 'folder' : what.isFile() ? 'file' : undefined;
}

type Sharp = Awaited<ReturnType<typeof sharpPackage>>;

/** `[files.length, height, width, channels]` in 0..1. */
async function decodeAll(sharp: Sharp, files: string[], options: ImageFolderOptions): Promise<Float32Array> {
  const size = options.height * options.width * options.channels;
  const pixels = new Float32Array(files.length * size);
  let next = 0;
  const work = async () => {
    while (next < files.length) {
      const index = next++;
      const bytes = await decode(sharp, files[index], options);
      for (let p = 0; p < size; p++) pixels[index * size + p] = bytes[p] / 255;
    }
  };
  try {
    await Promise.all(Array.from({length: AT_ONCE}, work));
  } finally {
    // After a failure the other workers stop at their next image.
    next = files.length;
  }
  return pixels;
}

/** One image, `[height, width, channels]`, 0..255. */
async function decode(sharp: Sharp, file: string, options: ImageFolderOptions): Promise<Uint8Array> {
  const {height, width, channels} = options;
  try {
    const image = sharp(file, {failOn: 'error'})
      .autoOrient()
      .flatten({background: 'black'})
      .resize(width, height, {fit: 'cover', position: 'centre'})
      .toColourspace(channels === 1 ? 'b-w' : 'srgb')
      .raw({depth: 'uchar'});
    const {data, info} = await image.toBuffer({resolveWithObject: true});
    if (info.channels !== channels || data.length !== height * width * channels) {
      throw new Error(`${info.width}x${info.height} pixels of ${info.channels} channels`);
    }
    return data;
  } catch (cause) {
    throw dataFileError(file, {
      expected: 'an undamaged image',
      received: reasonOf(cause),
      remedy: 'Replace the file, or remove it from the folder of its class.',
      cause,
    });
  }
}

function check(right: boolean, expected: string, received: string): void {
  if (right) return;
  throw new EngramError('ARGUMENT', {expected, received, remedy: 'See ImageFolderOptions.'});
}
