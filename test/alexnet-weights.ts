/** The weights of test/golden/alexnet.py, made again: 61 million of them, from their names and places. */
import {readFileSync} from 'node:fs';
import {type FloatTensor, writeSafetensors} from '../dist/memory/safetensors.js';

/** One stage of the network, in torchvision's order and without the axis of the batch. */
interface Stage {
  name: string;
  shape: number[];
  mean: number;
  norm: number;
  /** Units that are written down, and their values. */
  places: number[];
  values: number[];
}

interface AlexNetGolden {
  shapes: Record<string, number[]>;
  /** First values of two tensors: proof that both languages hash alike. */
  first: Record<string, number[]>;
  stages: Stage[];
}

export const golden: AlexNetGolden = JSON.parse(
  readFileSync(new URL('./golden/alexnet.json', import.meta.url), 'utf8'),
);

/** `values` of alexnet.py: uniform in [-scale, scale), from a hash of the name and the place. */
export function hashed(name: string, count: number, scale: number): Float32Array {
  let start = 2166136261;
  for (const byte of new TextEncoder().encode(name)) start = Math.imul(start ^ byte, 16777619);
  const values = new Float32Array(count);
  const step = scale / 2 ** 23;
  for (let i = 0; i < count; i++) {
    let x = (Math.imul(i, 0x9e3779b9) + start) | 0;
    x = Math.imul(x ^ (x >>> 16), 0x85ebca6b);
    x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35);
    x ^= x >>> 16;
    values[i] = ((x >>> 8) - 2 ** 23) * step;
  }
  return values;
}

/** The state_dict of alexnet.py as a safetensors file of 244 MB. */
export function alexnetFile(): Uint8Array {
  const tensors = new Map<string, FloatTensor>();
  for (const [name, shape] of Object.entries(golden.shapes)) {
    const fanIn = shape.slice(1).reduce((product, axis) => product * axis, 1);
    const scale = shape.length > 1 ? (6 / fanIn) ** 0.5 : 0.1;
    const count = shape[0] * fanIn;
    tensors.set(name, {shape, values: hashed(name, count, scale)});
  }
  return writeSafetensors(tensors, new Map([['format', 'pt']]));
}
