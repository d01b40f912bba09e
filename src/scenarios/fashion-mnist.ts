/** Fashion-MNIST (Xiao, Rasul, Vollgraf, 2017; MIT licence): 70 000 images of 28x28 pixels in 10 classes of clothing. */
import {createHash} from 'node:crypto';
import {existsSync} from 'node:fs';
import {mkdir, readFile, rename, rm, writeFile} from 'node:fs/promises';
import {homedir} from 'node:os';
import {join} from 'node:path';
import {gunzipIfNeeded, parseIdx} from './idx.js';
import {dataFileError, type LabelledImages, reasonOf} from './images.js';

/** Where Debian's package dataset-fashion-mnist puts the files. */
export const debianFolder = '/usr/share/datasets/fashion-mnist';
const SOURCE = 'http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/';
const CLASSES = [
  'T-shirt/top',
  'Trouser',
  'Pullover',
  'Dress',
  'Coat',
  'Sandal',
  'Shirt',
  'Sneaker',
  'Bag',
  'Ankle boot',
];

/**
 * The four files with the SHA-256 of their *unpacked* bytes, so that repacked archives (Debian's carry no file name)
 * pass like the originals. `bytes` is the size of the original archive, for the progress of a download.
 */
export const fashionMnistFiles = {
  trainImages: {
    name: 'train-images-idx3-ubyte',
    sha256: 'c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888',
    bytes: 26421880,
  },
  trainLabels: {
    name: 'train-labels-idx1-ubyte',
    sha256: 'bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9',
    bytes: 29515,
  },
  testImages: {
    name: 't10k-images-idx3-ubyte',
    sha256: '5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b',
    bytes: 4422102,
  },
  testLabels: {
    name: 't10k-labels-idx1-ubyte',
    sha256: '0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34',
    bytes: 5148,
  },
} as const;
type FileKey = keyof typeof fashionMnistFiles;
const fileKeys = Object.keys(fashionMnistFiles) as FileKey[];
type Archives = Record<FileKey, Uint8Array>;

export interface FashionMnistOptions {
  /** Folder with the four IDX files, gzipped or plain. Default: Debian's folder if it is there, else a download. */
  folder?: string | undefined;
  /** Where an installed package is looked for; default {@link debianFolder}. */
  installed?: string;
  /** Where a download is kept; default `$XDG_CACHE_HOME/engram/fashion-mnist`, else the same under `~/.cache`. */
  cache?: string;
  /** Where a download comes from: an address that ends in `/`. */
  source?: string;
  signal?: AbortSignal | undefined;
  /** Called as a download goes on: bytes of all four files that are here, of how many. */
  onDownload?: ((received: number, total: number) => void) | undefined;
}

/**
 * Reads Fashion-MNIST from `folder`, from Debian's package, from the cache or from its official source, in that order.
 *
 * @returns 60 000 training and 10 000 test images `[28, 28]` in 0..1
 * @throws EngramError DATA_FILE for a missing file, a wrong checksum or a download that fails; nothing that fails its
 * checksum stays in the cache
 */
export async function loadFashionMnist(
  options: FashionMnistOptions = {},
): Promise<{train: LabelledImages; test: LabelledImages}> {
  const {installed = debianFolder} = options;
  const folder = options.folder ?? (hasAll(installed) ? installed : undefined);
  const archives = folder ? await readAll(folder) : await cached(options);
  return {train: split(archives, 'train', 60000), test: split(archives, 'test', 10000)};
}

function split(archives: Archives, part: 'train' | 'test', count: number): LabelledImages {
  const images = parseIdx(archives[`${part}Images`], fashionMnistFiles[`${part}Images`].name, [count, 28, 28]);
  const labels = parseIdx(archives[`${part}Labels`], fashionMnistFiles[`${part}Labels`].name, [count]);
  const pixels = new Float32Array(images.values.length);
  for (let i = 0; i < pixels.length; i++) pixels[i] = images.values[i] / 255;
  return {pixels, labels: labels.values, count, height: 28, width: 28, classes: CLASSES};
}

