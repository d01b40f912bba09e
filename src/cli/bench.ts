/** `engram bench`: runs the benchmarks of the repository. */
import {existsSync} from 'node:fs';
import {EngramError} from '../errors.js';
import type {BackendName} from '../experiments/backend.js';

/** What `bench/run.mjs` exports. */
interface Benchmarks {
  run(parts: string[], options: {out?: string; backend?: BackendName}): Promise<unknown>;
}

/** Runs the named parts, all if none is named. The npm package holds no benchmarks; a checkout does. */
export async function bench(parts: string[], options: {out?: string; backend?: BackendName}): Promise<void> {
  const file = new URL('../../bench/run.mjs', import.meta.url);
  if (!existsSync(file)) {
    throw new EngramError('DATA_FILE', {
      expected: 'the benchmarks of the repository',
      received: 'a package without them',
      remedy: 'Clone the repository, then "npm ci" and "npm run bench".',
    });
  }
  const benchmarks = (await import(file.href)) as Benchmarks;
  await benchmarks.run(parts, options);
}
