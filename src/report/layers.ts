/** What a memory holds, as the importance pictures want it: layer by layer, and summed over the units of the first. */
import type {Memory} from '../memory/memory.js';
import {floatsOf, readSafetensors} from '../memory/safetensors.js';
import type {LayerImportance} from './importance.js';

/** Where a network's weights are. */
const KERNEL = /^(.+)\/kernel(_\d+)?$/;

/** Omega of every kernel, in the order in which the network has them. */
export async function layersOf(memory: Memory): Promise<LayerImportance[]> {
  const layers: LayerImportance[] = [];
  for (const [variable, omega] of memory.importance) {
    const name = KERNEL.exec(variable)?.[1];
    if (name) layers.push({name, shape: omega.shape, values: (await omega.data()) as Float32Array});
  }
  return layers;
}

/** What a method holds of a parameter's importance, as a run leaves it in `method.safetensors`. */
const PREFIX = 'importance.';

/**
 * Omega of every kernel in the state that a method left: layers in the order of their names, heads behind all others,
 * for the file knows no order of its own.
 *
 * @param file the bytes of `method.safetensors`
 * @returns nothing for a method that holds no importance
 * @throws EngramError DATA_FILE
 */
export function layersOfState(file: Uint8Array): LayerImportance[] {
  const layers: LayerImportance[] = [];
  for (const [tensor, raw] of readSafetensors(file).tensors) {
    const name = tensor.startsWith(PREFIX) && KERNEL.exec(tensor.slice(PREFIX.length))?.[1];
    if (name) layers.push({name, shape: raw.shape, values: floatsOf(tensor, raw)});
  }
  const isHead = ({name}: LayerImportance) => Number(/^head\d*$/.test(name));
  const byName = new Intl.Collator('en', {numeric: true}).compare;
  return layers.sort((a, b) => isHead(a) - isHead(b) || byName(a.name, b.name));
}

/** `[fan-in]`: the sum over the last axis. */
export function sumOverUnits({shape, values}: LayerImportance): Float32Array {
  const units = shape.at(-1) ?? 1;
  const sums = new Float32Array(values.length / units);
  values.forEach((value, i) => {
    sums[Math.floor(i / units)] += value;
  });
  return sums;
}
