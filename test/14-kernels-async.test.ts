/** Kernels off the event loop: the same results, safe against whatever the caller does meanwhile, and abortable. */
import {setFlagsFromString} from 'node:v8';
import {runInNewContext} from 'node:vm';
import {afterEach, describe, expect, it} from 'vitest';
import {EngramError} from '../dist/errors.js';
import {bufferLength} from '../dist/kernels/check.js';
import type {Engine, HostInput} from '../dist/kernels/engine.js';
import {referenceEngine} from '../dist/kernels/reference/engine.js';
import {type KernelName, kernelNames, row} from '../dist/kernels/table.js';
import {badCalls, dense, f32, good} from './bad-calls.js';
import {endless} from './endless.js';
import {type Arrays, addon, describeAddon, engine, randomArray, randomIds, use, useDefaults} from './native.js';

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;
const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

/** Parameters and arrays for a kernel, whatever its row says: sizes of five, the last of every choice. */
function anyCall(kernel: KernelName): {params: never; arrays: Arrays} {
  const spec = row(kernel);
  const params: Record<string, unknown> = {};
  for (const [name, param] of Object.entries(spec.params)) {
    if (param.kind === 'choice') params[name] = param.values.at(-1);
    else if (param.kind === 'scalar') params[name] = 0.5;
    else params[name] = /^0 (or|for)/.test(param.unit) ? Number(param.unit.match(/\d+/g)!.at(-1)![0]) : 5;
  }
  const arrays: Arrays = {};
  Object.entries(spec.buffers).forEach(([name, buffer], i) => {
    const length = bufferLength(buffer, params);
    arrays[name] =
      buffer.dtype === 'u32'
        ? new Uint32Array(length)
        : buffer.dtype === 'i32'
          ? randomIds(length, 5, i + 1)
          : randomArray(length, i + 1);
  });
  if (kernel === 'count_nonfinite') arrays.values[2] = Number.NaN;
  return {params: params as never, arrays};
}
const cloned = (arrays: Arrays): Arrays => structuredClone(arrays);
const shared = (arrays: Arrays): Arrays =>
  Object.fromEntries(
    Object.entries(arrays).map(([name, array]) => {
      const copy = new (array.constructor as Float32ArrayConstructor)(new SharedArrayBuffer(array.byteLength));
      copy.set(array);
      return [name, copy as HostInput];
    }),
  ) as Arrays;

/** Three arrays of 20 MB: they are copied in several turns of the event loop. */
const size = 5 << 20;
const large = () => ({batch: f32(size).fill(1), hi: f32(size).fill(2), lo: f32(size).fill(3)});

/** As toEqual, but fast. */
function expectSame(arrays: Arrays, truth: Arrays): void {
  for (const [name, {buffer}] of Object.entries(truth)) {
    expect(Buffer.from(arrays[name].buffer).equals(Buffer.from(buffer)), name).toBe(true);
  }
}
async function rejection(promise: Promise<void>): Promise<unknown> {
  return promise.then(
    () => expect.unreachable('the call was accepted'),
    (error: unknown) => error,
  );
}
async function refusal(promise: Promise<void>): Promise<EngramError> {
  const error = await rejection(promise);
  expect(error).toBeInstanceOf(EngramError);
  return error as EngramError;
}
const transfer = (array: {buffer: ArrayBufferLike}) => {
  structuredClone(array.buffer, {transfer: [array.buffer as ArrayBuffer]});
  collectGarbage();
};

