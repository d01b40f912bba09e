/**
 * What all files of this library have in common: safetensors, with flat strings as metadata, so that a reader in any
 * language needs no second format:
 *
 *     format = engram-memory   format_version = 1   engram = 0.1.0
 *     variable.0.name   variable.0.original_name   variable.0.shape = 784,100
 *
 * and per variable tensors KIND.NAME (F32, shape of the variable). Further keys are the format's own; variables come in
 * the order of the network, which is how they are found again under other names.
 */
import {version} from '../version.js';
import type {VariableId} from './match.js';
import {type FloatTensor, floatsOf, readSafetensors, type SafetensorsFile, writeSafetensors} from './safetensors.js';
import {damaged} from './safetensors-header.js';

const formatVersion = '1';

/** A variable to be written: its own metadata, and its tensors by kind. */
export interface Row {
  readonly id: VariableId;
  readonly fields: Readonly<Record<string, string>>;
  readonly tensors: Readonly<Record<string, Float32Array>>;
}

/** @throws EngramError ARGUMENT for a variable name that no file can hold */
export function encodeContainer(
  format: string,
  settings: Readonly<Record<string, string>>,
  rows: readonly Row[],
): Uint8Array<ArrayBuffer> {
  const metadata = new Map([
    ['format', format],
    ['format_version', formatVersion],
    ['engram', version],
    ...Object.entries(settings),
  ]);
  const tensors = new Map<string, FloatTensor>();
  for (const [i, {id, fields, tensors: kinds}] of rows.entries()) {
    const {name, original, shape} = id;
    const own = {name, original_name: original, shape: shape.join(','), ...fields};
    for (const [key, value] of Object.entries(own)) metadata.set(`variable.${i}.${key}`, value);
    for (const [kind, values] of Object.entries(kinds)) tensors.set(`${kind}.${name}`, {shape, values});
  }
  return writeSafetensors(tensors, metadata);
}

/** Reads metadata, each under a prefix. Every method throws DATA_FILE where the file is not what it reads. */
class Fields {
  constructor(
    private readonly metadata: ReadonlyMap<string, string>,
    private readonly prefix = '',
  ) {}

  has(key: string): boolean {
    return this.metadata.has(this.prefix + key);
  }

  text(key: string): string {
    const value = this.metadata.get(this.prefix + key);
    if (value === undefined) throw damaged(`metadata "${this.prefix}${key}"`, 'none');
    return value;
  }

  choice<T extends string>(key: string, allowed: readonly T[]): T {
    const value = this.text(key);
    if (!allowed.includes(value as T))
      throw damaged(`${key} to be one of ${allowed.join(', ')}`, JSON.stringify(value));
    return value as T;
  }

  flag(key: string): boolean {
    return this.choice(key, ['true', 'false']) === 'true';
  }

  integer(key: string): number {
    return integer(this.text(key));
  }

  integers(key: string): number[] {
    const text = this.text(key);
    return text === '' ? [] : text.split(',').map(integer);
  }

  /** A finite number of at least 0. */
  amount(key: string): number {
    const text = this.text(key);
    const value = Number(text);
    if (text.trim() === '' || !(value >= 0 && value < Number.POSITIVE_INFINITY)) {
      throw damaged(`${key} to be a finite number of at least 0`, JSON.stringify(text));
    }
    return value;
  }
}

/** A variable as read. */
export class StoredRow extends Fields implements VariableId {
  readonly name = this.text('name');
  readonly original = this.text('original_name');
  readonly shape = this.integers('shape');

  constructor(
    private readonly file: SafetensorsFile,
    private readonly read: Set<string>,
    index: number,
  ) {
    super(file.metadata, `variable.${index}.`);
  }

  /** The values of one kind, all finite. */
  floats(kind: string): Float32Array {
    const key = `${kind}.${this.name}`;
    const tensor = this.file.tensors.get(key);
    if (!tensor) throw damaged(`${kind} of "${this.name}"`, 'none');
    if (tensor.shape.join() !== this.shape.join()) {
      throw damaged(`${kind} of "${this.name}" of shape [${this.shape}]`, `[${tensor.shape}]`);
    }
    this.read.add(key);
    const values = floatsOf(key, tensor);
    const lost = values.findIndex((value) => !Number.isFinite(value));
    if (lost >= 0) throw damaged(`${kind} of "${this.name}" to be finite`, String(values[lost]));
    return values;
  }
}

/** A file as read. */
export class Container extends Fields {
  readonly rows: readonly StoredRow[];
  private readonly file: SafetensorsFile;
  private readonly read = new Set<string>();

  /** @throws EngramError DATA_FILE for another format, and for anything that {@link encodeContainer} would not write */
  constructor(bytes: Uint8Array, format: string) {
    const file = readSafetensors(bytes);
    super(file.metadata);
    this.file = file;
    this.choice('format', [format]);
    const found = this.text('format_version');
    if (found !== formatVersion)
      throw damaged(`format version ${formatVersion}`, `${found}: perhaps of a newer engram`);
    const rows: StoredRow[] = [];
    const names = new Set<string>();
    while (this.has(`variable.${rows.length}.name`)) {
      const row = new StoredRow(file, this.read, rows.length);
      if (names.has(row.name)) throw damaged('names that come once', JSON.stringify(row.name));
      names.add(row.name);
      rows.push(row);
    }
    this.rows = rows;
    const stray = [...file.metadata.keys()].find((key) => {
      const [kind, index] = key.split('.', 2);
      return kind === 'variable' && !(Number(index) < rows.length);
    });
    if (stray !== undefined)
      throw damaged(`variables from 0 to ${rows.length - 1}`, `metadata ${JSON.stringify(stray)}`);
  }

  /** To be called at the end: a tensor that nobody asked for is a defect. */
  refuseUnread(): void {
    const unread = [...this.file.tensors.keys()].find((key) => !this.read.has(key));
    if (unread !== undefined) throw damaged(`${this.read.size} tensors`, `also ${JSON.stringify(unread)}`);
  }
}

function integer(text: string): number {
  if (!/^(0|[1-9]\d{0,15})$/.test(text) || !Number.isSafeInteger(Number(text))) {
    throw damaged('an integer in the metadata', JSON.stringify(text));
  }
  return Number(text);
}
