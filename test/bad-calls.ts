/** Calls of a kernel that must be refused, on every engine and in every way to run it. */
import type {ErrorCode} from '../dist/errors.js';

export const f32 = (length: number): Float32Array => new Float32Array(length);
/** Parameters of grad_moment_dense, and buffers that fit them. */
export const dense = {phi: 'abs' as const, samples: 2, fanIn: 3, fanOut: 4};
export const good = () => ({activations: f32(6), deltas: f32(8), moment: f32(12)});

const detached = (): Float32Array => {
  const array = f32(6);
  structuredClone(array.buffer, {transfer: [array.buffer]});
  return array;
};
const oneBuffer = () => {
  const memory = f32(17);
  return {activations: memory.subarray(0, 6), moment: memory.subarray(5, 17)};
};

/** What is wrong, the code of the refusal, the parameters, and the buffers that differ from {@link good}. */
export const badCalls: [string, ErrorCode, object, () => object][] = [
  ['a number for an array', 'DTYPE', dense, () => ({deltas: 8})],
  ['no array', 'DTYPE', dense, () => ({deltas: undefined})],
  ['an ordinary array', 'DTYPE', dense, () => ({deltas: [1, 2, 3, 4, 5, 6, 7, 8]})],
  ['64-bit floats of the right length', 'DTYPE', dense, () => ({deltas: new Float64Array(8)})],
  ['integers of the right length', 'DTYPE', dense, () => ({deltas: new Int32Array(8)})],
  ['bytes', 'DTYPE', dense, () => ({deltas: new Uint8Array(32)})],
  ['a view of any type', 'DTYPE', dense, () => ({deltas: new DataView(new ArrayBuffer(32))})],
  ['too short an array', 'SHAPE', dense, () => ({deltas: f32(7)})],
  ['too long an array', 'SHAPE', dense, () => ({moment: f32(13)})],
  ['an array whose memory is gone', 'DETACHED', dense, () => ({activations: detached()})],
  ['a moment that overlaps the activations', 'ARGUMENT', dense, oneBuffer],
  ['a fraction of a sample', 'ARGUMENT', {...dense, samples: 2.5}, () => ({})],
  ['less than no sample', 'ARGUMENT', {...dense, samples: -2}, () => ({})],
  ['a size beyond 32 bits', 'ARGUMENT', {...dense, samples: 2 ** 40}, () => ({})],
  ['not a number', 'ARGUMENT', {...dense, samples: Number.NaN}, () => ({})],
  ['an unknown choice', 'ARGUMENT', {...dense, phi: 'cube'}, () => ({})],
  ['a missing parameter', 'ARGUMENT', {phi: 'abs', samples: 2, fanIn: 3}, () => ({})],
];
