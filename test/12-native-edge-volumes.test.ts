/** What reaches the convolutions of volumes through the addon's edge: nothing may read or write beyond the arrays. */
import {expect, it} from 'vitest';
import {backendTable, operationNames} from '../dist/backends/native/table.js';
import {addon, describeAddon} from './native.js';

const names = ['conv3d', 'conv3d_input'] as const;
type Change = Record<string, number>;

/** A call with one pixel of everything, changed. */
function run(name: (typeof names)[number], change: Change, lengths = [1, 1, 1]): () => void {
  const params = Object.keys(backendTable[name].params).map(
    (param) => change[param] ?? (param.startsWith('pad') ? 0 : 1),
  );
  const buffers = lengths.map((length) => new Float32Array(length).fill(2));
  return () => addon.operate(operationNames.indexOf(name), Float64Array.from(params), buffers);
}

function codeOf(call: () => void): string | undefined {
  try {
    call();
  } catch (error) {
    return (error as {code: string}).code;
  }
  return undefined;
}

describeAddon('the edge of the convolutions of volumes', () => {
  it.each(names)('%s computes what fits', (name) => {
    expect(codeOf(run(name, {}))).toBeUndefined();
  });

  it.each<[string, string, Change]>([
    ['more samples than the arrays have', 'SHAPE', {samples: 2}],
    ['more filters than the arrays have', 'SHAPE', {outChannels: 2}],
    ['a deeper filter than the array is', 'SHAPE', {filterDepth: 2}],
    ['sizes whose product wraps round', 'SHAPE', {samples: 2 ** 31, inDepth: 2 ** 31, inHeight: 4, outDepth: 2 ** 31}],
    ['less than no pixel', 'ARGUMENT', {inDepth: -1}],
    ['a fraction of a stride', 'ARGUMENT', {strideDepth: 1.5}],
    ['padding that is no number', 'ARGUMENT', {padFront: Number.NaN}],
    ['padding without end', 'ARGUMENT', {padLeft: Number.NEGATIVE_INFINITY}],
    ['geometry that no memory could hold', 'ARGUMENT', {samples: 0, outDepth: 2 ** 32 - 1, strideDepth: 2 ** 32 - 1}],
  ])('refuses %s', (_, code, change) => {
    for (const name of names) expect(codeOf(run(name, change)), name).toBe(code);
  });

  it.each(['strideDepth', 'strideHeight', 'strideWidth'])('refuses to divide by a %s of 0', (stride) => {
    expect(codeOf(run('conv3d_input', {[stride]: 0}))).toBe('ARGUMENT');
    expect(codeOf(run('conv3d', {[stride]: 0}))).toBeUndefined();
  });

  it('stays inside for any padding, stride and dilation', () => {
    const most = 2 ** 31;
    for (const name of names) {
      for (const axis of ['Depth', 'Height', 'Width']) {
        const pad = {Depth: 'padFront', Height: 'padTop', Width: 'padLeft'}[axis] as string;
        for (const value of [-most, -1, 1, most]) {
          for (const stride of [1, 3, most - 1]) {
            const change = {[pad]: value, [`stride${axis}`]: stride, [`dilation${axis}`]: stride, [`filter${axis}`]: 3};
            // The filter has three taps, the other two arrays one element each.
            expect(codeOf(run(name, change, [1, 3, 1])), `${name} ${JSON.stringify(change)}`).toBeUndefined();
          }
        }
      }
    }
  });
});
