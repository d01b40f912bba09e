/** Loads the data sets of the MNIST family: four IDX files of 28x28 images and labels, for training and for testing. */
import {createHash} from 'node:crypto';
import {existsSync} from 'node:fs';
import {readFile} from 'node:fs/promises';
import {join} from 'node:path';
import {cacheFolder, download} from './download.js';
import {gunzipIfNeeded, parseIdx} from './idx.js';
import {dataFileError, type ImagesInMemory, imagesInMemory, reasonOf} from './images.js';

const SIDE = 28;

/** One of the four files of a set. */
export interface IdxFile {
  /** Name without `.gz`. */
  readonly name: string;
  /** SHA-256 of the *unpacked* bytes, so that an archive packed anew passes like the original; without it, any passes. */
  readonly sha256?: string;
  /** Size of the archive in bytes, for the progress of a download. */
  readonly bytes?: number;
}

const fileKeys = ['trainImages', 'trainLabels', 'testImages', 'testLabels'] as const;

/** The four files of a set. */
export type IdxFiles = Readonly<Record<(typeof fileKeys)[number], IdxFile>>;

/** What the loader must know of a set. */
export interface IdxSet {
  /** Name of its folder in the cache. */
  readonly name: string;
  readonly files: IdxFiles;
  /** Numbers of images; without them, as many as the files say. */
  readonly counts?: {readonly train: number; readonly test: number};
  readonly classes: readonly string[];
  /** The label in the file that stands for class 0; default 0. */
  readonly firstLabel?: number;
  /** Whether an image is stored column by column; default row by row. */
  readonly transposed?: boolean;
  /** Folder of an installed package that has the files. */
  readonly installed?: string;
  /** Where the archives `NAME.gz` come from: an address that ends in `/`. Without it the set is never downloaded. */
  readonly source?: string;
  /** How to come by the files, as a sentence for an error message. */
  readonly remedy: string;
}

/** Where the files are taken from. */
export interface IdxSetOptions {
  /** Folder with the four IDX files, gzipped or plain. Default: that of an installed package, else a download. */
  folder?: string | undefined;
  /** Where an installed package is looked for; default as the set says. */
  installed?: string;
  /** Where a download is kept; default `$XDG_CACHE_HOME/engram/NAME`, else under `~/.cache`. */
  cache?: string;
  /** Where a download comes from: an address that ends in `/`; default as the set says. */
  source?: string;
  signal?: AbortSignal | undefined;
  /** Called as a download goes on: bytes of all four files that are here, of how many. */
  onDownload?: ((received: number, total: number) => void) | undefined;
}

/** Images for training and others for testing, in memory. */
export interface TrainAndTest {
  readonly train: ImagesInMemory;
  readonly test: ImagesInMemory;
}

type Contents = Record<keyof IdxFiles, Uint8Array>;

/**
 * Reads a set from `folder`, from an installed package, from the cache or from its source, in that order.
 *
 * @returns images `[28, 28]` in 0..1
 * @throws EngramError DATA_FILE for a missing file, a wrong checksum, a label without a class or a download that fails;
 * nothing that fails its checksum stays in the cache
 */
export async function loadIdxSet(set: IdxSet, options: IdxSetOptions = {}): Promise<TrainAndTest> {
  const {installed = set.installed} = options;
  const folder = options.folder ?? (installed && hasAll(set, installed) ? installed : undefined);
  const contents = await readAll(set, folder ?? (await fetched(set, options)));
  return {train: imagesOf(set, contents, 'train'), test: imagesOf(set, contents, 'test')};
}

