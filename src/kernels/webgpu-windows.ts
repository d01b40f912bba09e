/**
 * Calls on buffers beyond `maxStorageBufferBindingSize`, cut into calls on windows of them.
 *
 * A window is a range of the first axis that the buffers share: samples of a moment, elements of a pass over a vector.
 * Buffers without that axis are bound whole in every window, which is right only for sums that are added to.
 */
import {type BufferSpec, buffersOf, type KernelName, type Params} from './table.js';

/** Elements: bindings begin at multiples of 256 bytes on every device. */
export const windowAlignment = 64;

/** One call of those that a call is cut into. */
export interface Window<K extends KernelName> {
  readonly params: Params<K>;
  /** First element of each buffer that is cut. The others are bound from their beginning. */
  readonly offsets: Readonly<Record<string, number>>;
}

/**
 * Windows whose buffers have at most `largest` elements, in order.
 *
 * @param lengths elements of every buffer
 * @returns undefined where this kernel, or this call, cannot be cut so far
 */
export function windowsOf<K extends KernelName>(
  kernel: K,
  params: Params<K>,
  lengths: Readonly<Record<string, number>>,
  largest: number,
): Window<K>[] | undefined {
  const specs = buffersOf(kernel);
  for (const axis of ['samples', 'size'] as const) {
    const total = (params as Readonly<Record<string, number>>)[axis];
    if (!(total > 0) || !specs.every(([, spec]) => canCut(spec, axis, params))) continue;
    const cut = specs.filter(([, spec]) => spec.length.includes(axis)).map(([name]) => name);
    if (specs.some(([name]) => !cut.includes(name) && lengths[name] > largest)) return undefined;
    // Elements for one step along the axis; all steps are powers of two, so the largest fits all.
    const units = cut.map((name) => lengths[name] / total);
    const step = Math.max(...units.map((unit) => windowAlignment / commonPowerOfTwo(unit)));
    const count = Math.floor(largest / Math.max(...units) / step) * step;
    if (count === 0) return undefined;
    const windows: Window<K>[] = [];
    for (let first = 0; first < total; first += count) {
      windows.push({
        params: {...params, [axis]: Math.min(count, total - first)},
        offsets: Object.fromEntries(cut.map((name, i) => [name, first * units[i]])),
      });
    }
    return windows;
  }
  return undefined;
}

/** Whether the buffer lies along the axis, or is added to. Axes of one element in front of it do not count. */
function canCut(spec: BufferSpec, axis: string, params: object): boolean {
  const at = spec.length.indexOf(axis);
  if (at < 0) return spec.access === 'read_write';
  return spec.length.slice(0, at).every((name) => (params as Record<string, number>)[name] <= 1);
}

/** The largest power of two up to 64 that divides n; 64 for 0. */
function commonPowerOfTwo(n: number): number {
  let power = windowAlignment;
  while (n % power !== 0) power /= 2;
  return power;
}
