/**
 * The C++ kernels against the peak of the machine and against OpenBLAS: builds native/bench/roofline.cc and runs it, once
 * with the kernels that OpenBLAS chooses and once, on AVX-512 machines, with SkylakeX.
 */
import {execFileSync, spawnSync} from 'node:child_process';
import {fileURLToPath} from 'node:url';
import {load} from './measure.mjs';
import {coreTypes} from './peers/torch.mjs';

const at = (path) => fileURLToPath(new URL(path, import.meta.url));
const attempts = 3;

/** Its JSON lines; again if something was faster than the peak, which was disturbed then. */
function roofline(environment) {
  for (let attempt = 1; ; attempt++) {
    const {status, stdout, error} = spawnSync(at('../native/build/bench/roofline'), [], {
      encoding: 'utf8',
      env: environment,
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    if (error) throw error;
    if (status === 0)
      return stdout
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line));
    if (attempt === attempts) throw new Error(`the peak was disturbed ${attempts} times (load ${load()}): no figures`);
  }
}

/** @returns rows {kernel, shape, threads, milliseconds, gflops, share, roofline, target, reached, coreType, load} */
export async function peak() {
  const build = at('../native/build/bench');
  const silent = {stdio: ['ignore', 'ignore', 'inherit']};
  execFileSync(
    'cmake',
    ['-S', at('../native'), '-B', build, '-DENGRAM_BENCH=ON', '-DCMAKE_BUILD_TYPE=Release'],
    silent,
  );
  execFileSync('cmake', ['--build', build, '-j'], silent);
  return coreTypes().flatMap((coreType) => {
    const environment = {...process.env};
    if (coreType === 'default') delete environment.OPENBLAS_CORETYPE;
    else environment.OPENBLAS_CORETYPE = coreType;
    return roofline(environment).map((row) => ({...row, coreType, load: load()}));
  });
}
