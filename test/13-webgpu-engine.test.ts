/** The WebGPU engine by itself: scalars and scratch in a shared command stream, refusals, and faults that surface. */
import {expect, it} from 'vitest';
import type {Params} from '../dist/kernels/table.js';
import {type CommandStream, WebGpuEngine} from '../dist/kernels/webgpu.js';
import {describeGpu, device, freshDevice} from './gpu.js';
import {filled} from './gpu-parity.js';

/** A stream that submits only when it is told to, and counts. */
class LazyStream implements CommandStream {
  submits = 0;
  private commands: GPUCommandEncoder | null = null;
  private open: GPUComputePassEncoder | null = null;
  pass(): GPUComputePassEncoder {
    this.commands ??= device.createCommandEncoder();
    this.open ??= this.commands.beginComputePass();
    return this.open;
  }
  encoder(): GPUCommandEncoder {
    this.open?.end();
    this.open = null;
    this.commands ??= device.createCommandEncoder();
    return this.commands;
  }
  encoded(): void {}
  submit(): void {
    if (!this.commands) return;
    device.queue.submit([this.encoder().finish()]);
    this.commands = null;
    this.submits++;
  }
}

const merge = (size: number, storedWeight: number): Params<'merge'> => ({
  rule: 'linear',
  size,
  storedWeight,
  incomingWeight: 0,
});

describeGpu('the WebGPU engine', () => {
  it('encodes into the stream it is given and submits only when its ring of scalars is full', async () => {
    const stream = new LazyStream();
    const engine = new WebGpuEngine(device, stream);
    const stored = engine.allocate(1, Float32Array.of(1));
    const incoming = engine.allocate(1);
    const outputs = Array.from({length: 300}, () => engine.allocate(1));
    outputs.slice(0, 200).forEach((merged, i) => {
      engine.run('merge', merge(1, i), {stored, incoming, merged});
    });
    expect(stream.submits).toBe(0);
    outputs.slice(200).forEach((merged, i) => {
      engine.run('merge', merge(1, 200 + i), {stored, incoming, merged});
    });
    expect(stream.submits).toBe(1);
    for (let i = 0; i < outputs.length; i++) expect((await engine.read(outputs[i], 1))[0]).toBe(i);
    expect(engine.pipelineCount).toBe(1);
    for (const buffer of [stored, incoming, ...outputs]) buffer.destroy();
    engine.dispose();
  });

  it('shares one scratch buffer between calls, also when it grows in between', async () => {
    const engine = new WebGpuEngine(device, new LazyStream());
    const value = [engine.allocate(1), engine.allocate(1), engine.allocate(1)];
    const held = [1000, 100_000, 2000].map((size, i) => {
      const ones = new Float32Array(size).fill(1);
      const [theta, importance, anchor] = [
        engine.allocate(size, ones),
        engine.allocate(size, ones),
        engine.allocate(size),
      ];
      engine.run('penalty_value', {size, lambda: 1}, {theta, importance, anchor, value: value[i]});
      return [theta, importance, anchor];
    });
    expect((await engine.read(value[0], 1))[0]).toBe(1000);
    expect((await engine.read(value[1], 1))[0]).toBe(100_000);
    expect((await engine.read(value[2], 1))[0]).toBe(2000);
    for (const buffer of [...value, ...held.flat()]) buffer.destroy();
    engine.dispose();
  });

  it('runs on typed arrays', async () => {
    const engine = new WebGpuEngine(device);
    const arrays = {stored: Float32Array.of(1, -2, 3), incoming: new Float32Array(3), merged: new Float32Array(3)};
    await engine.runAsync('merge', merge(3, 2), arrays);
    expect([...arrays.merged]).toEqual([2, -4, 6]);
    engine.dispose();
  });

  it('writes a moment instead of adding to it where asked to, whatever was in it', async () => {
    const engine = new WebGpuEngine(device);
    for (const samples of [3, 3000]) {
      const params = {phi: 'abs', samples, fanIn: 10, fanOut: 6} as const;
      const arrays = {
        activations: filled(samples * 10, 1),
        deltas: filled(samples * 6, 2),
        moment: new Float32Array(60),
      };
      await engine.runAsync('grad_moment_dense', params, arrays);
      const memory = {
        activations: engine.allocate(samples * 10, arrays.activations),
        deltas: engine.allocate(samples * 6, arrays.deltas),
        moment: engine.allocate(60, new Float32Array(60).fill(Number.NaN)),
      };
      engine.run('grad_moment_dense', params, memory, {overwrite: true});
      expect(await engine.read(memory.moment, 60)).toEqual(arrays.moment);
      engine.run('grad_moment_dense', params, memory);
      expect(await engine.read(memory.moment, 60)).toEqual(arrays.moment.map((value) => 2 * value));
      for (const buffer of Object.values(memory)) buffer.destroy();
    }
    engine.dispose();
  });

  it('refuses a call that does not fit before anything is changed', async () => {
    const engine = new WebGpuEngine(device);
    const [stored, incoming, merged] = [engine.allocate(4), engine.allocate(4), engine.allocate(4)];
    const code = (f: () => void): unknown => {
      try {
        f();
      } catch (error) {
        return (error as {code: string}).code;
      }
      return 'no error';
    };
    expect(code(() => engine.run('merge', merge(3, 1), {stored, incoming, merged}))).toBe('SHAPE');
    expect(code(() => engine.run('merge', merge(-1, 1), {stored, incoming, merged}))).toBe('ARGUMENT');
    expect(code(() => engine.run('merge', merge(4, 1), {stored, incoming, merged: stored}))).toBe('ARGUMENT');
    const values = (length: number, offset: number) => ({
      values: {buffer: stored, length, offset},
      count: {buffer: merged, length: 1},
    });
    expect(code(() => engine.run('count_nonfinite', {size: 5}, values(5, 0)))).toBe('SHAPE');
    expect(code(() => engine.run('count_nonfinite', {size: 4}, values(4, 64)))).toBe('SHAPE');
    expect(code(() => engine.run('count_nonfinite', {size: 1}, values(1, 3)))).toBe('ARGUMENT');
    expect(code(() => engine.allocate(device.limits.maxBufferSize))).toBe('DEVICE');
    expect(await engine.read(merged, 4)).toEqual(new Float32Array(4));
    for (const buffer of [stored, incoming, merged]) buffer.destroy();
    engine.dispose();
  });

  it('never reads zeros for work that the device refused', async () => {
    const engine = new WebGpuEngine(await freshDevice());
    const [stored, incoming, merged] = [engine.allocate(4), engine.allocate(4), engine.allocate(4)];
    incoming.destroy();
    engine.run('merge', merge(4, 1), {stored, incoming, merged});
    await expect(engine.read(merged, 4)).rejects.toMatchObject({code: 'DEVICE'});
    expect(() => engine.run('merge', merge(4, 1), {stored, incoming: merged, merged: stored})).toThrow(/new device/);
    engine.device.destroy();
  });

  it('throws on a lost device, at the next call or at a reading under way', async () => {
    const lost = await freshDevice();
    const engine = new WebGpuEngine(lost);
    const buffers = {
      stored: engine.allocate(4, filled(4, 1)),
      incoming: engine.allocate(4),
      merged: engine.allocate(4),
    };
    engine.run('merge', merge(4, 1), buffers);
    const reading = engine.read(buffers.merged, 4);
    lost.destroy();
    await expect(reading).rejects.toMatchObject({code: 'DEVICE'});
    await lost.lost;
    expect(() => engine.run('merge', merge(4, 1), buffers)).toThrow(/lost device/);
  });
});
