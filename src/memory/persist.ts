/** Between a memory on the device and the bytes of its file. */
import * as tf from '@tensorflow/tfjs-core';
import {EngramError} from '../errors.js';
import type {Holdings} from './attach.js';
import {matchLoaded, uniqueName, type VariableId, type VariableNames} from './match.js';
import type {Elsewhere, Entry, Memory} from './memory.js';
import {decodeMemory, encodeMemory, type MemorySettings, type StoredVariable} from './memory-file.js';

/** What a file held, and where it found its variables. */
export interface LoadReport {
  /** By variable of the network that now holds something: its name in the file. */
  matched: ReadonlyMap<string, string>;
  /** Variables of the network about which the file says nothing: Omega = 0. */
  fresh: readonly string[];
  /** Names in the file of what was held for other networks; `attach` finds their variables. */
  elsewhere: readonly string[];
  /** Settings of the memory that was saved; of these lambda and engine may differ from the present ones. */
  settings: MemorySettings;
  /** Samples that were measured, over all tasks. */
  samples: number;
}

/**
 * The memory as it is when called, as a safetensors file; training may go on while it is read from the device.
 *
 * @throws EngramError DISPOSED, ARGUMENT for a variable name that no file can hold
 */
export async function memoryToBytes(
  memory: Memory,
  {network, known}: Holdings,
  settings: MemorySettings,
  samples: number,
): Promise<Uint8Array<ArrayBuffer>> {
  const entries = new Map(memory.all());
  const rows: (Omit<StoredVariable, 'held'> & {entry: Entry | undefined})[] = [];
  for (const {name, original, shape} of network) {
    const entry = entries.get(name);
    entries.delete(name);
    rows.push({name, original, shape, inNetwork: true, tasks: entry?.tasks ?? 0, entry});
  }
  for (const [name, entry] of entries) {
    rows.push({...known.get(name)!, shape: entry.anchor.shape, inNetwork: false, tasks: entry.tasks, entry});
  }
  for (const {name, original, entry} of memory.elsewhere) {
    // Its name is of another process; here it may by now mean another variable.
    const unique = uniqueName(name, (taken) => rows.some((row) => row.name === taken));
    rows.push({name: unique, original, shape: entry.anchor.shape, inNetwork: false, tasks: entry.tasks, entry});
  }
  // Clones keep the values alive when the next task replaces the memory's tensors during a read.
  const held = rows.map(({entry}) => entry && {importance: entry.importance.clone(), anchor: entry.anchor.clone()});
  try {
    const variables: StoredVariable[] = [];
    for (const [i, {entry: _, ...row}] of rows.entries()) {
      const tensors = held[i];
      const values = tensors && {
        importance: (await tensors.importance.data()) as Float32Array,
        anchor: (await tensors.anchor.data()) as Float32Array,
      };
      variables.push({...row, held: values});
    }
    return encodeMemory({settings, samples, variables});
  } finally {
    for (const tensors of held) if (tensors) tf.dispose([tensors.importance, tensors.anchor]);
  }
}

/**
 * Replaces the memory's contents by those of a file, under the names of the network's variables. All or nothing.
 *
 * @param settings those of the memory that loads: method, accumulate, output and normalize must be the file's
 * @throws EngramError DATA_FILE, ARGUMENT for other settings, UNKNOWN_VARIABLE, SHAPE, DISPOSED
 */
export function memoryFromBytes(
  memory: Memory,
  bytes: Uint8Array,
  present: readonly VariableId[],
  settings: MemorySettings,
  names: VariableNames = {},
): LoadReport {
  const file = decodeMemory(bytes);
  for (const key of ['method', 'accumulate', 'output', 'normalize'] as const) {
    if (file.settings[key] === settings[key]) continue;
    throw new EngramError('ARGUMENT', {
      expected: `a memory with ${key}: ${settings[key]}`,
      received: `one that was saved with ${key}: ${file.settings[key]}`,
      remedy: 'Construct with the settings of the file: importance of different kinds does not add up.',
    });
  }
  const pairs = matchLoaded(
    file.variables.filter(({inNetwork}) => inNetwork),
    present,
    names,
  );
  void memory.all(); // throws DISPOSED before anything is allocated
  const entries = new Map<string, Entry>();
  const elsewhere: Elsewhere[] = [];
  const created: tf.Tensor[] = [];
  const make = ({shape, tasks, held}: StoredVariable): Entry => {
    const [importance, anchor] = [held!.importance, held!.anchor].map((values) => {
      const tensor = tf.keep(tf.tensor(values, [...shape], 'float32'));
      created.push(tensor);
      return tensor;
    });
    return {importance, anchor, tasks};
  };
  try {
    for (const [name, stored] of pairs) if (stored.held) entries.set(name, make(stored));
    for (const stored of file.variables) {
      if (stored.inNetwork || !stored.held) continue;
      const {original} = stored;
      // The file's name may mean another variable in this process.
      const name = uniqueName(stored.name, (taken) => present.some((variable) => variable.name === taken));
      elsewhere.push({name, original, entry: make(stored)});
    }
  } catch (error) {
    tf.dispose(created);
    throw error;
  }
  memory.replace(entries, elsewhere);
  return {
    matched: new Map([...pairs].filter(([, {held}]) => held).map(([name, stored]) => [name, stored.name])),
    fresh: present.filter(({name}) => !entries.has(name)).map(({name}) => name),
    elsewhere: elsewhere.map(({name}) => name),
    settings: file.settings,
    samples: file.samples,
  };
}
