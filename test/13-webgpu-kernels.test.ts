/** The kernels that are not moments, on the GPU: output_norm, count_nonfinite, fold, merge, penalized_step, penalty_value. */
import {afterAll, expect, it} from 'vitest';
import {bodies} from '../dist/kernels/reference/engine.js';
import {WebGpuEngine} from '../dist/kernels/webgpu.js';
import {describeGpu, device} from './gpu.js';
import {filled, onGpu, pairwise, parity, reportParity} from './gpu-parity.js';

afterAll(() => reportParity(50));

describeGpu('the other kernels on the GPU', () => {
  it('output_norm', async () => {
    for (const [samples, outputs] of [
      [1, 1],
      [3, 10],
      [2, 63],
      [65, 257],
      [4, 0],
      [0, 4],
    ]) {
      for (const kind of ['normal', 'zeros'] as const) {
        const arrays = {
          outputs: filled(samples * outputs, 5, kind),
          norms: filled(samples, 6),
          seed: filled(samples * outputs, 7),
        };
        const truth = {
          outputs: Float64Array.from(arrays.outputs),
          norms: new Float64Array(samples),
          seed: new Float64Array(samples * outputs),
        };
        bodies.output_norm({samples, outputs}, truth);
        await parity('output_norm', {samples, outputs}, arrays, outputs, {
          norms: truth.norms,
          seed: truth.seed.map(Math.abs),
        });
      }
    }
  });

  it('count_nonfinite', async () => {
    for (const size of [0, 1, 257, 300_001]) {
      const values = filled(size, 8);
      if (size > 0) values[size - 1] = Number.NEGATIVE_INFINITY;
      if (size > 1) values.set([Number.NaN, Number.POSITIVE_INFINITY, 1e38, 1e-45, -0], 64);
      const {count} = await onGpu('count_nonfinite', {size}, {values, count: Uint32Array.of(7)}, 2);
      expect(count[0]).toBe(7 + 2 * (size > 1 ? 3 : size));
    }
    const oddNaN = new Float32Array(Uint32Array.of(0x7f800001, 0xffffffff, 0x7f7fffff).buffer);
    expect((await onGpu('count_nonfinite', {size: 3}, {values: oddNaN, count: Uint32Array.of(0)})).count[0]).toBe(2);
  });

  it('fold keeps in lo what hi cannot hold, bit for bit', async () => {
    for (const size of [0, 1, 65, 256, 300, 1028]) {
      const arrays = {
        batch: filled(size, 9).map((v) => v * 1e-5),
        hi: filled(size, 10),
        lo: filled(size, 11).map((v) => v * 1e-8),
      };
      const truth = {batch: arrays.batch.slice(), hi: arrays.hi.slice(), lo: arrays.lo.slice()};
      bodies.fold({size}, truth);
      expect(await onGpu('fold', {size}, arrays)).toEqual(truth);
    }
  });

  it('merge', async () => {
    const table = pairwise({
      rule: ['linear', 'max'],
      size: [0, 1, 64, 257, 1028],
      kind: ['normal', 'zeros', 'huge'],
      storedWeight: [0, 0.3, 1],
      incomingWeight: [1, 0.7],
    } as const);
    for (const {rule, size, kind, storedWeight, incomingWeight} of table) {
      const arrays = {
        stored: filled(size, 12, kind, 'a'),
        incoming: filled(size, 13, kind, 'a'),
        merged: filled(size, 14),
      };
      const merged = arrays.stored.map((v, i) => Math.abs(v) + Math.abs(arrays.incoming[i]));
      await parity('merge', {rule, size, storedWeight, incomingWeight}, arrays, 2, {merged: Float64Array.from(merged)});
    }
  });

  it('merge over more workgroups than one dimension holds', async () => {
    const size = 65_535 * 256 + 1001; // odd: one element a thread
    const engine = new WebGpuEngine(device);
    const [stored, incoming, merged] = [engine.allocate(size), engine.allocate(size), engine.allocate(size)];
    const places = [0, 1, 65_535 * 256 - 1, 65_535 * 256, size - 1];
    for (const place of places) device.queue.writeBuffer(stored, 4 * place, Float32Array.of(place));
    engine.run('merge', {rule: 'linear', size, storedWeight: 2, incomingWeight: 1}, {stored, incoming, merged});
    const result = (await engine.read(merged, size)) as Float32Array;
    const total = result.reduce((sum, value) => sum + value, 0);
    expect(places.map((place) => result[place])).toEqual(places.map((place) => Math.fround(2 * place)));
    expect(total).toBe(places.reduce((sum, place) => sum + Math.fround(2 * place), 0));
    for (const buffer of [stored, incoming, merged]) buffer.destroy();
    engine.dispose();
  });

  it('penalized_step', async () => {
    const table = pairwise({
      rule: ['sgd', 'momentum', 'adam'],
      penalty: ['explicit', 'proximal'],
      penalized: [0, 1],
      nesterov: [0, 1],
      size: [0, 1, 65, 256, 1028],
      lambda: [0, 3, 1e6],
      learningRate: [0.01, 0.5],
      weightDecay: [0, 0.3],
      kind: ['normal', 'zeros'],
    } as const);
    for (const {kind, ...options} of table) {
      const {rule, size, penalized, lambda, learningRate} = options;
      const slotCount = {sgd: 0, momentum: 1, adam: 2}[rule];
      const params = {
        ...options,
        slotCount,
        momentum: 0.9,
        beta1: 0.9,
        beta2: 0.999,
        epsilon: 1e-7,
        correction1: 1 - 0.9 ** 3,
        correction2: 1 - 0.999 ** 3,
      };
      const arrays = {
        theta: filled(size, 16, kind),
        gradient: filled(size, 17, kind),
        importance: filled(size * penalized, 18, kind).map(Math.abs),
        anchor: filled(size * penalized, 19, kind),
        slots: filled(size * slotCount, 20).map(Math.abs),
        next: filled(size, 21),
      };
      const g = Float64Array.from(
        arrays.gradient,
        (v, i) =>
          Math.abs(v) +
          (penalized && options.penalty === 'explicit'
            ? 2 * lambda * arrays.importance[i] * (Math.abs(arrays.theta[i]) + Math.abs(arrays.anchor[i]))
            : 0),
      );
      // Adam divides g by its own root mean square: its step is a multiple of the learning rate however large g is.
      const reach = rule === 'adam' ? g.map(() => 10) : g.map((v, i) => 2 * v + Math.abs(arrays.slots[i] ?? 0));
      const next = reach.map((v, i) => Math.abs(arrays.theta[i]) + Math.abs(arrays.anchor[i] ?? 0) + learningRate * v);
      const slots = Float64Array.from(arrays.slots, (v, i) => v + (i < size ? g[i] : g[i - size] ** 2));
      await parity('penalized_step', params, arrays, 2, {next, slots});
    }
  });

  it('penalty_value', async () => {
    for (const size of [0, 1, 63, 257, 300_001]) {
      for (const lambda of [0, 2.5]) {
        const arrays = {
          theta: filled(size, 22),
          importance: filled(size, 23).map(Math.abs),
          anchor: filled(size, 24),
          value: filled(1, 25),
        };
        const truth = {
          theta: arrays.theta,
          importance: arrays.importance,
          anchor: arrays.anchor,
          value: new Float64Array(1),
        };
        bodies.penalty_value({size, lambda}, truth);
        await parity('penalty_value', {size, lambda}, arrays, size, {value: truth.value});
      }
    }
  });
});
