/** `engram inspect`: what files hold, told to people and to programs, and one readable block for those it cannot read. */
import {execFile} from 'node:child_process';
import {mkdtemp, rm, writeFile} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {fileURLToPath} from 'node:url';
import * as tf from '@tensorflow/tfjs';
import {afterAll, beforeAll, describe, expect, it} from 'vitest';
import {Accumulation, MemoryAwareSynapses} from '../dist/index.js';
import {encodeAccumulation} from '../dist/memory/accumulation-file.js';
import {encodeMemory} from '../dist/memory/memory-file.js';
import {writeSafetensors} from '../dist/memory/safetensors.js';

const main = fileURLToPath(new URL('../dist/cli/main.js', import.meta.url));
let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'engram-'));
  await tf.setBackend('cpu');
});
afterAll(() => rm(folder, {recursive: true, force: true}));

interface Outcome {
  code: number | null;
  stdout: string;
  stderr: string;
}
function inspect(...args: string[]): Promise<Outcome> {
  return new Promise((resolve) => {
    const env = {...process.env, DEBUG: ''};
    const child = execFile(process.execPath, [main, 'inspect', ...args], {cwd: folder, env}, (_, stdout, stderr) =>
      resolve({code: child.exitCode, stdout, stderr}),
    );
  });
}
/** What a program is told. */
async function inspected(...args: string[]) {
  const {code, stdout, stderr} = await inspect(...args, '--json');
  expect([code, stderr]).toEqual([0, '']);
  return JSON.parse(stdout);
}
/** The cells of the rows that begin with a text. */
const rowsOf = (stdout: string, first: string): string[][] =>
  stdout
    .split('\n')
    .map((row) => row.split('│').map((cell) => cell.trim()))
    .filter((cells) => cells.length > 2 && cells[1] === first)
    .map((cells) => cells.slice(1, -1));

const settings = {method: 'mas', lambda: 0.5, accumulate: 'sum', output: 'logits', normalize: false, engine: 'native'};
const held = (importance: number[], anchor: number[]) => ({
  importance: Float32Array.from(importance),
  anchor: Float32Array.from(anchor),
});
const kernel = {name: 'hidden1/kernel', original: 'hidden1/kernel', shape: [2, 3]};
const memory = encodeMemory({
  settings,
  samples: 300,
  variables: [
    {...kernel, tasks: 2, inNetwork: true, held: held([0, 6, 1, 0.5, 0.25, 0.25], [10, 11, 12, 13, 14, 15])},
    {name: 'head1/bias', original: 'head1/bias', shape: [2], tasks: 1, inNetwork: false, held: held([2, 0], [-1, 1])},
    {name: 'head2/bias', original: 'head2/bias', shape: [2], tasks: 0, inNetwork: true, held: undefined},
  ],
});

