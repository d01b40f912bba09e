/** `bench:gpu` part by part, joined into results/bench.json with what an earlier run of the same kind has measured. */
import {existsSync, mkdirSync, readFileSync, rmSync} from 'node:fs';
import {join} from 'node:path';
import {isDeepStrictEqual} from 'node:util';
import {endingOf, runCode} from './processes.mjs';

const read = (file) => JSON.parse(readFileSync(file, 'utf8'));
/** Figures of another GPU, or of other sizes, are not joined to these. */
const sameKind = (a, b) =>
  a.gpu?.description === b.gpu?.description &&
  a.gpu?.device === b.gpu?.device &&
  isDeepStrictEqual(a.options, b.options);

/**
 * @param options {wanted: parts, results: folder, flags: of bench:gpu, and those of runCode}
 * @returns {Promise<{parts: object, judged: object[]}>} how each part ended: 'done', or what went wrong
 */
export async function runBench({wanted, results, flags, ...options}) {
  const joined = join(results, 'bench.json');
  const folder = join(results, 'parts');
  mkdirSync(folder, {recursive: true});
  const states = {};
  let tables = '';
  for (const part of wanted) {
    const file = join(folder, `${part}.json`);
    const run = await runCode(['bench', part, ...flags, '--out', file], options);
    states[part] = run.status === 0 ? 'done' : endingOf(run, options.limit);
    console.log(`bench ${part}: ${states[part]} (${run.seconds.toFixed(1)} s)`);
    if (run.status !== 0) console.log(run.tail.trim().slice(-1500).replace(/^/gm, '    '));
    if (!existsSync(file)) continue;
    const earlier = existsSync(joined) && sameKind(read(joined), read(file)) ? [joined] : [];
    // The exit code says again what the part's own has said.
    const merge = await runCode(['bench', '--merge', ...earlier, file, '--out', joined], options);
    tables = merge.stdout;
    if (tables === '') states[part] = `not joined, ${endingOf(merge, options.limit)}`;
  }
  rmSync(folder, {recursive: true});
  console.log(tables);
  return {parts: states, judged: existsSync(joined) ? read(joined).judged : []};
}
