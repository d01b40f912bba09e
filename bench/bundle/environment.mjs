/** The environment in which Vulkan finds the GPU: the machine's own, or else one that names NVIDIA's driver. */
import {existsSync, mkdirSync, writeFileSync} from 'node:fs';
import {delimiter, join} from 'node:path';
import {runCode} from './processes.mjs';

/** Where containers mount the driver's manifest; the loader itself looks in /etc and /usr/share only. */
const manifests = [
  '/usr/local/nvidia/share/vulkan/icd.d/nvidia_icd.json',
  '/usr/local/nvidia/vulkan/icd.d/nvidia_icd.json',
  '/usr/local/nvidia/icd.d/nvidia_icd.json',
];
/** The driver's libraries, for machines that have them without any manifest; the second needs no X11. */
const libraries = ['libGLX_nvidia.so.0', 'libEGL_nvidia.so.0'];

const naming = (manifest) => ({VK_DRIVER_FILES: manifest, VK_ICD_FILENAMES: manifest});

function* candidates(folder) {
  // The driver's GLX library wants X11 also where nothing is displayed; a bare server has none.
  const withX11 = {LD_LIBRARY_PATH: [process.env.LD_LIBRARY_PATH, join(folder, '../lib/x11')].join(delimiter)};
  yield {};
  yield withX11;
  if (process.env.VK_DRIVER_FILES || process.env.VK_ICD_FILENAMES) return;
  for (const manifest of manifests.filter((file) => existsSync(file))) {
    yield naming(manifest);
    yield {...naming(manifest), ...withX11};
  }
  mkdirSync(join(folder, 'icd'), {recursive: true});
  for (const library of libraries) {
    const manifest = join(folder, 'icd', `${library}.json`);
    const icd = {file_format_version: '1.0.1', ICD: {library_path: library, api_version: '1.3.0'}};
    writeFileSync(manifest, JSON.stringify(icd));
    yield {...naming(manifest), ...withX11};
  }
}

/**
 * @param folder the unpacked folder
 * @returns {Promise<{env: object, found: object, tried: object[]}>} `found` is what probe.mjs says: a hardware GPU if any
 *   candidate has one, else a software adapter, else {gpu: {missing}}
 */
export async function findGpu(folder, options) {
  // What the loader tells goes into the log: it names the library that a driver misses.
  const loud = {VK_LOADER_DEBUG: 'error,warn,driver', ...process.env};
  const tried = [];
  let best;
  for (const added of candidates(folder)) {
    const run = await runCode(['probe'], {...options, env: {...loud, ...added}, limit: 120});
    let found;
    try {
      found = JSON.parse(run.stdout.trim().split('\n').at(-1));
    } catch {
      found = {gpu: {missing: `the probe ended without an answer: ${run.tail.trim().split('\n').at(-1)}`}};
    }
    const {missing, software, description} = found.gpu;
    tried.push({env: added, answer: missing ?? description});
    const rank = missing ? 0 : software ? 1 : 2;
    if (!best || rank > best.rank) best = {rank, found, env: {...process.env, ...added}};
    const chosen = process.env.VK_DRIVER_FILES ?? process.env.VK_ICD_FILENAMES;
    if (rank === 2 || (rank === 1 && chosen)) break;
  }
  return {env: best.env, found: best.found, tried};
}
