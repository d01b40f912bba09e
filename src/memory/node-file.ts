/** Files in Node. The browser build resolves `#files` to node-file.browser.ts, so nothing of Node enters its graph. */
import {randomUUID} from 'node:crypto';
import {open, readFile, realpath, rename, rm} from 'node:fs/promises';
import {basename, dirname, join, resolve} from 'node:path';
import {fileURLToPath} from 'node:url';
import {EngramError} from '../errors.js';

/**
 * The path of a `file://` URL. A string is taken as TensorFlow.js takes it: what follows `file://` is the path, relative
 * to the working directory, and `%` means itself. A URL object is decoded as Node does.
 */
function pathOf(url: string | URL): string {
  if (typeof url !== 'string') return fileURLToPath(url);
  const path = url.slice('file://'.length);
  return resolve(/^\/[A-Za-z]:[\\/]/.test(path) && process.platform === 'win32' ? path.slice(1) : path);
}

/**
 * Replaces a file as one step: whoever reads it, and whatever power cut or kill comes between, finds the old file or
 * the new one, whole. An interrupted save may leave a `.NAME.*.tmp` beside it, which is never read.
 *
 * @throws EngramError DATA_FILE if the file cannot be written; the old one is then untouched
 */
export async function writeWhole(url: string | URL, bytes: Uint8Array): Promise<void> {
  let path = String(url);
  let temporary: string | undefined;
  try {
    path = pathOf(url);
    path = await realpath(path).catch(() => path); // a link keeps being one: its target is replaced
    const folder = dirname(path);
    const beside = join(folder, `.${basename(path)}.${randomUUID()}.tmp`);
    const file = await open(beside, 'wx');
    temporary = beside;
    try {
      await file.writeFile(bytes);
      await file.sync(); // the contents must be on the disk before the name is
    } finally {
      await file.close();
    }
    await rename(beside, path);
    temporary = undefined;
    await syncFolder(folder);
  } catch (cause) {
    if (temporary) await rm(temporary, {force: true}).catch(() => undefined);
    throw new EngramError('DATA_FILE', {
      expected: `to write ${path}`,
      received: (cause as Error).message,
      remedy: 'Check that the folder exists, may be written to and has space.',
      cause,
    });
  }
}

/**
 * A whole file.
 *
 * @throws EngramError DATA_FILE if it cannot be read
 */
export async function readWhole(url: string | URL): Promise<Uint8Array> {
  try {
    return await readFile(pathOf(url));
  } catch (cause) {
    throw new EngramError('DATA_FILE', {
      expected: `to read ${url}`,
      received: (cause as Error).message,
      remedy: 'Check the path; "file://name" is relative to the working directory, "file:///name" absolute.',
      cause,
    });
  }
}

/** Puts the new name on the disk. Windows cannot open folders and needs no such step. */
async function syncFolder(folder: string): Promise<void> {
  if (process.platform === 'win32') return;
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
