/** What reaches the addon from JavaScript: nothing may crash it, and what it refuses it refuses with a reason. */
import {execFileSync} from 'node:child_process';
import {readFileSync} from 'node:fs';
import {Worker} from 'node:worker_threads';
import {expect, it} from 'vitest';
import {backendTable, operationNames} from '../dist/backends/native/table.js';
import {EngramError} from '../dist/errors.js';
import type {HostArray, HostInput} from '../dist/kernels/engine.js';
import {kernelNames, row} from '../dist/kernels/table.js';
import {badCalls, dense, f32, good} from './bad-calls.js';
import {addon, describeAddon, engine} from './native.js';

function refusal(call: () => void): EngramError {
  try {
    call();
  } catch (error) {
    return error as EngramError;
  }
  throw new Error('the call was accepted');
}

describeAddon('the edge of the addon', () => {
  it('has the rows of the kernel table and of the backend', () => {
    const rows = kernelNames.map((name) => ({
      name,
      params: Object.keys(row(name).params),
      buffers: Object.keys(row(name).buffers),
    }));
    expect(addon.table).toEqual(rows);
    expect(addon.operations.map((operation) => operation.name)).toEqual(operationNames);
    expect(addon.operations.map((o) => o.buffers)).toEqual(
      operationNames.map((name) => Object.keys(backendTable[name].buffers)),
    );
  });

  it('is compiled from a header that the table generates today', async () => {
    const generator = new URL('../native/generate-table.mjs', import.meta.url).href;
    const {header} = (await import(generator)) as {header: () => string};
    const committed = readFileSync(new URL('../native/kernel_table.h', import.meta.url), 'utf8');
    expect(committed, 'run "npm run build:table"').toBe(header());
  });

  it('shares no code between instruction sets that the linker could take from the wrong one', () => {
    const objects = new URL('../native/build/CMakeFiles/engram_kernels.dir/core/', import.meta.url);
    for (const set of addon.instructionSets()) {
      let symbols: string;
      try {
        symbols = execFileSync('nm', ['-C', new URL(`${set}.cc.o`, objects).pathname], {
          encoding: 'utf8',
          stdio: 'pipe',
        });
      } catch {
        console.warn(`engram tests: no nm or no object files, so shared code is not looked for (${set})`);
        return;
      }
      const shared = symbols
        .split('\n')
        .filter((line) => / [WVu] /.test(line) && !line.includes(`engram::${set}::`) && !line.includes('DW.ref.'));
      expect(shared, set).toEqual([]);
    }
  });

  it('accepts what fits', () => {
    engine.run('grad_moment_dense', dense, good());
  });

  it('takes ids as Int32Array alone', () => {
    const params = {phi: 'abs', samples: 1, positions: 2, rows: 3, fanOut: 1} as const;
    const run = (ids: HostInput) => engine.run('grad_moment_gather', params, {ids, deltas: f32(2), moment: f32(3)});
    run(Int32Array.of(2, -1));
    for (const ids of [new Uint32Array(2), f32(2)]) expect(refusal(() => run(ids)).code).toBe('DTYPE');
  });

  it.each(badCalls)('refuses %s', (_, code, params, change) => {
    const buffers = {...good(), ...change()};
    const error = refusal(() => engine.run('grad_moment_dense', params as typeof dense, buffers as never));
    expect(error).toBeInstanceOf(EngramError);
    expect(error.code).toBe(code);
    for (const part of [error.expected, error.received, error.remedy]) expect(part).toMatch(/./);
  });

  it('refuses shapes whose product wraps round to the right length', () => {
    const params = {...dense, samples: 2 ** 31, fanIn: 2 ** 31, fanOut: 4};
    expect(refusal(() => engine.run('grad_moment_dense', params, good())).code).toBe('SHAPE');
  });

  it('refuses an optimizer without the slots it needs', () => {
    const params = {
      ...{rule: 'adam' as const, penalty: 'proximal' as const, size: 0, penalized: 0, slotCount: 0, nesterov: 0},
      ...{learningRate: 1, momentum: 0, beta1: 0, beta2: 0, epsilon: 0, correction1: 1, correction2: 1, weightDecay: 0},
      lambda: 0,
    };
    const buffers = {
      ...{theta: f32(0), gradient: f32(0), importance: f32(0), anchor: f32(0), slots: f32(0), next: f32(0)},
    };
    expect(refusal(() => engine.run('penalized_step', params, buffers)).code).toBe('ARGUMENT');
  });

  it('refuses geometry that no memory could hold, and accepts any that is empty', () => {
    const convolution = (change: Record<string, number>) => {
      const ones = Object.fromEntries(Object.keys(row('grad_moment').params).map((name) => [name, 1]));
      const params = {...ones, padFront: 0, padTop: 0, padLeft: 0, ...change, phi: 'abs'};
      const buffers = {activations: f32(0), deltas: f32(0), moment: f32(1)};
      engine.run('grad_moment', params as never, buffers);
    };
    const most = 2 ** 32 - 1;
    for (const [axis, pad] of [
      ['Depth', 'padFront'],
      ['Height', 'padTop'],
      ['Width', 'padLeft'],
    ]) {
      const endless = {samples: 0, [`out${axis}`]: most, [`stride${axis}`]: most, [pad]: most};
      expect(refusal(() => convolution(endless)).expected).toContain(`out${axis} x stride`);
    }
    convolution({samples: 0, outHeight: 1000, strideHeight: 1000, padTop: most});
    convolution({samples: 4_000_000_000, inHeight: 0, outHeight: 0});
  });

  it('survives arguments that are not even of the right kind', () => {
    const raw = addon.run as (...args: unknown[]) => void;
    const params = Float64Array.of(0, 2, 3, 4);
    for (const args of [
      [],
      [1],
      [-1, params, []],
      [99, params, []],
      [1.5, params, []],
      ['1', params, []],
      [1, [0, 2, 3, 4], [f32(6), f32(8), f32(12)]],
      [1, params.subarray(0, 3), [f32(6), f32(8), f32(12)]],
      [1, new Float32Array(4), [f32(6), f32(8), f32(12)]],
      [1, params, null],
      [1, params, 'arrays'],
      [1, params, {}],
      [1, params, new Proxy([], {})],
    ]) {
      expect(() => raw(...args)).toThrow();
    }
    const throwing = Object.defineProperty([], 0, {
      get() {
        throw new RangeError('a getter of the caller');
      },
    });
    expect(() => raw(1, params, throwing)).toThrow('a getter of the caller');
    for (const set of [undefined, 'sse9', 7]) expect(() => addon.setInstructionSet(set as string)).toThrow();
    for (const count of [0, -1, 1.5, 1e9, Number.NaN, '2', undefined]) {
      expect(() => addon.setThreads(count as number)).toThrow();
    }
  });

  it('looks at arrays only after the last getter has run', () => {
    const first = f32(6);
    const arrays: HostArray[] = [first, f32(8), f32(12)];
    Object.defineProperty(arrays, 1, {
      get() {
        structuredClone(first.buffer, {transfer: [first.buffer]});
        return f32(8);
      },
    });
    expect(() => addon.run(1, Float64Array.of(0, 2, 3, 4), arrays)).toThrow('transferred away');
  });

  it('works in several worker_threads at once, and outlives them', async () => {
    const code = `
      import {parentPort} from 'node:worker_threads';
      const {loadAddon} = await import(${JSON.stringify(new URL('../dist/kernels/addon.js', import.meta.url).href)});
      const {addon} = loadAddon();
      const size = 400;
      const a = new Float32Array(size * size).fill(1), b = new Float32Array(size * size).fill(2);
      let sum = 0;
      for (let i = 0; i < 20; i++) {
        const moment = new Float32Array(size * size);
        addon.run(1, Float64Array.of(0, size, size, size), [a, b, moment]);
        sum += moment[size * size - 1];
      }
      parentPort.postMessage(sum);`;
    const sums = await Promise.all(
      [1, 2, 3].map(
        () =>
          new Promise((resolve, reject) => {
            const worker = new Worker(new URL(`data:text/javascript,${encodeURIComponent(code)}`));
            worker.once('message', resolve);
            worker.once('error', reject);
          }),
      ),
    );
    expect(sums).toEqual([16_000, 16_000, 16_000]);
    engine.run('grad_moment_dense', dense, good());
  });
});
