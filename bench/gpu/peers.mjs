/** PyTorch on the same shapes in the same run: peers.py in a process of its own, which gets the shapes as JSON. */
import {spawn, spawnSync} from 'node:child_process';
import {fileURLToPath} from 'node:url';
import {architectures, tabled, whole} from './architectures.mjs';
import {layersOf, variableSizes} from './shapes.mjs';
import {sized} from './steps.mjs';

/** The task for peers.py. Of layers only what is a matrix: biases and scales cost either side next to nothing. */
export function peersTask({quick, samples, device}) {
  const networks = architectures({quick});
  const layers = tabled.flatMap((network) =>
    layersOf(networks[network], samples)
      .filter(({weight}) => weight)
      .map(({name, kernel, params, count}) => ({network, layer: name, kernel, params, count})),
  );
  const steps = Object.fromEntries(sized.map((name) => [name, variableSizes(networks[name])]));
  return {quick, samples, device, layers, networks, whole, steps};
}

/** Why there is no PyTorch on this device, or null if there is. */
function missing(python, device) {
  const probe = 'import torch, sys; print(torch.__version__, torch.cuda.is_available())';
  const {status, stdout, stderr, error} = spawnSync(python, ['-c', probe], {encoding: 'utf8'});
  if (status !== 0) return error?.message ?? stderr.trim().split('\n').at(-1);
  const [version, cuda] = stdout.trim().split(' ');
  return device === 'cuda' && cuda !== 'True' ? `PyTorch ${version} has no CUDA device` : null;
}

/**
 * @param options {python: interpreter, device: 'cuda', or 'cpu' to try the script where there is no GPU}
 * @returns what peers.py prints, or {missing: why there is nothing}
 */
export async function measurePeers({
  quick = false,
  samples,
  python = process.env.PYTHON ?? 'python3',
  device = 'cuda',
}) {
  const reason = missing(python, device);
  if (reason) return {missing: reason};
  const child = spawn(python, [fileURLToPath(new URL('peers.py', import.meta.url))], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  child.stdin.end(JSON.stringify(peersTask({quick, samples, device})));
  let text = '';
  for await (const chunk of child.stdout) text += chunk;
  const code = child.exitCode ?? (await new Promise((resolve) => child.once('exit', resolve)));
  if (code !== 0) return {missing: `peers.py ended with code ${code}`};
  return JSON.parse(text);
}