function imagesOf(set: IdxSet, contents: Contents, part: 'train' | 'test'): ImagesInMemory {
  const {classes, firstLabel = 0, transposed = false} = set;
  const wanted = set.counts?.[part] ?? null;
  const images = parseIdx(contents[`${part}Images`], set.files[`${part}Images`].name, [wanted, SIDE, SIDE]);
  const [count] = images.shape;
  const {name} = set.files[`${part}Labels`];
  const stored = parseIdx(contents[`${part}Labels`], name, [count]).values;
  const labels = stored.map((label) => label - firstLabel);
  // A stored label below the first wraps round to one above every class.
  const wrong = labels.findIndex((label) => label >= classes.length);
  if (wrong >= 0) {
    throw dataFileError(name, {
      expected: `labels of ${firstLabel}..${firstLabel + classes.length - 1}`,
      received: `${stored[wrong]} for image ${wrong}`,
    });
  }
  const pixels = new Float32Array(images.values.length);
  for (let i = 0; i < pixels.length; i++) pixels[i] = images.values[i] / 255;
  if (transposed) transpose(pixels);
  return imagesInMemory({pixels, labels, count, height: SIDE, width: SIDE, channels: 1, classes});
}

/** Exchanges rows and columns of every image, in place. */
function transpose(pixels: Float32Array): void {
  for (let first = 0; first < pixels.length; first += SIDE * SIDE) {
    for (let y = 0; y < SIDE; y++) {
      for (let x = 0; x < y; x++) {
        const [a, b] = [first + y * SIDE + x, first + x * SIDE + y];
        [pixels[a], pixels[b]] = [pixels[b], pixels[a]];
      }
    }
  }
}

function pathIn(folder: string, {name}: IdxFile): string | undefined {
  return [join(folder, `${name}.gz`), join(folder, name)].find((path) => existsSync(path));
}

function hasAll({files}: IdxSet, folder: string): boolean {
  return fileKeys.every((key) => pathIn(folder, files[key]) !== undefined);
}

async function readAll({files, remedy}: IdxSet, folder: string): Promise<Contents> {
  const entries = fileKeys.map(async (key) => {
    const path = pathIn(folder, files[key]);
    if (!path) {
      const others = fileKeys.filter((other) => other !== key).map((other) => files[other].name);
      throw dataFileError(folder, {
        expected: `${files[key].name}.gz, or the same unpacked (and so ${others.join(', ')})`,
        received: 'no such file',
        remedy,
      });
    }
    let bytes: Uint8Array;
    try {
      bytes = await readFile(path);
    } catch (cause) {
      throw dataFileError(path, {expected: 'readable bytes', received: reasonOf(cause), cause});
    }
    return [key, checked(files[key], bytes, path)] as const;
  });
  return Object.fromEntries(await Promise.all(entries)) as Contents;
}

/** Unpacks and compares the checksum, if there is one. */
function checked({sha256}: IdxFile, bytes: Uint8Array, path: string): Uint8Array {
  const unpacked = gunzipIfNeeded(bytes, path);
  if (!sha256) return unpacked;
  const received = createHash('sha256').update(unpacked).digest('hex');
  if (received === sha256) return unpacked;
  throw dataFileError(path, {
    expected: `the original data (SHA-256 ${sha256} unpacked)`,
    received: `SHA-256 ${received}`,
    remedy: 'Delete the file, so that it is fetched again, or replace it by the original.',
  });
}

/** Downloads what the cache lacks; returns its folder. */
async function fetched(set: IdxSet, options: IdxSetOptions): Promise<string> {
  const {source = set.source, cache = cacheFolder(set.name), signal, onDownload} = options;
  if (!source) {
    const expected = `the files ${fileKeys.map((key) => set.files[key].name).join(', ')}, gzipped or plain`;
    throw dataFileError('a folder', {expected, received: 'no folder', remedy: set.remedy});
  }
  const sizeOf = (key: keyof IdxFiles) => set.files[key].bytes ?? 0;
  const total = fileKeys.reduce((sum, key) => sum + sizeOf(key), 0);
  let done = 0;
  for (const key of fileKeys) {
    const file = set.files[key];
    if (!pathIn(cache, file)) {
      const url = `${source}${file.name}.gz`;
      await download({
        url,
        path: join(cache, `${file.name}.gz`),
        bytes: sizeOf(key),
        check: (contents) => void checked(file, contents, url),
        remedy: `Check the network. ${set.remedy}`,
        signal,
        onBytes: (received) => onDownload?.(done + received, total),
      });
    }
    done += sizeOf(key);
  }
  return cache;
}
