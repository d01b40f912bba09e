/** The one entry on the host: by itself it runs everything, each part in a process of this same file. */
import {fileURLToPath} from 'node:url';

const [what, ...rest] = process.argv.slice(2);
if (what === 'test') {
  const {runTest} = await import('./run-test.mjs');
  await runTest(rest);
} else if (what === 'bench') {
  process.argv.splice(2, 1);
  await import('../gpu/run.mjs');
} else if (what === 'probe') {
  await import('./probe.mjs');
} else {
  const {runAll} = await import('./host.mjs');
  await runAll(fileURLToPath(new URL('../../code/engram-gpu.mjs', import.meta.url)));
}
