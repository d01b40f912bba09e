/** `engram inspect`: what a memory, an accumulation or any other safetensors file holds. */
import {type AccumulationFile, decodeAccumulation} from '../memory/accumulation-file.js';
import {decodeMemory, type MemoryFile} from '../memory/memory-file.js';
import {readNamed} from '../memory/named.js';
import {floatsOf, type RawTensor, readSafetensors, type SafetensorsFile} from '../memory/safetensors.js';
import {type Distribution, distributionOf, indexOf, largestOf, logAxis, logHistogram} from '../report/distribution.js';
import {
  type ImportanceInspection,
  type InspectedTensor,
  type InspectedVariable,
  type Inspection,
  inspectionText,
  type TensorsInspection,
  type TopWeight,
} from '../report/inspection.js';

/** How much is shown, and to whom. */
export interface InspectOptions {
  /** How many of the most important weights are listed. */
  top: number;
  /** Prints one JSON object for programs. */
  json?: boolean;
}

/**
 * Prints what the file at `path` holds.
 *
 * @throws EngramError DATA_FILE, with the path, for a file that cannot be read or is damaged
 */
export async function inspect(path: string, {top, json}: InspectOptions): Promise<void> {
  const inspection = await readNamed(path, (bytes) => examine(bytes, top));
  if (json) console.log(JSON.stringify({file: path, ...inspection}, null, 2));
  else console.log(`${path}: ${inspectionText(inspection)}`);
}

/** Everything that is told of a file. */
function examine(bytes: Uint8Array, top: number): Inspection {
  const file = readSafetensors(bytes);
  switch (file.metadata.get('format')) {
    case 'engram-memory':
      return ofMemory(decodeMemory(bytes), top);
    case 'engram-accumulation':
      return ofAccumulation(decodeAccumulation(bytes), file.metadata.get('engine') ?? '', top);
    default:
      return ofTensors(file);
  }
}

/** A variable with its values, where the file has any. */
interface Held {
  readonly variable: Omit<InspectedVariable, 'importance'>;
  readonly importance: Float32Array | undefined;
  readonly anchor?: Float32Array | undefined;
}

function ofMemory({settings, samples, variables}: MemoryFile, top: number): ImportanceInspection {
  const held = variables.map(({name, shape, tasks, inNetwork, held}): Held => {
    return {variable: {name, shape, tasks, inNetwork}, importance: held?.importance, anchor: held?.anchor};
  });
  return {kind: 'memory', settings: {...settings}, samples, ...told(held, top)};
}

function ofAccumulation({measure, counts, variables}: AccumulationFile, engine: string, top: number) {
  const {phi, output, outputs, seed} = measure;
  const {samples, batches, seconds} = counts;
  const held = variables.map(({name, shape, rule, fallback, sum}): Held => {
    const importance = sum?.hi.map((hi, i) => (hi + sum.lo[i]) / samples);
    return {variable: {name, shape, rule, fallback}, importance};
  });
  const settings = {phi, output, outputs: outputs?.join(',') ?? 'all', seed, engine, batches, seconds};
  const inspection: ImportanceInspection = {kind: 'accumulation', settings, samples, ...told(held, top)};
  return inspection;
}

/** What the importance of all variables comes to. */
function told(held: readonly Held[], top: number) {
  const measured = held.filter((one) => one.importance !== undefined);
  const parts = measured.map(({importance}) => importance as Float32Array);
  const total: Distribution = distributionOf(parts);
  const axis = logAxis(parts);
  const variables = held.map(({variable, importance}): InspectedVariable => {
    if (!importance) return {...variable, importance: undefined};
    const own = distributionOf([importance]);
    const histogram = axis ? logHistogram(importance, axis) : [];
    return {...variable, importance: {...own, share: total.sum > 0 ? own.sum / total.sum : 0, histogram}};
  });
  const weights = largestOf(parts, top).map(({part, element, value}): TopWeight => {
    const {variable, anchor} = measured[part];
    const index = indexOf(element, variable.shape);
    return {variable: variable.name, index, importance: value, ...(anchor && {anchor: anchor[element]})};
  });
  return {variables, total, axis, top: weights};
}

function ofTensors({metadata, tensors}: SafetensorsFile): TensorsInspection {
  const told = [...tensors].map(([name, tensor]): InspectedTensor => {
    const {dtype, shape, bytes} = tensor;
    const common = {name, dtype, shape, bytes: bytes.length};
    return dtype === 'F32' && bytes.length > 0 ? {...common, values: valuesOf(name, tensor)} : common;
  });
  return {kind: 'tensors', metadata: Object.fromEntries(metadata), tensors: told};
}

function valuesOf(name: string, tensor: RawTensor): NonNullable<InspectedTensor['values']> {
  let [sum, count, nonfinite] = [0, 0, 0];
  let [min, max] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (const value of floatsOf(name, tensor)) {
    if (!Number.isFinite(value)) {
      nonfinite++;
      continue;
    }
    sum += value;
    count++;
    if (value < min) min = value;
    if (value > max) max = value;
  }
  if (count === 0) return {mean: null, min: null, max: null, nonfinite};
  return {mean: sum / count, min, max, nonfinite};
}
