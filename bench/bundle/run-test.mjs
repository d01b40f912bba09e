/** One test file in this process, with vitest's runner: `test NAME RESULT.json`. */
import {writeFileSync} from 'node:fs';
import {startTests} from '@vitest/runner';
import {tests} from 'engram-gpu-tests';
import {flatten} from './outcome.mjs';

/** The limits of vitest.config.ts. */
const timeout = 120_000;

const config = {
  root: '/',
  name: undefined,
  setupFiles: [],
  passWithNoTests: false,
  testNamePattern: undefined,
  allowOnly: false,
  sequence: {seed: 0, hooks: 'stack', setupFiles: 'parallel'},
  chaiConfig: undefined,
  maxConcurrency: 5,
  testTimeout: timeout,
  hookTimeout: timeout,
  retry: 0,
  includeTaskLocation: false,
  tags: [],
  tagsFilter: undefined,
  strictTags: false,
};

export async function runTest([name, result]) {
  const stray = [];
  process.on('uncaughtException', (error) => stray.push(error));
  process.on('unhandledRejection', (error) => stray.push(error));
  const [file] = await startTests([`/${name}`], {config, importFile: () => tests[name]()});
  const outcome = flatten(file, stray);
  writeFileSync(result, JSON.stringify(outcome));
  // Dawn's devices are open: without this the process would wait for them.
  process.exit(outcome.state === 'failed' ? 1 : 0);
}
