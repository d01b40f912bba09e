/** What became of a test file, as JSON: from the tasks of vitest's runner. */

const said = (errors = []) => errors.map((error) => error.stack ?? error.message ?? String(error));

/** Failures outside of tests: while the file was loaded, in hooks, and thrown by nobody's test. */
function* strayErrors(suite) {
  yield* said(suite.result?.errors);
  for (const task of suite.tasks) if (task.type === 'suite') yield* strayErrors(task);
}

function* testsOf(suite, path = []) {
  for (const task of suite.tasks) {
    if (task.type === 'suite') {
      yield* testsOf(task, [...path, task.name]);
    } else {
      const {state = 'skip', duration = 0, errors} = task.result ?? {};
      yield {
        name: [...path, task.name].join(' > '),
        state: {pass: 'passed', fail: 'failed'}[state] ?? 'skipped',
        ms: Math.round(duration),
        ...(errors?.length ? {errors: said(errors)} : {}),
      };
    }
  }
}

/** @returns {{state: 'passed'|'failed'|'skipped', passed: number, failed: number, skipped: number, errors: string[], tests: object[]}} */
export function flatten(file, stray) {
  const tests = [...testsOf(file)];
  const errors = [...strayErrors(file), ...said(stray)];
  const count = (state) => tests.filter((test) => test.state === state).length;
  const counts = {passed: count('passed'), failed: count('failed'), skipped: count('skipped')};
  const failed = counts.failed > 0 || errors.length > 0 || file.result?.state === 'fail';
  return {state: failed ? 'failed' : counts.passed > 0 ? 'passed' : 'skipped', ...counts, errors, tests};
}
