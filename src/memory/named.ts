/** Errors about the contents of a file, told with the file's name. */
import {readWhole} from '#files';
import {EngramError} from '../errors.js';

/**
 * Reads a file and decodes it.
 *
 * @param path a path, or a `file://` URL
 * @throws EngramError DATA_FILE if it cannot be read; what `decode` throws, see {@link naming}
 */
export async function readNamed<T>(path: string, decode: (bytes: Uint8Array) => T, remedy?: string): Promise<T> {
  const bytes = await readWhole(path.startsWith('file://') ? path : `file://${path}`).catch((error: EngramError) => {
    const {received, cause} = error;
    throw new EngramError('DATA_FILE', {expected: `to read ${path}`, received, remedy: 'Check the path.', cause});
  });
  return naming(path, () => decode(bytes), remedy);
}

/**
 * Runs `work`, and says of the DATA_FILE error that it throws which file it is about; others pass as they are.
 *
 * @param remedy what to do about it, where the error's own remedy speaks of files that this library saved
 */
export function naming<T>(file: string, work: () => T, remedy?: string): T {
  try {
    return work();
  } catch (error) {
    if (!(error instanceof EngramError) || error.code !== 'DATA_FILE') throw error;
    const {expected, received, cause} = error;
    throw new EngramError('DATA_FILE', {
      expected: `${file}: ${expected}`,
      received,
      remedy: remedy ?? error.remedy,
      cause: cause ?? error,
    });
  }
}
