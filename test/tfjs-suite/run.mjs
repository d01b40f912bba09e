/**
 * tfjs-core's own tests, which its npm package ships, on the native backend: `npm run test:suite`.
 *
 * They are bundled with esbuild, because they import each other without file extensions, and run by jasmine. All must
 * pass; and by the backend's trace every kernel in `native` below must have run, in C++ whenever its inputs were float32.
 */
import {mkdirSync, readFileSync, rmSync, writeFileSync} from 'node:fs';
import {createRequire} from 'node:module';
import {fileURLToPath, pathToFileURL} from 'node:url';
import {build} from 'esbuild';

const Jasmine = createRequire(import.meta.url)('jasmine');
const root = fileURLToPath(new URL('../../', import.meta.url));
/** Inside node_modules, so that the bundle's imports are found; the addon is loaded from where it lies. */
const folder = `${root}node_modules/.engram-tfjs-suite`;

/** Specs of tfjs-core 4.22.0 that run on a backend of any name (two more run under the name cpu alone). */
const expected = 4225;

/** Kernels that have a body in C++. */
const native = new Set(JSON.parse(readFileSync(new URL('native-kernels.json', import.meta.url), 'utf8')));

/** Modules of the project keep their own import.meta.url, by which the addon is found. */
const keepOwnUrl = {
  name: 'keep-own-url',
  setup: ({onLoad}) =>
    onLoad({filter: /\/dist\/.*\.js$/}, ({path}) => {
      if (path.includes('/node_modules/')) return undefined;
      const contents = readFileSync(path, 'utf8');
      return {contents: contents.replaceAll('import.meta.url', JSON.stringify(pathToFileURL(path).href)), loader: 'js'};
    }),
};

async function bundle() {
  rmSync(folder, {recursive: true, force: true});
  mkdirSync(folder, {recursive: true});
  const core = '@tensorflow/tfjs-core/dist';
  const setup = `
    import '${core}/index.js';
    import '${core}/register_all_gradients';
    import '${core}/public/chained_ops/register_all_chained_ops';
    import '${root}dist/backends/native.js';
    import {kernelTraces} from '${root}dist/backends/native/trace.js';
    import {setTestEnvs} from '${core}/jasmine_util';
    globalThis.engramKernelTraces = kernelTraces;
    setTestEnvs([{name: 'native', backendName: 'native', isDataSync: true}]);`;
  writeFileSync(`${folder}/setup.js`, setup);
  writeFileSync(`${folder}/suite.js`, `import './setup.js'; import '${core}/tests';`);
  await build({
    entryPoints: [`${folder}/suite.js`],
    outfile: `${folder}/suite.cjs`,
    bundle: true,
    platform: 'node',
    format: 'cjs',
    mainFields: ['module', 'main'],
    ignoreAnnotations: true, // tfjs marks its registrations as free of side effects
    external: ['*.node'],
    logLevel: 'error',
    plugins: [keepOwnUrl],
  });
}

async function runSuite() {
  const jasmine = new Jasmine({projectBaseDir: folder});
  const failures = [];
  let passed = 0;
  jasmine.exitOnCompletion = false;
  jasmine.clearReporters();
  jasmine.addReporter({
    specDone({status, fullName, failedExpectations}) {
      if (status === 'passed') passed++;
      if (status === 'failed') failures.push(`${fullName}: ${failedExpectations[0]?.message}`);
    },
  });
  jasmine.loadConfig({spec_dir: '.', spec_files: ['suite.cjs'], random: false});
  await jasmine.execute();
  return {passed, failures};
}

/** Kernels that broke their promise, and how. */
function broken(traces) {
  const found = [];
  for (const name of native) {
    const trace = traces.get(name);
    if (!trace) found.push(`${name} never ran`);
    else if (trace.float32InJavaScript > 0) found.push(`${name} ran ${trace.float32InJavaScript} times in JavaScript`);
  }
  return found;
}

process.env.ENGRAM_NATIVE = 'require';
process.env.ENGRAM_TRACE = 'collect';
await bundle();
const {passed, failures} = await runSuite();
const complaints = [...failures, ...broken(globalThis.engramKernelTraces)];
if (passed !== expected) complaints.push(`${passed} specs passed, not ${expected}`);
rmSync(folder, {recursive: true, force: true});
console.log(complaints.join('\n'));
console.log(`tfjs-core's suite on native: ${passed} passed, ${failures.length} failed; ${native.size} kernels in C++`);
process.exit(complaints.length > 0 ? 1 : 0);
