/** `engram run` and `engram tune`: the same numbers however often a run is killed, and one clear error for bad input. */
import {spawn} from 'node:child_process';
import {existsSync} from 'node:fs';
import {mkdir, mkdtemp, readdir, readFile, rm, writeFile} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {fileURLToPath} from 'node:url';
import sharp from 'sharp';
import {afterAll, beforeAll, describe, expect, it} from 'vitest';

const main = fileURLToPath(new URL('../dist/cli/main.js', import.meta.url));
let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'engram-run-'));
});
afterAll(() => rm(folder, {recursive: true, force: true}));

const experiment = {
  title: 'Permuted digits',
  sequence: {kind: 'permuted', data: 'digits', tasks: 3},
  network: {kind: 'mlp', hidden: [32]},
  training: {optimizer: {kind: 'momentum', learningRate: 0.05, momentum: 0.9}, batchSize: 64, epochs: 2},
  methods: {
    'fine-tuning': {method: 'fine-tuning'},
    MAS: {method: 'mas', lambda: 0.01},
    EWC: {method: 'ewc', grid: {lambda: [1, 100]}},
  },
  seeds: [0, 1],
  selection: {seeds: [100], tasks: 2},
};

/** Runs the command; `killAfter` ends it and its processes by SIGKILL. */
function engram(args: string[], {killAfter}: {killAfter?: number} = {}) {
  return new Promise<{code: number | null; out: string; err: string}>((resolve, reject) => {
    const child = spawn(process.execPath, [main, ...args], {detached: true, stdio: ['ignore', 'pipe', 'pipe']});
    let [out, err] = ['', ''];
    child.stdout.on('data', (text) => {
      out += text;
    });
    child.stderr.on('data', (text) => {
      err += text;
    });
    const timer = killAfter && setTimeout(() => process.kill(-child.pid!, 'SIGKILL'), killAfter);
    child.on('error', reject);
    child.on('close', (code) => {
      if (timer) clearTimeout(timer);
      resolve({code, out, err});
    });
  });
}

/** Every result without its times. */
async function results(out: string): Promise<Record<string, unknown>> {
  const found: Record<string, unknown> = {};
  for (const path of await readdir(join(out, 'runs'), {recursive: true})) {
    if (!path.endsWith('result.json')) continue;
    const {seconds, ...result} = JSON.parse(await readFile(join(out, 'runs', path), 'utf8'));
    expect(Object.keys(seconds)).toEqual(['training', 'method', 'testing']);
    found[path] = result;
  }
  return found;
}

