/** PyTorch in a process of its own, which does nothing until it is its turn. */
import {spawn, spawnSync} from 'node:child_process';
import {createInterface} from 'node:readline';
import {fileURLToPath} from 'node:url';
import {loadAddon} from '../../dist/kernels/addon.js';

/** Debian's python3-torch belongs to Debian's Python, which may not be the first on the path. */
const python = process.env.PYTHON ?? '/usr/bin/python3';

/** The version of PyTorch here, or null after a line that says why there is none. */
export function torchVersion() {
  const {status, stdout, stderr, error} = spawnSync(python, ['-c', 'import torch; print(torch.__version__)'], {
    encoding: 'utf8',
  });
  if (status === 0) return stdout.trim();
  const reason = error?.message ?? stderr.trim().split('\n').at(-1);
  console.log(`PyTorch is left out: ${reason} (Debian: python3-torch; PYTHON names another interpreter)`);
  return null;
}

/** What OpenBLAS may be told to take: left alone, and on AVX-512 machines also kernels that it often fails to choose. */
export function coreTypes() {
  const loaded = loadAddon();
  return 'addon' in loaded && loaded.addon.instructionSet() === 'avx512' ? ['default', 'SkylakeX'] : ['default'];
}

/**
 * Starts `script` of this folder on as many threads as the addon has.
 *
 * @param coreType one of {@link coreTypes}
 * @returns {turn(contender): milliseconds of one run, close()}
 */
export function startTorch(script, coreType) {
  const loaded = loadAddon();
  const environment = {...process.env};
  if ('addon' in loaded) environment.ENGRAM_NUM_THREADS = `${loaded.addon.threads()}`;
  if (coreType === 'default') delete environment.OPENBLAS_CORETYPE;
  else environment.OPENBLAS_CORETYPE = coreType;
  const path = fileURLToPath(new URL(script, import.meta.url));
  const child = spawn(python, [path, 'serve'], {env: environment, stdio: ['pipe', 'pipe', 'inherit']});
  const answers = createInterface({input: child.stdout})[Symbol.asyncIterator]();
  return {
    turn: async (contender) => {
      child.stdin.write(`${contender}\n`);
      const {value, done} = await answers.next();
      if (done) throw new Error(`${script} ended before it had measured ${contender}`);
      return Number(value);
    },
    close: () => child.stdin.end(),
  };
}
