/** The folder for an offline GPU machine: what goes into its code, and that its test runner says what happened. */
import {spawnSync} from 'node:child_process';
import {mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {fileURLToPath} from 'node:url';
import {afterAll, beforeAll, describe, expect, it} from 'vitest';
import {bundleCode, codeFile} from '../bench/bundle/code.mjs';
import {gpuTests, leftHere} from '../bench/bundle/files.mjs';
import {endingOf, runCode} from '../bench/bundle/processes.mjs';

const folder = mkdtempSync(join(tmpdir(), 'engram-bundle-'));
afterAll(() => rmSync(folder, {recursive: true}));

describe('the code of the bundle', () => {
  it('holds every test file that needs a GPU, and leaves no import open', async () => {
    const {inputs, outside} = await bundleCode(join(folder, 'whole'));
    expect(outside).toEqual([]);
    const tests = fileURLToPath(new URL('.', import.meta.url));
    const needGpu = readdirSync(tests)
      .filter((name) => name.endsWith('.test.ts'))
      .filter((name) => /\b(describeGpu|describeEngine|freshDevice)\(/.test(readFileSync(join(tests, name), 'utf8')));
    expect(needGpu.length).toBeGreaterThan(25);
    expect(needGpu.filter((name) => !(name in leftHere) && !inputs.includes(`test/${name}`))).toEqual([]);
    expect(inputs).toContain('bench/gpu/run.mjs');
  });

  it('goes without the tests that need the repository, each for a reason', () => {
    const {carried, left} = gpuTests();
    expect(carried.filter((name) => name in leftHere)).toEqual([]);
    for (const [, reason] of left) expect(reason).toMatch(/\w/);
  });
});

const cases = {
  'mixed.test.ts': `
    import {afterEach, beforeAll, describe, expect, it} from 'vitest';
    let made = 0;
    beforeAll(() => { made = 1; });
    describe('numbers', () => {
      it.each([[1, 2], [2, 3]])('%i + 1 = %i', (a, b) => expect(a + made).toBe(b));
      it('are compared as vitest compares', async () => {
        expect({a: [1, 2], b: new Float32Array([1])}).toEqual({a: [1, expect.any(Number)], b: new Float32Array([1])});
        await expect(Promise.reject(Object.assign(new Error('no'), {code: 'NO'}))).rejects.toMatchObject({code: 'NO'});
        expect(() => { throw new RangeError('far off'); }).toThrow(/far/);
      });
      it.skip('are skipped', () => expect(1).toBe(2));
    });
    describe.skipIf(true)('elsewhere', () => { it('runs', () => expect(1).toBe(2)); });
    it.runIf(true)('differ', () => expect([1]).toEqual([2]));
    it('reject', async () => { await expect(Promise.resolve(1)).rejects.toThrow(); });`,
  'passing.test.ts': `import {expect, it} from 'vitest'; it('passes', () => expect(1).toBeCloseTo(1));`,
  'skipping.test.ts': `import {it} from 'vitest'; it.skip('waits', () => {});`,
  'loading.test.ts': `import {it} from 'vitest'; it('is never run', () => {}); throw new Error('no such device');`,
  'hooks.test.ts': `import {afterAll, it} from 'vitest'; afterAll(() => { throw new Error('left open'); }); it('passes', () => {});`,
  'straying.test.ts': `import {it} from 'vitest';
    it('passes too early', async () => { Promise.reject(new Error('nobody waits')); await new Promise((r) => setTimeout(r, 20)); });`,
  'empty.test.ts': 'export {};',
};

describe('the test runner of the bundle', () => {
  const code = join(folder, 'cases', codeFile);
  beforeAll(async () => {
    const sources = join(folder, 'sources');
    mkdirSync(sources);
    const files = Object.entries(cases).map(([name, text]) => {
      writeFileSync(join(sources, name), text);
      return join(sources, name);
    });
    await bundleCode(join(folder, 'cases'), files);
  });
  const outcomeOf = (name: keyof typeof cases) => {
    const result = join(folder, `${name}.json`);
    const {status, stderr} = spawnSync(process.execPath, [code, 'test', name, result], {encoding: 'utf8'});
    try {
      return {status, ...JSON.parse(readFileSync(result, 'utf8'))};
    } catch (error) {
      throw new Error(`${name}: ${stderr}`, {cause: error});
    }
  };

  it('tells passed, failed and skipped tests apart, with errors', () => {
    const outcome = outcomeOf('mixed.test.ts');
    expect(outcome).toMatchObject({status: 1, state: 'failed', passed: 3, failed: 2, skipped: 2, errors: []});
    const states = outcome.tests.map(({name, state}: {name: string; state: string}) => `${name}: ${state}`);
    expect(states).toEqual([
      'numbers > 1 + 1 = 2: passed',
      'numbers > 2 + 1 = 3: passed',
      'numbers > are compared as vitest compares: passed',
      'numbers > are skipped: skipped',
      'elsewhere > runs: skipped',
      'differ: failed',
      'reject: failed',
    ]);
    expect(outcome.tests[5].errors[0]).toContain('expected [ 1 ] to deeply equal [ 2 ]');
  });

  it('says so when a file passes, or skips all that it has', () => {
    expect(outcomeOf('passing.test.ts')).toMatchObject({status: 0, state: 'passed', passed: 1});
    expect(outcomeOf('skipping.test.ts')).toMatchObject({status: 0, state: 'skipped', passed: 0, skipped: 1});
  });

  it.each([
    ['loading.test.ts', 'no such device'],
    ['hooks.test.ts', 'left open'],
    ['straying.test.ts', 'nobody waits'],
    ['empty.test.ts', 'No test suite found'],
  ] as const)('calls %s failed', (name, message) => {
    const {status, state, errors} = outcomeOf(name);
    expect([status, state]).toEqual([1, 'failed']);
    expect(errors.join()).toContain(message);
  });
});

describe('a process of the bundle', () => {
  it('is stopped at its limit, with what it started', async () => {
    const code = join(folder, 'hanging.mjs');
    writeFileSync(
      code,
      `import {spawn} from 'node:child_process';
      const child = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)']);
      console.log(child.pid); setInterval(() => {}, 1000);`,
    );
    const run = await runCode([], {code, limit: 1});
    expect(endingOf(run, 1)).toBe('stopped after 1 s');
    await expect
      .poll(() => {
        try {
          // Killed, but a zombie until somebody asks for its exit code: its parent is dead too.
          return /^State:\s+Z/m.test(readFileSync(`/proc/${run.stdout.trim()}/status`, 'utf8'));
        } catch {
          return true;
        }
      })
      .toBe(true);
  });
});