describe('an experiment', () => {
  let file: string;
  let whole: Record<string, unknown>;
  beforeAll(async () => {
    file = join(folder, 'permuted.json');
    await writeFile(file, JSON.stringify(experiment));
  });

  it('wants the values of its grids chosen first, on other seeds and the first tasks', async () => {
    const refused = await engram(['run', file, '--out', join(folder, 'early')]);
    expect([refused.code, refused.err]).toEqual([1, expect.stringContaining('engram tune')]);
    const tuned = await engram(['tune', file, '--out', join(folder, 'tune'), '--backend', 'cpu']);
    expect([tuned.code, tuned.err]).toEqual([0, expect.stringContaining('EWC')]);
    const {methods, seeds, tasks} = JSON.parse(await readFile(join(folder, 'permuted.selected.json'), 'utf8'));
    expect([seeds, tasks, Object.keys(methods)]).toEqual([[100], 2, ['EWC']]);
    const {chosen, settings} = methods.EWC;
    expect(settings.map(({method}: {method: {lambda: number}}) => method.lambda)).toEqual([1, 100]);
    const [a, b] = settings.map(({averageAccuracy: [value]}: {averageAccuracy: number[]}) => value);
    expect(chosen).toEqual(settings[b > a ? 1 : 0].method);
    expect(a).not.toBe(b);
  });

  it('runs every method on every seed', async () => {
    const {code, out} = await engram(['run', file, '--out', join(folder, 'whole'), '--backend', 'cpu']);
    expect([code, out]).toEqual([0, expect.stringContaining('MAS')]);
    whole = await results(join(folder, 'whole'));
    expect(Object.keys(whole).toSorted()).toEqual(
      ['ewc', 'fine-tuning', 'mas'].flatMap((label) => [0, 1].map((seed) => `${label}/seed-${seed}/result.json`)),
    );
    const again = await engram(['run', file, '--out', join(folder, 'whole'), '--backend', 'cpu']);
    expect([again.code, again.err]).toEqual([1, expect.stringContaining('--resume')]);
    const finished = await engram(['run', file, '--out', join(folder, 'whole'), '--backend', 'cpu', '--resume']);
    expect([finished.code, finished.out]).toEqual([0, expect.stringContaining('MAS')]);
    expect(await results(join(folder, 'whole'))).toEqual(whole);
  });

  it('reaches the same numbers when it is killed again and again', async () => {
    const out = join(folder, 'killed');
    const args = ['run', file, '--out', out, '--methods', 'MAS', 'EWC', '--seeds', '0', '--backend', 'cpu'];
    let kills = 0;
    let code: number | null = null;
    // From before the first checkpoint to after the last, so that kills fall everywhere.
    for (let killAfter = 700; code !== 0; killAfter += 250) {
      ({code} = await engram(existsSync(join(out, 'runs')) ? [...args, '--resume'] : args, {killAfter}));
      if (code !== 0) {
        expect(code).toBe(null);
        kills++;
      }
    }
    expect(kills).toBeGreaterThan(2);
    const paths = ['ewc', 'mas'].map((label) => `${label}/seed-0/result.json`);
    expect(await results(out)).toEqual(Object.fromEntries(paths.map((path) => [path, whole[path]])));
    const left = (await readdir(out, {recursive: true})).filter((path) => path.endsWith('checkpoint.safetensors'));
    expect(left).toEqual([]);
  });

  it('runs some of the methods on other seeds', async () => {
    const out = join(folder, 'some');
    const args = ['--methods', 'MAS', '--seeds', '1,5-6', '--jobs', '1', '--backend', 'cpu'];
    const {code} = await engram(['run', file, '--out', out, ...args]);
    expect(code).toBe(0);
    const found = await results(out);
    expect(Object.keys(found).toSorted()).toEqual([1, 5, 6].map((seed) => `mas/seed-${seed}/result.json`));
    expect(found['mas/seed-1/result.json']).toEqual(whole['mas/seed-1/result.json']);
    const changed = join(folder, 'changed.json');
    await writeFile(changed, JSON.stringify({...experiment, methods: {MAS: {method: 'mas', lambda: 3}}}));
    const mixed = await engram(['run', changed, '--out', out, '--resume', '--seeds', '1', '--backend', 'cpu']);
    expect([mixed.code, mixed.err]).toEqual([1, expect.stringContaining('begin anew in another folder')]);
  });

  it('learns folders of images, and names what is missing or cannot be read', async () => {
    const data = join(folder, 'images');
    const image = (task: string, part: string, kind: string, i: number) => join(data, task, part, kind, `${i}.png`);
    for (const [t, task] of ['shades', 'stripes'].entries()) {
      for (const [k, kind] of ['a', 'b'].entries()) {
        for (const [part, count] of [
          ['train', 12],
          ['test', 4],
        ] as const) {
          await mkdir(join(data, task, part, kind), {recursive: true});
          for (let i = 0; i < count; i++) {
            // Class a is darker or striped across, class b brighter or striped along; every image is another one.
            const pixels = Buffer.from(
              Array.from({length: 64}, (_, p) => (t === 0 ? 60 + 120 * k : 200 * ((k ? p >> 3 : p & 7) % 2)) + i),
            );
            await sharp(pixels, {raw: {width: 8, height: 8, channels: 1}}).toFile(image(task, part, kind, i));
          }
        }
      }
    }
    const folders = {
      ...experiment,
      sequence: {
        kind: 'folders',
        tasks: ['shades', 'stripes'].map((name) => ({name, folder: name})),
        height: 8,
        width: 8,
        channels: 1,
        scenario: 'task-incremental',
        normalise: {mean: [0.5], std: [0.25]},
      },
      training: {...experiment.training, batchSize: 8, epochs: 20},
      methods: {joint: {method: 'joint'}, MAS: {method: 'mas', lambda: 0.01}},
      seeds: [3],
    };
    const path = join(folder, 'folders.json');
    await writeFile(path, JSON.stringify(folders));
    const args = (out: string, from = data) => [
      'run',
      path,
      '--out',
      join(folder, out),
      '--data',
      from,
      '--backend',
      'cpu',
    ];
    const fine = await engram(args('folders'));
    expect([fine.code, fine.err]).toEqual([0, expect.stringContaining('joint')]);
    const found = (await results(join(folder, 'folders')))['joint/seed-3/result.json'] as {accuracy: number[][]};
    expect(found.accuracy[1]).toEqual([1, 1]);

    const nowhere = await engram(args('nowhere', join(folder, 'no such folder')));
    expect([nowhere.code, nowhere.err]).toEqual([1, expect.stringContaining(join(folder, 'no such folder', 'shades'))]);
    await writeFile(image('stripes', 'train', 'b', 5), 'no image');
    const broken = await engram(args('broken'));
    expect([broken.code, broken.err]).toEqual([1, expect.stringContaining(image('stripes', 'train', 'b', 5))]);
  });

  it('says which file and which field is wrong', async () => {
    const {methods} = experiment;
    const bad: [field: string, json: unknown][] = [
      ['sequence.tasks', {...experiment, sequence: {...experiment.sequence, tasks: 0}}],
      ['sequence.kind', {...experiment, sequence: {kind: 'spilt'}}],
      ['training.epochs', {...experiment, training: {...experiment.training, epochs: 1.5}}],
      ['network.hidden', {...experiment, network: {kind: 'mlp', hidden: []}}],
      ['methods.MAS.lambda', {...experiment, methods: {...methods, MAS: {method: 'mas', lambda: 'much'}}}],
      ['methods.MAS', {...experiment, methods: {...methods, MAS: {method: 'mas', lambda: 1, lamda: 2}}}],
      ['methods.MAS.method', {...experiment, methods: {...methods, MAS: {method: 'mass', lambda: 1}}}],
      ['methods.mas', {...experiment, methods: {...methods, mas: {method: 'mas', lambda: 1}}}],
      ['selection', {...experiment, selection: undefined}],
      ['selection.seeds', {...experiment, selection: {seeds: [1], tasks: 1}}],
      ['seeds', {...experiment, seeds: [-1]}],
      ['title', {...experiment, title: undefined}],
    ];
    await mkdir(join(folder, 'bad'));
    for (const [field, json] of bad) {
      const wrong = join(folder, 'bad', `${field}.json`);
      await writeFile(wrong, JSON.stringify(json));
      const {code, err} = await engram(['run', wrong, '--out', join(folder, 'never')]);
      expect([code, err], field).toEqual([1, expect.stringContaining(`"${field}`)]);
      expect(err).toContain(wrong);
    }
    const noJson = join(folder, 'bad', 'text.json');
    await writeFile(noJson, '{"title": ');
    for (const path of [noJson, join(folder, 'nothing.json')]) {
      const {code, err} = await engram(['run', path]);
      expect([code, err]).toEqual([1, expect.stringContaining(path)]);
    }
    const unknown = await engram(['run', file, '--methods', 'SI']);
    expect([unknown.code, unknown.err]).toEqual([1, expect.stringContaining('fine-tuning, MAS, EWC')]);
    expect(existsSync(join(folder, 'never'))).toBe(false);
  });
});
