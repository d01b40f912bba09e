/** The GPU tests, one process a file as vitest has it, into results/tests.json. */
import {mkdtempSync, readFileSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {left, tests} from 'engram-gpu-tests';
import {endingOf, runCode} from './processes.mjs';

/** A file's outcome, which is a failure also where the process could not write one. */
async function runFile(name, folder, {limit, env, ...options}) {
  const result = join(folder, `${name}.json`);
  const engine = name.endsWith('.engines.test.ts') ? {ENGRAM_TEST_ENGINE: 'webgpu'} : {};
  const run = await runCode(['test', name, result], {...options, limit, env: {...env, ...engine}});
  const seconds = Number(run.seconds.toFixed(1));
  try {
    return {file: name, seconds, ...JSON.parse(readFileSync(result, 'utf8'))};
  } catch {
    const error = `no result, ${endingOf(run, limit)}: ${run.tail.trim().slice(-1500)}`;
    return {file: name, seconds, state: 'failed', passed: 0, failed: 0, skipped: 0, errors: [error], tests: []};
  }
}

const line = ({file, seconds, state, passed, failed, skipped}) =>
  `${state.padEnd(7)} ${file}: ${passed} passed${failed ? `, ${failed} failed` : ''}${skipped ? `, ${skipped} skipped` : ''} (${seconds} s)`;

/** @param options {only: a part of file names, jobs, save(results), and those of runCode} */
export async function runTests({only, jobs, save, ...options}) {
  for (const [name, reason] of left) console.log(`not carried: ${name} ${reason}`);
  const open = Object.keys(tests).filter((name) => !only || name.includes(only));
  if (open.length === 0) throw new Error(`no test file is called anything with ${only}`);
  const folder = mkdtempSync(join(tmpdir(), 'engram-gpu-'));
  const files = [];
  const results = () => ({
    passed: sum(files, 'passed'),
    failed: sum(files, 'failed'),
    skipped: sum(files, 'skipped'),
    failedFiles: files.filter(({state}) => state === 'failed').map(({file}) => file),
    notCarried: Object.fromEntries(left),
    files,
  });
  const work = async () => {
    for (let name = open.shift(); name; name = open.shift()) {
      const outcome = await runFile(name, folder, options);
      files.push(outcome);
      console.log(line(outcome));
      const errors = [...outcome.errors, ...outcome.tests.flatMap((test) => test.errors ?? [])];
      for (const error of errors) console.log(error.replace(/^/gm, '    '));
      // After every file, so that a run cut off leaves what it found.
      save(results());
    }
  };
  await Promise.all(Array.from({length: jobs}, work));
  rmSync(folder, {recursive: true});
  return results();
}

const sum = (files, count) => files.reduce((total, file) => total + file[count], 0);
