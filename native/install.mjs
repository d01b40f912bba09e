/**
 * Builds the addon: `npm ci` and `npm run build:native` run this, and so does `npx node-gyp rebuild` (binding.gyp).
 * Without a compiler the package still installs; the reference engine then does the work, slowly.
 * ENGRAM_NATIVE=require makes a failed build an error, ENGRAM_NATIVE=skip builds nothing.
 */
import {spawnSync} from 'node:child_process';
import {createRequire} from 'node:module';
import {dirname} from 'node:path';
import {fileURLToPath} from 'node:url';

const folder = dirname(fileURLToPath(import.meta.url));

/** @returns {{output: string, missing?: string}} all that the build printed, and what it lacked if it failed */
function build() {
  let tool;
  try {
    tool = createRequire(import.meta.url).resolve('cmake-js/bin/cmake-js');
  } catch {
    return {output: '', missing: 'the npm package cmake-js'};
  }
  // node-gyp and npm put their own idea of Node's headers into the environment; cmake-js brings the right ones.
  const env = Object.fromEntries(
    Object.entries(process.env).filter(([name]) => !/^npm_config_(nodedir|node_gyp)$/i.test(name)),
  );
  const run = spawnSync(process.execPath, [tool, 'build', '-d', folder], {cwd: folder, env, encoding: 'utf8'});
  const output = `${run.stdout ?? ''}${run.stderr ?? ''}`;
  if (run.status === 0) return {output};
  if (/CMake (executable )?is not (found|installed)|cmake: not found|ENOENT/i.test(output))
    return {output, missing: 'cmake'};
  if (/No CMAKE_CXX_COMPILER|compiler.*(not found|is not able)|no.*compiler/i.test(output)) {
    return {output, missing: 'a C++ compiler'};
  }
  if (/CMAKE_MAKE_PROGRAM|no.*(make|ninja)/i.test(output)) return {output, missing: 'make or ninja'};
  return {output, missing: 'a working build (npm run build:native shows its output)'};
}

if (process.env.ENGRAM_NATIVE !== 'skip') {
  const {output, missing} = build();
  const required = process.env.ENGRAM_NATIVE === 'require';
  const asked = process.env.npm_lifecycle_event === 'build:native';
  if (missing) {
    if (required || asked) console.error(output);
    console.warn(
      `engram: no C++ addon, for want of ${missing}: kernels run on the reference engine, some 100 times slower.`,
    );
    if (required) process.exit(1);
  }
}
