/** Argument checks and derived sizes, all read off a kernel's row. The addon has its own, generated from the same rows. */
import {EngramError} from '../errors.js';
import type {Buffers, HostInput} from './engine.js';
import {
  type BufferSpec,
  buffersOf,
  type KernelName,
  type KernelSpec,
  kernelNames,
  type Params,
  paramsOf,
  row,
  table,
} from './table.js';

/** A parameter as the number that travels to a kernel: choices become their index. */
export function paramValue(spec: KernelSpec, name: string, value: unknown): number {
  const param = spec.params[name];
  return param.kind === 'choice' ? param.values.indexOf(value as string) : (value as number);
}

/** What a parameter is called, and the names of its values if it is a choice. */
interface ParamNames {
  readonly kind: string;
  readonly values?: readonly string[];
}

/** Parameters by name, in several objects where they come from several places: merging them would cost more than a kernel. */
export type ParamParts = readonly Readonly<Record<string, string | number>>[];

/** Makes the function that packs a row's parameters as numbers, in its order; the first part that has one counts. */
export function packerOf(spec: {
  readonly params: Readonly<Record<string, ParamNames>>;
}): (parts: ParamParts) => Float64Array {
  const names = Object.keys(spec.params);
  const choices = names.map((name) => spec.params[name].values);
  return (parts) => {
    const packed = new Float64Array(names.length);
    for (let i = 0; i < names.length; i++) {
      let value: string | number | undefined;
      for (let part = 0; value === undefined && part < parts.length; part++) value = parts[part][names[i]];
      packed[i] = choices[i] ? choices[i]!.indexOf(value as string) : (value as number);
    }
    return packed;
  };
}

const packers = Object.fromEntries(kernelNames.map((kernel) => [kernel, packerOf(row(kernel))]));

/** All parameters as numbers, in the row's order. */
export function packParams(kernel: KernelName, ...parts: ParamParts): Float64Array {
  return packers[kernel](parts);
}

/** Length in elements of one buffer of a call. */
export function bufferLength(buffer: BufferSpec, params: object): number {
  let product = 1;
  for (const name of buffer.length) product *= (params as Record<string, number>)[name];
  return product;
}

/**
 * Refuses a call whose parameters or buffer lengths do not fit the kernel's row.
 *
 * @param lengths elements of every buffer of the row; `write` buffers included
 * @throws EngramError ARGUMENT for a parameter, SHAPE for a length
 */
export function checkCall<K extends KernelName>(kernel: K, params: Params<K>, lengths: Record<string, number>): void {
  for (const [name, param] of paramsOf(kernel)) {
    const value = (params as Record<string, unknown>)[name];
    const fits =
      param.kind === 'choice'
        ? param.values.includes(value as string)
        : param.kind === 'size'
          ? Number.isSafeInteger(value) && (value as number) >= 0 && (value as number) <= 0xffffffff
          : typeof value === 'number';
    if (!fits) {
      const expected =
        param.kind === 'choice'
          ? `one of ${param.values.join(', ')}`
          : param.kind === 'size'
            ? `a whole number (${param.unit})`
            : `a number (${param.unit})`;
      throw new EngramError('ARGUMENT', {
        expected: `${kernel}.${name} to be ${expected}`,
        received: String(value),
        remedy: 'Pass every parameter that the kernel table lists for this kernel.',
      });
    }
  }
  for (const [name, buffer] of buffersOf(kernel)) {
    const length = bufferLength(buffer, params);
    if (lengths[name] !== length) {
      throw new EngramError('SHAPE', {
        expected: `${kernel}.${name} to have ${buffer.length.join(' x ') || '1'} = ${length} elements`,
        received: lengths[name] === undefined ? 'no such buffer' : `${lengths[name]}`,
        remedy: 'Check the shapes against the parameters.',
      });
    }
  }
}

/** The typed array of each buffer type. */
export const arrayTypes = {f32: Float32Array, u32: Uint32Array, i32: Int32Array};