describe('a memory', () => {
  beforeAll(() => writeFile(join(folder, 'memory.safetensors'), memory));

  it('is told as a table: tasks, importance by variable, and the most important weights with their anchors', async () => {
    const {code, stdout, stderr} = await inspect('memory.safetensors', '--top', '3');
    expect([code, stderr]).toEqual([0, '']);
    for (const text of ['memory of 300 samples, 8 parameters', 'tasks consolidated: 2', 'method mas, lambda 0.5']) {
      expect(stdout).toContain(text);
    }
    // Sum 8 of 10, of which 7.2 are carried by 6, 1 and 0.5; one zero of six.
    const histogram = expect.stringMatching(/^[ ▁▂▃▄▅▆▇█]+$/);
    expect(rowsOf(stdout, 'hidden1/kernel')[0]).toEqual([
      'hidden1/kernel',
      '2 × 3',
      '2',
      '1.33',
      '6',
      '16.7 %',
      '80.0 %',
      '50.0 %',
      histogram,
    ]);
    expect(rowsOf(stdout, 'head1/bias *')[0].slice(1, 8)).toEqual(['2', '1', '1', '2', '50.0 %', '20.0 %', '50.0 %']);
    expect(stdout).toContain('* of a network other than the one in use when saved');
    expect(rowsOf(stdout, 'head2/bias')[0]).toEqual(['head2/bias', '2', '0', '', '', '', '', '', '']);
    // Of all, 9 of 10 are carried by 6, 2 and 1.
    expect(rowsOf(stdout, 'all')[0].slice(1, 8)).toEqual(['8', '', '1.25', '6', '25.0 %', '100.0 %', '37.5 %']);
    expect(['1', '2', '3', '4'].map((rank) => rowsOf(stdout, rank)[0])).toEqual([
      ['1', 'hidden1/kernel', '[0, 1]', '6', '11'],
      ['2', 'head1/bias', '[0]', '2', '-1'],
      ['3', 'hidden1/kernel', '[0, 2]', '1', '12'],
      undefined,
    ]);
  });

  it('is told to programs in numbers', async () => {
    const told = await inspected('memory.safetensors', '--top', '1');
    expect(told).toMatchObject({file: 'memory.safetensors', kind: 'memory', settings, samples: 300});
    expect(told.total).toEqual({parameters: 8, sum: 10, mean: 1.25, max: 6, zeros: 2, carriers: 3});
    expect(told.axis).toEqual({low: -1, bins: 4}); // 0.1 to 10
    expect(told.variables[0]).toMatchObject({name: 'hidden1/kernel', shape: [2, 3], tasks: 2, inNetwork: true});
    expect(told.variables[0].importance).toMatchObject({sum: 8, share: 0.8, carriers: 3, histogram: [2, 1, 1, 1]});
    expect(told.variables[2]).toEqual({name: 'head2/bias', shape: [2], tasks: 0, inNetwork: true});
    expect(told.top).toEqual([{variable: 'hidden1/kernel', index: [0, 1], importance: 6, anchor: 11}]);
  });

  it('lists ten weights unless told otherwise, none for 0', async () => {
    expect((await inspected('memory.safetensors')).top).toHaveLength(6); // the others are 0
    const {stdout} = await inspect('memory.safetensors', '--top', '0');
    expect(stdout).not.toContain('most important');
  });

  it('without any task, or with importance 0 everywhere, is told too', async () => {
    const row = {...kernel, inNetwork: true};
    const files = {
      none: {...row, tasks: 0, held: undefined},
      zero: {...row, tasks: 1, held: held([0, 0, 0, 0, 0, 0], [1, 2, 3, 4, 5, 6])},
    };
    for (const [name, variable] of Object.entries(files)) {
      await writeFile(join(folder, name), encodeMemory({settings, samples: 0, variables: [variable]}));
      const {code, stdout} = await inspect(name);
      expect([code, stdout]).toEqual([0, expect.not.stringMatching(/NaN|Infinity|undefined|log10/)]);
      expect(rowsOf(stdout, 'hidden1/kernel')[0]).toHaveLength(8);
    }
    expect((await inspect('none')).stdout).toContain('tasks consolidated: none');
  });

  it('as a network saves it has the importance that the network has', async () => {
    const model = tf.sequential({
      layers: [
        tf.layers.dense({name: 'hidden1', inputShape: [4], units: 5, activation: 'relu'}),
        tf.layers.dense({name: 'head', units: 3}),
      ],
    });
    const mas = new MemoryAwareSynapses(model, {lambda: 0.25});
    const x = tf.randomNormal([12, 4], 0, 1, 'float32', 7);
    await mas.consolidate(x);
    const saved = `file://${join(folder, 'saved.safetensors')}`;
    await mas.save(saved);
    for (const path of ['saved.safetensors', saved]) {
      const {variables, total, samples} = await inspected(path);
      expect([samples, total.parameters]).toEqual([12, 4 * 5 + 5 + 5 * 3 + 3]);
      for (const [at, [name, omega]] of [...mas.importance].entries()) {
        const values = (await omega.data()) as Float32Array;
        expect(variables[at].name).toBe(name);
        expect(variables[at].importance.max).toBe(Math.max(...values));
        expect(variables[at].importance.sum).toBeCloseTo(
          values.reduce((a, b) => a + b, 0),
          5,
        );
      }
    }

    const shard = new Accumulation(model);
    await shard.add(x);
    await shard.save(`file://${join(folder, 'shard.safetensors')}`);
    const {kind, variables} = await inspected('shard.safetensors');
    expect([kind, variables[0].rule, variables[0].fallback]).toEqual(['accumulation', 'dense', null]);
    tf.dispose(x);
    shard.dispose();
    mas.dispose();
    model.dispose();
  });
});

