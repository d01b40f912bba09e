/** Rows of the backend's tables: as in the kernel table, and what only the backend's operations need. */
import type {BufferSpec, KernelSpec, ParamSpec} from '../../kernels/table.js';

/** A signed whole number: from one element to the next along an axis. */
interface StepParam {
  readonly kind: 'step';
  readonly unit: string;
}

interface OperationBuffer extends Omit<BufferSpec, 'dtype'> {
  /** `u8`: booleans. `x32`: floats or integers of 32 bits, which are moved and not computed with. */
  readonly dtype: BufferSpec['dtype'] | 'u8' | 'x32';
}

/** A walk: elements start + sum of i[k] * steps[k], 0 <= i[k] < counts[k]. The addon refuses one that leaves its buffer. */
interface Reach {
  readonly buffer: string;
  /** Names of parameters; at most six axes. Without a start the walk begins at the first element. */
  readonly start?: string;
  readonly counts: readonly string[];
  readonly steps: readonly string[];
}

export interface OperationSpec extends Omit<KernelSpec, 'params' | 'buffers'> {
  readonly params: Readonly<Record<string, ParamSpec | StepParam>>;
  readonly buffers: Readonly<Record<string, OperationBuffer>>;
  readonly reaches?: readonly Reach[];
}

export const size = (unit: string) => ({kind: 'size', unit}) as const;
export const scalar = (unit: string) => ({kind: 'scalar', unit}) as const;
export const step = (unit: string) => ({kind: 'step', unit}) as const;
export const choice = <const V extends readonly string[]>(...values: V) => ({kind: 'choice', values}) as const;
export const flag = size('0 or 1');
export const read = (...length: string[]) => ({access: 'read', dtype: 'f32', length}) as const;
export const write = (...length: string[]) => ({access: 'write', dtype: 'f32', length}) as const;
