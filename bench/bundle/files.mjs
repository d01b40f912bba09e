/** Which test files go along: all that need a GPU, found rather than listed, so that a new one comes in by itself. */
import {existsSync, readdirSync, readFileSync} from 'node:fs';
import {fileURLToPath} from 'node:url';

export const root = fileURLToPath(new URL('../..', import.meta.url));
const folder = `${root}test/`;

/** GPU tests that need the repository or the installed package around them, and why. */
export const leftHere = {
  '14-kernels-example.test.ts': 'runs the programs of examples/, which import the installed package',
  '61-webgpu-processes.test.ts': 'starts processes that import the installed package, and bundles it',
};

const isAboutGpu = (name) =>
  name.includes('webgpu') ||
  name.endsWith('.engines.test.ts') ||
  /from '\.\/gpu(-parity)?\.js'/.test(readFileSync(folder + name, 'utf8'));

/** @returns {{carried: string[], left: [name: string, reason: string][]}} file names in test/ */
export function gpuTests() {
  for (const name of Object.keys(leftHere)) {
    if (!existsSync(folder + name))
      throw new Error(`test/${name} is excepted from the bundle, but there is no such file`);
  }
  const names = readdirSync(folder).filter((name) => name.endsWith('.test.ts') && isAboutGpu(name));
  return {
    carried: names.filter((name) => !(name in leftHere)).sort(),
    left: Object.entries(leftHere).filter(([name]) => names.includes(name)),
  };
}
