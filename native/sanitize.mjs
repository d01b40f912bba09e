/**
 * `npm run test:sanitized`: builds the addon with AddressSanitizer and UndefinedBehaviorSanitizer into a folder of its
 * own, and runs the tests of the N-API edge on it: calls of every kind, transferred arrays, threads and processes that
 * end under a running kernel. Any report fails the test that caused it. Takes GCC or Clang on Linux.
 */
import {execFileSync, spawnSync} from 'node:child_process';
import {createRequire} from 'node:module';
import {fileURLToPath} from 'node:url';

const at = (path) => fileURLToPath(new URL(path, import.meta.url));
const out = at('build/sanitized');
const run = (command, args, env = {}) => {
  const {status} = spawnSync(command, args, {cwd: at('..'), stdio: 'inherit', env: {...process.env, ...env}});
  if (status !== 0) process.exit(status ?? 1);
};

const cmakeJs = createRequire(import.meta.url).resolve('cmake-js/bin/cmake-js');
run(process.execPath, [cmakeJs, 'build', '-d', at('.'), '-O', out, '--CDENGRAM_SANITIZE=address,undefined']);

// The program, Node, is not instrumented: the sanitizer's library has to come before all others.
const library = execFileSync(process.env.CXX ?? 'c++', ['-print-file-name=libasan.so'], {encoding: 'utf8'}).trim();
const tests = process.argv.length > 2 ? process.argv.slice(2) : ['test/12-native-edge', 'test/14-kernels-async'];
run(process.execPath, [at('../node_modules/vitest/vitest.mjs'), 'run', ...tests], {
  LD_PRELOAD: library,
  ENGRAM_ADDON: `${out}/Release/engram_native.node`,
  ENGRAM_NATIVE: 'require',
  ASAN_OPTIONS: 'detect_leaks=0', // what V8 holds until the process ends is no leak
  UBSAN_OPTIONS: 'halt_on_error=1:print_stacktrace=1',
});
