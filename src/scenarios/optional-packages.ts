/** The packages that only some data sets need: loaded when they are, with advice if they are not installed. */
import {EngramError} from '../errors.js';

/**
 * sharp (libvips), which decodes images and draws SVG.
 *
 * @throws EngramError BACKEND if it is not installed or does not run here
 */
export async function sharpPackage() {
  return (await load('sharp', 'decodes images', () => import('sharp'))).default;
}

/**
 * opentype.js, which reads the outlines of fonts.
 *
 * @throws EngramError BACKEND if it is not installed
 */
export async function opentypePackage() {
  return (await load('opentype.js', 'reads fonts', () => import('opentype.js'))).default;
}

async function load<T>(name: string, purpose: string, importIt: () => Promise<T>): Promise<T> {
  try {
    return await importIt();
  } catch (cause) {
    throw new EngramError('BACKEND', {
      expected: `the package ${name}, which ${purpose}`,
      received: (cause as {code?: string}).code ?? String(cause),
      remedy: `Run "npm install ${name}".`,
      cause,
    });
  }
}