function suite(name: string, about: typeof describe, cpu: Engine<HostInput>): void {
  about(`runAsync of the ${name} engine`, () => {
    afterEach(() => name === 'native' && useDefaults());

    it.each(kernelNames)('gives what run gives: %s', async (kernel) => {
      const {params, arrays} = anyCall(kernel);
      const truth = cloned(arrays);
      cpu.run(kernel, params, truth as never);
      expect(truth).not.toEqual(arrays);
      for (const own of [cloned(arrays), shared(arrays)]) {
        await cpu.runAsync(kernel, params, own as never);
        for (const buffer of Object.keys(own)) expect([...own[buffer]], buffer).toEqual([...truth[buffer]]);
      }
    });

    it('runs many calls one after another', async () => {
      const ended: number[] = [];
      const hi = new Float32Array(new SharedArrayBuffer(4));
      await Promise.all(
        Array.from({length: 20}, async (_, i) => {
          await cpu.runAsync('fold', {size: 1}, {batch: f32(1).fill(2 ** i), hi, lo: f32(1)});
          ended.push(i);
        }),
      );
      expect(hi[0]).toBe(2 ** 20 - 1);
      expect(ended).toEqual(ended.map((_, i) => i));
    });

    it('lets the event loop turn while a kernel runs, and stops it when asked', async () => {
      if (name === 'native') use('scalar', 2);
      const {params, arrays} = endless();
      const stop = new AbortController();
      let settled = false;
      const call = cpu.runAsync('grad_moment', params, arrays as never, {signal: stop.signal});
      call
        .catch(() => undefined)
        .finally(() => {
          settled = true;
        });
      for (let ticks = 0; ticks < 50; ticks++) await new Promise((resolve) => setTimeout(resolve, 1));
      expect(settled).toBe(false);
      const reason = new Error('enough');
      stop.abort(reason);
      expect(await rejection(call)).toBe(reason);
      expectSame(arrays, endless().arrays);
      await cpu.runAsync('grad_moment_dense', dense, good());
    });

    it('stops a call that waits for its turn, and leaves the one that runs alone', async () => {
      if (name === 'native') use('scalar', 1);
      const {params, arrays} = endless();
      const running = new AbortController();
      const first = cpu.runAsync('grad_moment', params, shared(arrays) as never, {signal: running.signal});
      const waiting = new AbortController();
      const buffers = {activations: f32(6).fill(1), deltas: f32(8).fill(1), moment: f32(12)};
      const second = cpu.runAsync('grad_moment_dense', dense, buffers, {signal: waiting.signal});
      const third = cpu.runAsync('grad_moment_dense', dense, good(), {signal: AbortSignal.timeout(10)});
      await turn();
      waiting.abort();
      expect(await rejection(second)).toBe(waiting.signal.reason);
      expect(await rejection(third)).toHaveProperty('name', 'TimeoutError');
      expect([...buffers.moment]).toEqual(Array(12).fill(0));
      running.abort();
      expect(await rejection(first)).toBe(running.signal.reason);
      await cpu.runAsync('grad_moment_dense', dense, buffers);
      expect([...buffers.moment]).toEqual(Array(12).fill(2));
    });

    it('starts nothing after an abort, and ignores one that comes too late', async () => {
      const buffers = {activations: f32(6).fill(1), deltas: f32(8).fill(1), moment: f32(12)};
      expect(await rejection(cpu.runAsync('grad_moment_dense', dense, buffers, {signal: AbortSignal.abort(7)}))).toBe(
        7,
      );
      expect([...buffers.moment]).toEqual(Array(12).fill(0));
      const late = new AbortController();
      await cpu.runAsync('grad_moment_dense', dense, buffers, {signal: late.signal});
      late.abort();
      expect([...buffers.moment]).toEqual(Array(12).fill(2));
    });

    it('stops between the copies of large arrays', async () => {
      const arrays = large();
      const stop = new AbortController();
      const call = cpu.runAsync('fold', {size}, arrays, {signal: stop.signal});
      stop.abort();
      expect(await rejection(call)).toBe(stop.signal.reason);
      expectSame(arrays, large());
    });

    it.each(badCalls)('refuses %s', async (_, code, params, change) => {
      const error = await refusal(
        cpu.runAsync('grad_moment_dense', params as never, {...good(), ...change()} as never),
      );
      expect(error.code).toBe(code);
      for (const part of [error.expected, error.received, error.remedy]) expect(part).toMatch(/./);
    });

    it.each([
      ['an unknown kernel', ['no_such_kernel', dense, good()]],
      ['the name of an inherited property', ['toString', dense, good()]],
      ['no kernel', []],
      ['no parameters', ['grad_moment_dense']],
      ['no buffers', ['grad_moment_dense', dense]],
      ['null for buffers', ['grad_moment_dense', dense, null]],
      ['a signal that is none', ['grad_moment_dense', dense, good(), {signal: {aborted: false}}]],
      ['the controller for its signal', ['grad_moment_dense', dense, good(), {signal: new AbortController()}]],
    ])('refuses %s', async (_, args) => {
      const raw = cpu.runAsync as (...args: unknown[]) => Promise<void>;
      expect((await refusal(raw(...args))).code).toBe('ARGUMENT');
    });

    it('works on copies: an input may be transferred away while the kernel runs', async () => {
      const arrays = {activations: f32(6).fill(2), deltas: f32(8).fill(1), moment: f32(12)};
      const call = cpu.runAsync('grad_moment_dense', dense, arrays);
      transfer(arrays.activations);
      transfer(arrays.deltas);
      await call;
      expect([...arrays.moment]).toEqual(Array(12).fill(4));
    });

    it('never touches memory that is transferred away and freed while the kernel runs', async () => {
      if (name === 'native') use('scalar', 2);
      const {params, arrays} = endless();
      const stop = new AbortController();
      const call = rejection(cpu.runAsync('grad_moment', params, arrays as never, {signal: stop.signal}));
      for (let ticks = 0; ticks < 30; ticks++) await new Promise((resolve) => setTimeout(resolve, 1));
      for (const array of Object.values(arrays)) transfer(array);
      for (let ticks = 0; ticks < 30; ticks++) await new Promise((resolve) => setTimeout(resolve, 1));
      stop.abort();
      expect(await call).toBe(stop.signal.reason);
    });

    it('refuses a result for an array that was transferred away, and changes no other', async () => {
      const arrays = {batch: f32(4).fill(1), hi: f32(4).fill(2), lo: f32(4).fill(3)};
      const call = cpu.runAsync('fold', {size: 4}, arrays);
      transfer(arrays.lo);
      expect((await refusal(call)).code).toBe('DETACHED');
      expect([...arrays.batch, ...arrays.hi]).toEqual([1, 1, 1, 1, 2, 2, 2, 2]);
    });

    it('refuses an input that was transferred away before its copy was made', async () => {
      const arrays = large();
      const call = cpu.runAsync('fold', {size}, arrays);
      transfer(arrays.hi);
      expect((await refusal(call)).code).toBe('DETACHED');
      const {hi: _, ...others} = large();
      expectSame(arrays, others);
    });

    it('puts back what it had copied when an array is transferred away in the middle', async () => {
      const arrays = large();
      const call = refusal(cpu.runAsync('fold', {size}, arrays));
      while (arrays.batch[0] === 1) await turn();
      expect(arrays.hi[size - 1]).toBe(2);
      transfer(arrays.lo);
      expect((await call).code).toBe('DETACHED');
      const {lo: _, ...others} = large();
      expectSame(arrays, others);
    });

    it('refuses a result for an array that was resized', async () => {
      const resizable = Reflect.construct(ArrayBuffer, [16, {maxByteLength: 32}]) as ArrayBuffer & {
        resize(bytes: number): void;
      };
      for (const bytes of [8, 32]) {
        resizable.resize(16);
        const arrays = {batch: f32(4).fill(1), hi: new Float32Array(resizable), lo: f32(4)};
        const call = cpu.runAsync('fold', {size: 4}, arrays);
        resizable.resize(bytes);
        expect((await refusal(call)).code).toBe('DETACHED');
        expect([...arrays.batch]).toEqual([1, 1, 1, 1]);
      }
    });
  });
}