describe('an accumulation', () => {
  it('is told with its importance so far: sums by samples', async () => {
    const variable = {...kernel, fingerprint: 'a'.repeat(64)};
    const counts = {samples: 4, batches: 2, seconds: 0.1, forwardPasses: 3, certificateSeconds: 0};
    const measure = {phi: 'abs', output: 'logits', outputs: [0, 2], seed: 'squared-norm'} as const;
    const sum = {hi: Float32Array.of(8, 4, 0, 0, 0, 0), lo: Float32Array.of(0, 0.5, 0, 0, 0, 0)};
    const fallback = {...variable, name: 'odd/kernel', rule: null, fallback: 'no rule for Cumprod', sum};
    const unreached = {...variable, name: 'head2/kernel', rule: null, fallback: null, sum: undefined};
    const rows = [{...variable, rule: 'dense', fallback: null, sum}, fallback, unreached];
    await writeFile(join(folder, 'shard'), encodeAccumulation({measure, counts, variables: rows}, 'webgpu'));

    const told = await inspected('shard', '--top', '2');
    expect(told).toMatchObject({
      kind: 'accumulation',
      samples: 4,
      settings: {...measure, outputs: '0,2', engine: 'webgpu'},
    });
    expect(told.variables.map(({importance}: {importance?: {sum: number}}) => importance?.sum)).toEqual([
      3.125,
      3.125,
      undefined,
    ]);
    expect(told.top).toEqual([
      {variable: 'hidden1/kernel', index: [0, 0], importance: 2},
      {variable: 'odd/kernel', index: [0, 0], importance: 2},
    ]);

    const {stdout} = await inspect('shard');
    expect(stdout).toContain('accumulation of 4 samples');
    expect(stdout).not.toContain('anchor');
    expect(rowsOf(stdout, 'hidden1/kernel')[0].slice(2, 5)).toEqual(['dense', '0.521', '2']);
    expect(rowsOf(stdout, 'odd/kernel')[0][2]).toBe('fallback');
    expect(stdout).toContain('odd/kernel: one sample at a time, for no rule for Cumprod');
  });
});

describe('another safetensors file', () => {
  it('is told by its tensors', async () => {
    const bytes = writeSafetensors(
      new Map([
        ['features.0.weight', {shape: [2, 2], values: Float32Array.of(-1, 2, Number.NaN, 4)}],
        ['scalar', {shape: [], values: Float32Array.of(1e-7)}],
      ]),
      new Map([['format', 'pt']]),
    );
    await writeFile(join(folder, 'weights'), bytes);
    const {code, stdout} = await inspect('weights');
    expect([code, stdout]).toEqual([0, expect.stringContaining('not of this library: 2 tensors, 20 bytes')]);
    expect(stdout).toContain('format pt');
    const row = ['features.0.weight', 'F32', '2 × 2', '16', '1.67', '-1', '4', '1'];
    expect(rowsOf(stdout, 'features.0.weight')[0]).toEqual(row);
    expect(rowsOf(stdout, 'scalar')[0].slice(2, 5)).toEqual(['scalar', '4', '1.00e-7']);
    const {tensors, metadata} = await inspected('weights');
    expect(metadata).toEqual({format: 'pt'});
    expect(tensors[0].values).toEqual({mean: 5 / 3, min: -1, max: 4, nonfinite: 1});
  });

  it('may hold other types, or nothing; names cannot steer the terminal', async () => {
    const header = '{"\\u001b[31mred":{"dtype":"I64","shape":[1],"data_offsets":[0,8]}}';
    const bytes = Buffer.alloc(8 + header.length + 8);
    bytes.writeBigUInt64LE(BigInt(header.length));
    bytes.write(header, 8);
    await writeFile(join(folder, 'other'), bytes);
    const {stdout} = await inspect('other');
    expect(stdout).not.toContain('\u001b');
    expect(rowsOf(stdout, '\\u{1b}[31mred')[0].slice(1)).toEqual(['I64', '1', '8', '', '', '', '']);
    await writeFile(join(folder, 'empty'), writeSafetensors(new Map(), new Map()));
    expect((await inspect('empty')).stdout).toContain('0 tensors, 0 bytes');
  });
});

describe('what cannot be read', () => {
  it('is one block with the name of the file and status 1, for programs too', async () => {
    const damaged = Buffer.from(memory);
    damaged.writeFloatLE(-1, damaged.length - 4); // the last tensor is importance, which is never negative
    await writeFile(join(folder, 'damaged'), damaged);
    await writeFile(join(folder, 'short'), memory.subarray(0, memory.length - 1));
    await writeFile(join(folder, 'text'), 'no tensors');
    for (const [file, received] of [
      ['damaged', /^got +-1$/m],
      ['short', /^got +/m],
      ['text', /^got +\d+ bytes$/m],
      ['nowhere', /^got +ENOENT/m],
      ['.', /^got +EISDIR/m],
    ] as const) {
      for (const flags of [[], ['--json']]) {
        const {code, stdout, stderr} = await inspect(file, ...flags);
        expect([code, stdout]).toEqual([1, '']);
        expect(stderr).toMatch(/^\s*error +DATA_FILE\nexpected +\S.*\ngot +\S.*\nremedy +\S.*\n$/);
        expect(stderr).toMatch(received);
        expect(stderr).toContain(file);
      }
    }
  });

  it('is refused with a hint where the command is wrong', async () => {
    for (const [args, hint] of [
      [[], "missing required argument 'file'"],
      [['memory.safetensors', '--top', '-1'], 'whole number of at least 0'],
      [['memory.safetensors', '--jsn'], 'Did you mean --json?'],
    ] as const) {
      const {code, stderr} = await inspect(...args);
      expect([code, stderr]).toEqual([1, expect.stringContaining(hint)]);
    }
  });
});
