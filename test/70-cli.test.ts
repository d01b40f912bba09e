/** The command `engram`, as a user meets it: in a process of its own. */
import {type ChildProcess, execFile, spawn} from 'node:child_process';
import {mkdtemp, readFile, rm} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {fileURLToPath} from 'node:url';
import {afterAll, beforeAll, expect, it} from 'vitest';

const main = fileURLToPath(new URL('../dist/cli/main.js', import.meta.url));
let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'engram-'));
});
afterAll(() => rm(folder, {recursive: true, force: true}));

interface Outcome {
  code: number | null;
  stdout: string;
  stderr: string;
}
function engram(
  args: string[],
  env: NodeJS.ProcessEnv = {},
  started?: (child: ChildProcess) => void,
): Promise<Outcome> {
  return new Promise((resolve) => {
    const child = execFile(
      process.execPath,
      [main, ...args],
      {cwd: folder, env: {...process.env, ...env}},
      (_, stdout, stderr) => resolve({code: child.exitCode, stdout, stderr}),
    );
    started?.(child);
  });
}

it('demo learns, prints the tables and writes two figures', async () => {
  const {code, stdout, stderr} = await engram(['demo', '--quick', '--backend', 'cpu', '--out', 'figures']);
  expect([code, stderr]).toEqual([0, expect.stringContaining('MAS: task 2 of 2 learned')]);
  for (const text of ['Permuted digits', 'backend cpu', 'fine-tuning', 'forgetting', 'every parameter by its rule']) {
    expect(stdout).toContain(text);
  }
  for (const name of ['accuracy.svg', 'importance.svg']) {
    expect(await readFile(join(folder, 'figures', name), 'utf8')).toMatch(/^<svg .*<\/svg>\s*$/s);
  }
});

it('demo gives the same result for the same seed', async () => {
  const args = ['demo', '--quick', '--epochs', '1', '--backend', 'cpu', '--seed', '3'];
  const [first, second] = [await engram(args), await engram(args)];
  const table = ({stdout}: Outcome) => stdout.slice(stdout.indexOf('┌'), stdout.indexOf('└'));
  expect(table(first)).toContain('MAS');
  expect(table(first)).toBe(table(second));
});

it('demo ends cleanly on Ctrl-C: status 130, one line, no stack', async () => {
  const {code, stderr} = await engram(['demo', '--backend', 'cpu', '--epochs', '500'], {}, (child) => {
    child.stdout!.once('data', () => setTimeout(() => child.kill('SIGINT'), 1500));
  });
  expect([code, stderr.trim()]).toEqual([130, 'Stopped.']);
});

it('doctor tells what it found, for people and for programs', async () => {
  const {code, stdout} = await engram(['doctor', '--json']);
  expect(code).toBe(0);
  const {engram: version, findings} = JSON.parse(stdout);
  expect(version).toMatch(/^\d+\.\d+\.\d+$/);
  const names = findings.map(({name}: {name: string}) => name);
  for (const name of ['Node', '@tensorflow/tfjs-core', 'webgpu', 'C++ addon', 'GPU']) expect(names).toContain(name);
  for (const finding of findings) if (!finding.ok) expect(finding.remedy).toBeTruthy();
});

it('doctor names the remedy for a missing addon and a missing GPU', async () => {
  const {code, stdout} = await engram(['doctor'], {ENGRAM_NATIVE: 'skip', VK_ICD_FILENAMES: '/nowhere.json'});
  expect(code).toBe(0);
  expect(stdout).toMatch(/✗ C\+\+ addon .*ENGRAM_NATIVE=skip/);
  expect(stdout).toContain('npm run build:native');
  expect(stdout).toMatch(/✗ GPU .*no WebGPU adapter\n.*→ /);
});

it('errors are one readable block with status 1, and a stack only for DEBUG', async () => {
  const missing = ['demo', '--data', 'fashion-mnist', '--data-dir', 'nowhere', '--backend', 'cpu'];
  const {code, stderr} = await engram(missing, {DEBUG: ''});
  expect(code).toBe(1);
  expect(stderr).toMatch(/^\s*error +DATA_FILE\nexpected +\S.*\ngot +no such file\nremedy +\S.*\n$/);
  expect((await engram(missing, {DEBUG: '1'})).stderr).toContain('    at ');

  const scenario = await engram(['demo', '--scenario', 'task']);
  expect([scenario.code, scenario.stderr]).toEqual([1, expect.stringContaining('ARGUMENT')]);

  const native = await engram(['demo', '--backend', 'native'], {ENGRAM_NATIVE: 'skip'});
  expect([native.code, native.stderr]).toEqual([1, expect.stringContaining('NO_ADDON')]);
});

it('without the addon the demo falls back to cpu and says so', async () => {
  const {code, stdout} = await engram(['demo', '--quick', '--epochs', '1'], {ENGRAM_NATIVE: 'skip'});
  expect([code, stdout]).toEqual([0, expect.stringContaining('no C++ addon: ENGRAM_NATIVE=skip')]);
});

it('refuses what it does not know, with a hint', async () => {
  for (const [args, hint] of [
    [['demo', '--quik'], 'Did you mean --quick?'],
    [['demo', '--backend', 'tpu'], 'Allowed choices are native, webgpu, cpu'],
    [['demo', '--tasks', '0'], 'whole number of at least 1'],
    [['demo', '--lambda', '-1'], 'number of at least 0'],
    [['demo', '--lambda', ''], 'number of at least 0'],
    [['dream'], "unknown command 'dream'"],
  ] as const) {
    const {code, stderr} = await engram([...args]);
    expect([code, stderr]).toEqual([1, expect.stringContaining(hint)]);
  }
});

it('can be cut off by a pipe that closes', async () => {
  const child = spawn('sh', ['-c', `"${process.execPath}" "${main}" doctor | head -1`]);
  const code = await new Promise((resolve) => child.on('exit', resolve));
  expect(code).toBe(0);
});
