/**
 * A memory as a safetensors file: `importance.NAME` and `anchor.NAME` (F32, shape of the variable), and metadata.
 *
 * Metadata are flat strings, so that a reader in any language needs no second format:
 *
 *     format = engram-memory   format_version = 1   engram = 0.1.0   engine = native
 *     method = mas   lambda = 1   accumulate = sum   output = logits   normalize = false
 *     samples = 60000                  that were measured, over all tasks
 *     variable.0.name   variable.0.original_name   variable.0.shape = 784,100
 *     variable.0.tasks = 2             tasks consolidated; with 0 there are no tensors
 *     variable.0.network = true        belongs to the network in use when saved; false: to another, such as another head
 *
 * Variables of the network come first, in its order, also those that hold nothing: the order is how they are found
 * again under other names.
 */
import {version} from '../version.js';
import type {VariableId} from './match.js';
import {type FloatTensor, floatsOf, readSafetensors, type SafetensorsFile, writeSafetensors} from './safetensors.js';
import {damaged} from './safetensors-header.js';

/** What must be the same for a memory to go on, and what is told for the reader's sake. */
export interface MemorySettings {
  readonly method: string;
  readonly lambda: number;
  readonly accumulate: string;
  readonly output: string;
  readonly normalize: boolean;
  /** Engine that measured or last held the importance. */
  readonly engine: string;
}

export interface StoredVariable extends VariableId {
  /** Whether the network in use when saved had it. */
  readonly inNetwork: boolean;
  readonly tasks: number;
  /** What is held; undefined where no task used the variable. */
  readonly held: {readonly importance: Float32Array; readonly anchor: Float32Array} | undefined;
}

export interface MemoryFile {
  readonly settings: MemorySettings;
  readonly samples: number;
  readonly variables: readonly StoredVariable[];
}

const format = 'engram-memory';
const formatVersion = '1';

/** @throws EngramError ARGUMENT for a variable name that no file can hold */
export function encodeMemory({settings, samples, variables}: MemoryFile): Uint8Array<ArrayBuffer> {
  const metadata = new Map([
    ['format', format],
    ['format_version', formatVersion],
    ['engram', version],
    ['samples', String(samples)],
    ...Object.entries(settings).map(([key, value]): [string, string] => [key, String(value)]),
  ]);
  const tensors = new Map<string, FloatTensor>();
  for (const [i, {name, original, shape, tasks, inNetwork, held}] of variables.entries()) {
    metadata.set(`variable.${i}.name`, name);
    metadata.set(`variable.${i}.original_name`, original);
    metadata.set(`variable.${i}.shape`, shape.join(','));
    metadata.set(`variable.${i}.tasks`, String(tasks));
    metadata.set(`variable.${i}.network`, String(inNetwork));
    if (!held) continue;
    tensors.set(`importance.${name}`, {shape, values: held.importance});
    tensors.set(`anchor.${name}`, {shape, values: held.anchor});
  }
  return writeSafetensors(tensors, metadata);
}

/** @throws EngramError DATA_FILE for anything that {@link encodeMemory} would not have written */
export function decodeMemory(bytes: Uint8Array): MemoryFile {
  const file = readSafetensors(bytes);
  const {metadata, tensors} = file;
  if (metadata.get('format') !== format) throw damaged(`format "${format}"`, JSON.stringify(metadata.get('format')));
  if (metadata.get('format_version') !== formatVersion) {
    throw damaged(`format version ${formatVersion}`, `${metadata.get('format_version')}: perhaps of a newer engram`);
  }
  const text = (key: string): string => {
    const value = metadata.get(key);
    if (value === undefined) throw damaged(`metadata "${key}"`, 'none');
    return value;
  };
  const lambda = Number(text('lambda'));
  if (!(lambda >= 0)) throw damaged('lambda to be a number of at least 0', text('lambda'));
  const settings: MemorySettings = {
    method: text('method'),
    lambda,
    accumulate: text('accumulate'),
    output: text('output'),
    normalize: flag(text('normalize')),
    engine: text('engine'),
  };
  const variables: StoredVariable[] = [];
  const names = new Set<string>();
  while (metadata.has(`variable.${variables.length}.name`)) {
    const key = `variable.${variables.length}`;
    const name = text(`${key}.name`);
    if (names.has(name)) throw damaged('names that come once', JSON.stringify(name));
    names.add(name);
    const shape = shapeOf(text(`${key}.shape`));
    const tasks = integer(text(`${key}.tasks`));
    variables.push({
      name,
      original: text(`${key}.original_name`),
      shape,
      tasks,
      inNetwork: flag(text(`${key}.network`)),
      held: tasks > 0 ? {...heldOf(file, name, shape)} : undefined,
    });
  }
  const known = 2 * variables.filter(({held}) => held).length;
  if (tensors.size !== known) throw damaged(`${known} tensors`, `${tensors.size}`);
  return {settings, samples: integer(text('samples')), variables};
}

function heldOf(file: SafetensorsFile, name: string, shape: number[]) {
  const read = (kind: string): Float32Array => {
    const tensor = file.tensors.get(`${kind}.${name}`);
    if (!tensor) throw damaged(`${kind} of "${name}"`, 'none');
    if (tensor.shape.join() !== shape.join()) {
      throw damaged(`${kind} of "${name}" of shape [${shape}]`, `[${tensor.shape}]`);
    }
    return floatsOf(`${kind}.${name}`, tensor);
  };
  const importance = read('importance');
  const anchor = read('anchor');
  // A negative importance would drive parameters away from their anchor without bound.
  const bad = importance.findIndex((omega) => !(omega >= 0 && omega < Number.POSITIVE_INFINITY));
  if (bad >= 0) throw damaged(`importance of "${name}" to be finite and not negative`, String(importance[bad]));
  const lost = anchor.findIndex((theta) => !Number.isFinite(theta));
  if (lost >= 0) throw damaged(`anchor of "${name}" to be finite`, String(anchor[lost]));
  return {importance, anchor};
}

function integer(text: string): number {
  if (!/^(0|[1-9]\d{0,15})$/.test(text)) throw damaged('an integer in the metadata', JSON.stringify(text));
  return Number(text);
}

const shapeOf = (text: string): number[] => (text === '' ? [] : text.split(',').map(integer));

function flag(text: string): boolean {
  if (text !== 'true' && text !== 'false') throw damaged('true or false in the metadata', JSON.stringify(text));
  return text === 'true';
}