suite('native', describeAddon, engine);
suite('reference', describe, referenceEngine);

describeAddon('the edge of the background thread', () => {
  const start = addon.start as (...args: unknown[]) => () => void;
  const params = Float64Array.of(0, 2, 3, 4);
  const buffers = () => Object.values(shared(good()));
  const ended = () => undefined;

  it('never takes an ArrayBuffer, whatever it looks like', () => {
    for (const i of [0, 1, 2]) {
      const lent = buffers();
      lent[i] = f32(lent[i].length);
      expect(() => start(1, params, lent, ended)).toThrow('SharedArrayBuffer');
      Object.setPrototypeOf(lent[i].buffer, SharedArrayBuffer.prototype);
      expect(() => start(1, params, lent, ended)).toThrow('SharedArrayBuffer');
    }
  });

  it('survives arguments that are not even of the right kind', () => {
    for (const args of [
      [],
      [99, params, buffers(), ended],
      [1, params, buffers()],
      [1, params, buffers(), 'ended'],
      [1, params.subarray(1), buffers(), ended],
      [1, params, Object.values(good()), ended],
      [1, params, [], ended],
      [1, params, null, ended],
    ]) {
      expect(() => start(...args)).toThrow();
      expect(() => (addon.check as (...args: unknown[]) => void)(...args.slice(0, 2))).toThrow();
    }
  });

  it('tells how a call ended exactly once, however often it is cancelled', async () => {
    const outcomes: string[] = [];
    await new Promise<void>((resolve) => {
      const cancel = start(1, params, buffers(), (outcome: string) => {
        outcomes.push(outcome);
        resolve();
      });
      cancel();
      cancel();
    });
    await turn();
    expect(outcomes).toHaveLength(1);
    expect(outcomes[0]).toMatch(/done|cancelled/);
  });

  it('keeps shared memory alive that nobody else holds', async () => {
    use('scalar', 1);
    const {params, arrays} = endless();
    const stop = new AbortController();
    const call = engine.runAsync('grad_moment', params, shared(arrays) as never, {signal: stop.signal});
    for (let i = 0; i < 5; i++) {
      collectGarbage();
      await turn();
    }
    stop.abort();
    await rejection(call);
    useDefaults();
  });
});