function pathIn(folder: string, key: FileKey): string | undefined {
  const plain = join(folder, fashionMnistFiles[key].name);
  return [`${plain}.gz`, plain].find((path) => existsSync(path));
}

function hasAll(folder: string): boolean {
  return fileKeys.every((key) => pathIn(folder, key) !== undefined);
}

async function readAll(folder: string): Promise<Archives> {
  const entries = fileKeys.map(async (key) => {
    const path = pathIn(folder, key);
    if (!path) {
      throw dataFileError(folder, {
        expected: `${fashionMnistFiles[key].name}.gz, or the same unpacked`,
        received: 'no such file',
        remedy: 'Name the folder of the four IDX files, or install the Debian package dataset-fashion-mnist.',
      });
    }
    try {
      return [key, checked(key, await readFile(path), path)] as const;
    } catch (cause) {
      if ((cause as {code?: string}).code === 'DATA_FILE') throw cause;
      throw dataFileError(path, {expected: 'readable bytes', received: reasonOf(cause), cause});
    }
  });
  return Object.fromEntries(await Promise.all(entries)) as Archives;
}

/** Unpacks and compares the checksum. */
function checked(key: FileKey, bytes: Uint8Array, file: string): Uint8Array {
  const unpacked = gunzipIfNeeded(bytes, file);
  const {sha256} = fashionMnistFiles[key];
  const received = createHash('sha256').update(unpacked).digest('hex');
  if (received === sha256) return unpacked;
  throw dataFileError(file, {
    expected: `the original data (SHA-256 ${sha256} unpacked)`,
    received: `SHA-256 ${received}`,
    remedy: 'Delete the file, so that it is fetched again, or replace it by the original.',
  });
}

async function cached(options: FashionMnistOptions): Promise<Archives> {
  const home = process.env.XDG_CACHE_HOME || join(homedir(), '.cache');
  const folder = options.cache ?? join(home, 'engram', 'fashion-mnist');
  const total = fileKeys.reduce((sum, key) => sum + fashionMnistFiles[key].bytes, 0);
  let done = 0;
  for (const key of fileKeys) {
    const {bytes} = fashionMnistFiles[key];
    if (!pathIn(folder, key)) {
      await mkdir(folder, {recursive: true});
      await download(key, folder, options, (received) => options.onDownload?.(done + received, total));
    }
    done += bytes;
  }
  return readAll(folder);
}

async function download(
  key: FileKey,
  folder: string,
  {source = SOURCE, signal}: FashionMnistOptions,
  onBytes: (received: number) => void,
): Promise<void> {
  const {name, bytes} = fashionMnistFiles[key];
  const url = `${source}${name}.gz`;
  const parts: Uint8Array[] = [];
  let received = 0;
  try {
    const response = await fetch(url, {signal: signal ?? null});
    if (!response.ok || !response.body) throw new Error(`HTTP status ${response.status}`);
    // Node's fetch streams are async iterables; TypeScript's DOM types do not say so.
    for await (const part of response.body as unknown as AsyncIterable<Uint8Array>) {
      parts.push(part);
      received += part.length;
      if (received > 2 * bytes) throw new Error(`more than ${2 * bytes} bytes`);
      onBytes(received);
    }
  } catch (cause) {
    signal?.throwIfAborted();
    const inner = (cause as {cause?: unknown}).cause;
    throw dataFileError(url, {
      expected: `${bytes} bytes to download`,
      received: reasonOf(inner ?? cause),
      remedy: 'Check the network, name a folder with --data-dir, or install the Debian package dataset-fashion-mnist.',
      cause,
    });
  }
  const archive = Buffer.concat(parts);
  checked(key, archive, url);
  // Written under another name first, so that an interrupted run leaves no half file that looks whole.
  const path = join(folder, `${name}.gz`);
  const partial = `${path}.${process.pid}.part`;
  try {
    await writeFile(partial, archive);
    await rename(partial, path);
  } finally {
    await rm(partial, {force: true});
  }
}
