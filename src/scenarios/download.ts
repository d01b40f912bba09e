/** Fetches a file whose size and contents are known beforehand, and leaves it whole in its folder or not at all. */
import {mkdir, rename, rm, writeFile} from 'node:fs/promises';
import {homedir} from 'node:os';
import {dirname, join} from 'node:path';
import {dataFileError, reasonOf} from './images.js';

/** A file to fetch. */
export interface Download {
  readonly url: string;
  /** Where it is kept; its folder is made if need be. */
  readonly path: string;
  /** Its size, for the progress; a server that sends more than twice as much is cut off. */
  readonly bytes: number;
  /** Throws if the contents are wrong; then nothing is kept. */
  readonly check: (contents: Uint8Array) => void;
  /** What else a user can do than download. */
  readonly remedy: string;
  readonly signal?: AbortSignal | undefined;
  /** Called as bytes come in, with how many are here. */
  readonly onBytes?: (received: number) => void;
}

/** Where the data of `name` is kept between runs: `$XDG_CACHE_HOME/engram/NAME`, else the same under `~/.cache`. */
export function cacheFolder(name: string): string {
  return join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'engram', name);
}

/**
 * Fetches a file into its place.
 *
 * @throws EngramError DATA_FILE for a network or server that fails, or what `check` throws, or the signal's reason;
 * the place is then as it was
 */
export async function download({url, path, bytes, check, remedy, signal, onBytes}: Download): Promise<void> {
  await mkdir(dirname(path), {recursive: true});
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
      onBytes?.(received);
    }
  } catch (cause) {
    signal?.throwIfAborted();
    const inner = (cause as {cause?: unknown}).cause;
    const expected = `${bytes} bytes to download`;
    throw dataFileError(url, {expected, received: reasonOf(inner ?? cause), remedy, cause});
  }
  const contents = Buffer.concat(parts);
  check(contents);
  // Written under another name first, so that an interrupted run leaves no half file that looks whole.
  const partial = `${path}.${process.pid}.part`;
  try {
    await writeFile(partial, contents);
    await rename(partial, path);
  } finally {
    await rm(partial, {force: true});
  }
}
