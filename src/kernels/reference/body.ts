/** What a reference kernel is: plain loops over arrays, sums in float64. The truth that tests compare against. */
import type {Buffers} from '../engine.js';
import type {KernelName, Params} from '../table.js';

/** Float64Array is for tests that need results before the rounding to 32 bits. */
export type ReferenceArray = Float32Array | Float64Array | Uint32Array | Int32Array;
export type Body<K extends KernelName> = (params: Params<K>, buffers: Buffers<K, ReferenceArray>) => void;
