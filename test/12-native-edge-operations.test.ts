/** Hostile calls of the backend's elementwise operations and reductions: nothing may be read or written outside the arrays. */
import {expect, it} from 'vitest';
import type {OperationSpec} from '../dist/backends/native/spec.js';
import {backendTable, type Operation, operationNames} from '../dist/backends/native/table.js';
import {addon, describeAddon} from './native.js';

type Arrays = Record<string, Float32Array | Int32Array | Uint8Array>;

function operate(operation: Operation, params: Record<string, number>, arrays: Arrays): void {
  const spec = backendTable[operation] as OperationSpec;
  const packed = Float64Array.from(Object.keys(spec.params), (name) => params[name] ?? 0);
  addon.operate(
    operationNames.indexOf(operation),
    packed,
    Object.keys(spec.buffers).map((name) => arrays[name] as Float32Array),
  );
}

/** What the addon answers: a code of its refusals, or 'accepted'. */
function answer(operation: Operation, params: Record<string, number>, arrays: Arrays): string {
  try {
    operate(operation, params, arrays);
  } catch (error) {
    return (error as {code: string}).code;
  }
  return 'accepted';
}

const f32 = (length: number) => new Float32Array(length);
const ones = {count0: 1, count1: 1, count2: 1, count3: 1, count4: 1, count5: 1};
const layout = {kept0: 1, reduced0: 1, kept1: 1, reduced1: 1, kept2: 1, reduced2: 1, kept3: 1};
const most = 2 ** 32 - 1;

describeAddon('hostile calls of elementwise operations and reductions', () => {
  it('lets no walk leave its operand, forwards or backwards', () => {
    const walk = (change: Record<string, number>) =>
      answer(
        'binary',
        {...ones, count4: 3, count5: 4, aStep4: 4, aStep5: 1, bStep5: 1, aSize: 12, bSize: 4, ...change},
        {a: f32(change.aSize ?? 12), b: f32(change.bSize ?? 4), c: f32(12)},
      );
    expect(walk({})).toBe('accepted');
    expect(walk({aSize: 11})).toBe('ARGUMENT');
    expect(walk({aStep4: 5})).toBe('ARGUMENT');
    expect(walk({bStep4: 1})).toBe('ARGUMENT');
    expect(walk({bStep5: 2})).toBe('ARGUMENT');
    expect(walk({bStep5: -1})).toBe('ARGUMENT');
    expect(walk({aStep4: most, bStep4: -most})).toBe('ARGUMENT');
    expect(walk({aStep0: most, bStep0: -most})).toBe('accepted'); // along an axis of one element nobody steps
    expect(walk({bSize: 0})).toBe('ARGUMENT');
    expect(walk({aStep5: 0.5})).toBe('ARGUMENT');
    expect(walk({op: 99})).toBe('ARGUMENT');
  });

  it('walks odd steps where they stay inside', () => {
    const a = Float32Array.of(1, 2, 3, 4, 5, 6, 7);
    const [b, c] = [Float32Array.of(10, 20), f32(6)];
    const params = {...ones, count4: 2, count5: 3, aStep4: 1, aStep5: 2, bStep4: 1, bStep5: 0, aSize: 7, bSize: 2};
    operate('binary', {...params, op: 0}, {a, b, c});
    expect([...c]).toEqual([11, 13, 15, 22, 24, 26]);
  });

  it('refuses lengths, types and shared memory that do not fit', () => {
    const unary = {op: 0, size: 4};
    expect(answer('unary', unary, {x: f32(4), y: f32(4)})).toBe('accepted');
    expect(answer('unary', unary, {x: f32(3), y: f32(4)})).toBe('SHAPE');
    expect(answer('unary', {...unary, alpha: Number.NaN}, {x: f32(4), y: f32(4)})).toBe('ARGUMENT');
    expect(answer('classify', unary, {x: f32(4), y: f32(4)})).toBe('DTYPE');
    expect(answer('logical_not', unary, {x: new Uint8Array(4), y: new Uint8Array(5)})).toBe('SHAPE');
    const shared = f32(6);
    expect(answer('unary', unary, {x: shared.subarray(0, 4), y: shared.subarray(2)})).toBe('ARGUMENT');
    expect(answer('arg_reduce', {outer: 2, reduced: 3, inner: 1}, {x: f32(6), y: f32(2)})).toBe('DTYPE');
    expect(answer('arg_reduce', {outer: 2, reduced: 3, inner: 1}, {x: f32(6), y: new Int32Array(3)})).toBe('SHAPE');
    const select = {condition: new Uint8Array(2), chosen: f32(6), other: f32(5), result: f32(6)};
    expect(answer('select', {rows: 2, columns: 3}, select)).toBe('SHAPE');
    expect(answer('reduce', {...layout, reduced2: 4, kept3: 2}, {x: f32(8), y: f32(3)})).toBe('SHAPE');
  });

  it('divides by no length of zero', () => {
    const norm = {size: 4, meanSize: 2, varianceSize: 2, scaleSize: 1, offsetSize: 1, epsilon: 1};
    for (const name of ['meanSize', 'varianceSize', 'scaleSize', 'offsetSize']) {
      const params: Record<string, number> = {...norm, [name]: 0};
      const arrays = Object.fromEntries(
        ['mean', 'variance', 'scale', 'offset'].map((operand) => [operand, f32(params[`${operand}Size`])]),
      );
      expect(answer('batch_norm', params, {x: f32(4), y: f32(4), ...arrays})).toBe('ARGUMENT');
    }
    const rows = {rows: 2, columns: 3, slopeRows: 0};
    expect(answer('prelu_rows', rows, {slopes: f32(0), values: f32(6)})).toBe('ARGUMENT');
  });

  it('accepts what is empty, however large the rest', () => {
    const empty = {a: f32(0), b: f32(0), c: f32(0)};
    const counts = {...ones, count0: most, count1: most, count2: most, aStep0: most};
    expect(answer('binary', {...counts, count5: 0}, empty)).toBe('accepted');
    expect(answer('binary', {...counts, count5: 1}, empty)).not.toBe('accepted');
    const huge = {...layout, kept0: most, reduced0: most, kept1: most, reduced1: most};
    for (const op of [0, 1, 3]) {
      expect(answer('reduce', {...huge, op, kept3: 0}, {x: f32(0), y: f32(0)})).toBe('accepted');
      const y = f32(1).fill(7);
      expect(answer('reduce', {...layout, op, reduced0: most, reduced1: most, reduced2: 0}, {x: f32(0), y})).toBe(
        'accepted',
      );
      expect(y[0]).not.toBe(7);
    }
    expect(answer('arg_reduce', {outer: 0, reduced: most, inner: most}, {x: f32(0), y: new Int32Array(0)})).toBe(
      'accepted',
    );
    expect(answer('softmax', {rows: most, columns: 0}, {x: f32(0), y: f32(0)})).toBe('accepted');
    expect(answer('prelu_rows', {rows: most, columns: 0, slopeRows: 1}, {slopes: f32(0), values: f32(0)})).toBe(
      'accepted',
    );
  });
});