/**
 * Refuses a kernel that the table does not have, and arguments that are no objects.
 *
 * @throws EngramError ARGUMENT
 */
export function checkNames(kernel: unknown, params: unknown, buffers: unknown): void {
  const known = typeof kernel === 'string' && Object.hasOwn(table, kernel);
  if (known && params instanceof Object && buffers instanceof Object) return;
  throw new EngramError('ARGUMENT', {
    expected: known ? `${kernel} to get its parameters and its buffers as two objects` : 'the name of a kernel',
    received: known ? `${typeof params} and ${typeof buffers}` : String(kernel),
    remedy: `Kernels are ${Object.keys(table).join(', ')}; "table" has their parameters and buffers.`,
  });
}

/**
 * Refuses a call on typed arrays that do not fit the kernel's row.
 *
 * @throws EngramError ARGUMENT, DTYPE, DETACHED or SHAPE
 */
export function checkArrays<K extends KernelName>(kernel: K, params: Params<K>, arrays: Buffers<K, HostInput>): void {
  checkNames(kernel, params, arrays);
  const lengths: Record<string, number> = {};
  for (const [name, spec] of buffersOf(kernel)) {
    const array = (arrays as Record<string, HostInput>)[name];
    const wanted = arrayTypes[spec.dtype];
    if (!(array instanceof wanted)) {
      throw new EngramError('DTYPE', {
        expected: `${kernel}.${name} to be a ${wanted.name}`,
        received: array === undefined ? 'nothing' : Object.prototype.toString.call(array).slice(8, -1),
        remedy: 'Convert the data first; Engram computes in 32-bit floats.',
      });
    }
    if (array.length === 0 && isDetached(array.buffer)) {
      throw new EngramError('DETACHED', {
        expected: `${kernel}.${name} to have its memory`,
        received: 'an array whose memory was transferred away',
        remedy: 'Pass a copy to postMessage or structuredClone, or make a new array.',
      });
    }
    lengths[name] = array.length;
  }
  checkCall(kernel, params, lengths);
  for (const [name, {access}] of buffersOf(kernel)) {
    if (access === 'read') continue;
    const written = (arrays as Record<string, HostInput>)[name];
    for (const [other] of buffersOf(kernel)) {
      if (other === name || !overlap(written, (arrays as Record<string, HostInput>)[other])) continue;
      throw new EngramError('ARGUMENT', {
        expected: `${kernel}.${name}, which is written, to share no memory with another buffer`,
        received: `memory of ${other} too`,
        remedy: 'Pass a copy made with slice().',
      });
    }
  }
}

/** Whether two arrays share an element. */
function overlap(a: HostInput, b: HostInput): boolean {
  if (a.buffer !== b.buffer) return false;
  const end = Math.min(a.byteOffset + a.byteLength, b.byteOffset + b.byteLength);
  return Math.max(a.byteOffset, b.byteOffset) < end;
}

/** Only a detached buffer refuses a view of nothing. */
function isDetached(buffer: ArrayBufferLike): boolean {
  try {
    new Uint8Array(buffer, 0, 0);
    return false;
  } catch {
    return true;
  }
}

/** How TensorFlow.js names the type that a buffer wants; u32 buffers are never tensors. */
const tensorTypes: Readonly<Record<BufferSpec['dtype'], string>> = {f32: 'float32', i32: 'int32', u32: 'none'};

/**
 * Refuses a tensor of another type than the buffer that it stands in for.
 *
 * @throws EngramError DTYPE
 */
export function checkTensorType(kernel: string, name: string, {dtype}: BufferSpec, received: string): void {
  const expected = tensorTypes[dtype];
  if (received === expected) return;
  throw new EngramError('DTYPE', {
    expected: `${kernel}.${name} to be ${expected}`,
    received,
    remedy: `Cast the tensor with tf.cast(x, "${expected}").`,
  });
}
