/**
 * A memory as a file (src/memory/container.ts): `importance.NAME` and `anchor.NAME`, and as metadata
 *
 *     format = engram-memory   engine = native
 *     method = mas   lambda = 1   accumulate = sum   output = logits   normalize = false
 *     samples = 60000                  that were measured, over all tasks
 *     variable.0.tasks = 2             tasks consolidated; with 0 there are no tensors
 *     variable.0.network = true        belongs to the network in use when saved; false: to another, such as another head
 *
 * Variables of the network come first, in its order, also those that hold nothing: the order is how they are found
 * again under other names.
 */
import {Container, encodeContainer, type Row, type StoredRow} from './container.js';
import type {VariableId} from './match.js';
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

/** @throws EngramError ARGUMENT for a variable name that no file can hold */
export function encodeMemory({settings, samples, variables}: MemoryFile): Uint8Array<ArrayBuffer> {
  const texts = Object.entries(settings).map(([key, value]) => [key, String(value)]);
  const rows = variables.map(({tasks, inNetwork, held, ...id}): Row => {
    return {id, fields: {tasks: String(tasks), network: String(inNetwork)}, tensors: {...held}};
  });
  return encodeContainer(format, {samples: String(samples), ...Object.fromEntries(texts)}, rows);
}

/** @throws EngramError DATA_FILE for anything that {@link encodeMemory} would not have written */
export function decodeMemory(bytes: Uint8Array): MemoryFile {
  const file = new Container(bytes, format);
  const settings: MemorySettings = {
    method: file.text('method'),
    lambda: file.amount('lambda'),
    accumulate: file.text('accumulate'),
    output: file.text('output'),
    normalize: file.flag('normalize'),
    engine: file.text('engine'),
  };
  const variables = file.rows.map((row): StoredVariable => {
    const {name, original, shape} = row;
    const tasks = row.integer('tasks');
    const held = tasks > 0 ? heldOf(row) : undefined;
    return {name, original, shape, tasks, inNetwork: row.flag('network'), held};
  });
  file.refuseUnread();
  return {settings, samples: file.integer('samples'), variables};
}

function heldOf(row: StoredRow) {
  const importance = row.floats('importance');
  // A negative importance would drive parameters away from their anchor without bound.
  const bad = importance.find((omega) => omega < 0);
  if (bad !== undefined) throw damaged(`importance of "${row.name}" not to be negative`, String(bad));
  return {importance, anchor: row.floats('anchor')};
}
