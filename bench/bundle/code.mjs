/**
 * Everything that runs on the host as one module, made by esbuild. Modules reached by `import()` are run when asked for,
 * in the order that their own imports say: one file holds all tests, and each process runs one of them.
 */
import {readFile} from 'node:fs/promises';
import {builtinModules} from 'node:module';
import {basename, relative} from 'node:path';
import {fileURLToPath} from 'node:url';
import {build} from 'esbuild';
import {gpuTests, root} from './files.mjs';

const here = (file) => fileURLToPath(new URL(file, import.meta.url));

/** The host's code, in the folder that stands for the repository's root there. */
export const codeFile = 'code/engram-gpu.mjs';
/** The reference engine starts this file as a thread. */
const threadFile = 'dist/kernels/thread-worker.js';

/** In place of `vitest`, a module small enough to go along; and the list of tests as imports. */
const standIns = (tests, left) => ({
  name: 'stand-ins',
  setup({onResolve, onLoad}) {
    onResolve({filter: /^vitest$/}, () => ({path: here('vitest.mjs')}));
    onResolve({filter: /^engram-gpu-tests$/}, () => ({path: 'tests', namespace: 'tests'}));
    onLoad({filter: /.*/, namespace: 'tests'}, () => ({
      contents: `export const left = ${JSON.stringify(left)};
        export const tests = {${tests.map((file) => `${JSON.stringify(basename(file))}: () => import(${JSON.stringify(file)})`)}};`,
      resolveDir: root,
    }));
  },
});

/**
 * Modules find their files (the addon, shaders, peers.py, golden results) next to their own address. The host's folder
 * is laid out as the repository is, and every module keeps the address that it has there.
 */
const addresses = {
  name: 'addresses',
  setup({onLoad}) {
    onLoad({filter: /\.[mc]?[jt]s$/}, async ({path}) => {
      if (path.includes('/node_modules/') && !path.includes('/node_modules/webgpu/')) return null;
      const text = await readFile(path, 'utf8');
      if (!text.includes('import.meta.url')) return null;
      const address = `new URL(${JSON.stringify(`../${relative(root, path)}`)}, import.meta.url).href`;
      return {contents: text.replaceAll('import.meta.url', address), loader: path.endsWith('ts') ? 'ts' : 'js'};
    });
  },
};

/** node-fetch, in TensorFlow.js, asks for it and goes on without. */
const optional = ['encoding'];

const common = {
  bundle: true,
  platform: 'node',
  format: 'esm',
  target: 'node20',
  // `sideEffects` of package.json is written for the package alone, and tfjs' backends are imported for theirs.
  ignoreAnnotations: true,
  metafile: true,
  logLevel: 'warning',
  // CommonJS packages (TensorFlow.js) call `require` for what Node brings.
  banner: {
    js: "import {createRequire as engramRequire} from 'node:module'; globalThis.require ??= engramRequire(import.meta.url);",
  },
};

/**
 * @param folder where the code is written
 * @param tests  absolute paths; the repository's GPU tests if not said
 * @returns {Promise<{inputs: string[], outside: string[]}>} what went in, relative to the root, and which imports are left
 */
export async function bundleCode(folder, tests = gpuTests().carried.map((name) => `${root}test/${name}`)) {
  const code = await build({
    ...common,
    absWorkingDir: root,
    entryPoints: [here('main.mjs')],
    outfile: `${folder}/${codeFile}`,
    plugins: [standIns(tests, gpuTests().left), addresses],
  });
  const thread = await build({
    ...common,
    absWorkingDir: root,
    entryPoints: [root + threadFile],
    outfile: `${folder}/${threadFile}`,
  });
  const outputs = [code, thread].flatMap(({metafile}) => Object.values(metafile.outputs));
  const outside = outputs.flatMap(({imports}) => imports.filter(({external}) => external).map(({path}) => path));
  return {
    inputs: Object.keys(code.metafile.inputs),
    outside: [...new Set(outside)].filter(
      (path) => ![...builtinModules, ...optional].includes(path.replace(/^node:/, '')),
    ),
  };
}
