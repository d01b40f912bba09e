/**
 * The JSON header of a safetensors file, read by its own grammar.
 *
 * Not `JSON.parse`: it keeps the last of two equal keys in silence, treats `__proto__` and numeric keys specially, and
 * builds whatever nests in a hostile header. This reader knows two levels, refuses everything else where it stands, and
 * allocates no more than the strings that it keeps.
 */
import {EngramError} from '../errors.js';

export interface TensorInfo {
  readonly dtype: string;
  readonly shape: number[];
  /** First byte, and the one after the last, counted from the start of the data. */
  readonly begin: number;
  readonly end: number;
}

export interface Header {
  readonly metadata: Map<string, string>;
  readonly tensors: Map<string, TensorInfo>;
}

/** The error that every defect of a file becomes. */
export function damaged(expected: string, received: string, cause?: unknown): EngramError {
  const remedy = 'The file is not what engram saved: save it again, or load another copy.';
  return new EngramError('DATA_FILE', {expected, received, remedy, cause});
}

/** A lone surrogate, which UTF-8 cannot express. */
export const loneSurrogate = /\p{Surrogate}/u;

/** Bytes per element of every type that the format knows and that fills whole bytes. */
const bytesOf: ReadonlyMap<string, number> = new Map([
  ...['BOOL', 'U8', 'I8', 'F8_E5M2', 'F8_E4M3', 'F8_E8M0'].map((dtype) => [dtype, 1] as const),
  ...['I16', 'U16', 'F16', 'BF16'].map((dtype) => [dtype, 2] as const),
  ...['I32', 'U32', 'F32'].map((dtype) => [dtype, 4] as const),
  ...['I64', 'U64', 'F64', 'C64'].map((dtype) => [dtype, 8] as const),
]);

/** TensorFlow.js has no tensor of more axes; a longer shape is an attack on memory. */
const mostAxes = 32;

/** Reads the header's text; trailing spaces are padding. Offsets are not yet checked against each other. */
export function readHeader(text: string): Header {
  if (text[0] !== '{') throw damaged('a header that starts with "{"', JSON.stringify(text.slice(0, 1)));
  const reader = new Reader(text);
  let metadata: Map<string, string> | undefined;
  const tensors = new Map<string, TensorInfo>();
  reader.object((name) => {
    if (name === '__metadata__') metadata = readMetadata(reader);
    else tensors.set(name, readTensor(reader, name));
  });
  reader.finish();
  return {metadata: metadata ?? new Map(), tensors};
}

function readMetadata(reader: Reader): Map<string, string> {
  const metadata = new Map<string, string>();
  reader.object((key) => metadata.set(key, reader.string()));
  return metadata;
}

function readTensor(reader: Reader, name: string): TensorInfo {
  let dtype: string | undefined;
  let shape: number[] | undefined;
  let offsets: number[] | undefined;
  reader.object((key) => {
    if (key === 'dtype') dtype = reader.string();
    else if (key === 'shape') shape = reader.integers(mostAxes);
    else if (key === 'data_offsets') offsets = reader.integers(2);
    else throw damaged(`dtype, shape and data_offsets of "${name}"`, `"${key}"`);
  });
  if (dtype === undefined || !shape || offsets?.length !== 2) {
    throw damaged(`dtype, shape and two data_offsets of "${name}"`, 'less');
  }
  const elementBytes = bytesOf.get(dtype);
  if (elementBytes === undefined) throw damaged(`a known dtype of "${name}"`, JSON.stringify(dtype));
  // An axis of 0 must not hide an overflow of the others.
  const largest = shape.reduce((product, axis) => product * Math.max(axis, 1), elementBytes);
  if (!Number.isSafeInteger(largest)) throw damaged(`"${name}" to have fewer than 2^53 bytes`, `shape [${shape}]`);
  const size = shape.includes(0) ? 0 : largest;
  const [begin, end] = offsets;
  if (end - begin !== size) throw damaged(`${size} bytes for "${name}"`, `bytes ${begin} to ${end}`);
  return {dtype, shape, begin, end};
}

/** Steps through JSON text. Every method throws DATA_FILE where the text is not what it reads. */
class Reader {
  private at = 0;

  constructor(private readonly text: string) {}

  /** An object; `member` reads the value of each key. A key that comes twice is refused. */
  object(member: (key: string) => void): void {
    const keys = new Set<string>();
    this.list('{', '}', () => {
      const key = this.string();
      if (key === '__proto__' || keys.has(key)) throw damaged('keys that come once', JSON.stringify(key));
      keys.add(key);
      this.expect(':');
      member(key);
    });
  }

  /** At most `most` integers from 0 to 2^53 - 1. */
  integers(most: number): number[] {
    const integers: number[] = [];
    this.list('[', ']', () => {
      if (integers.length === most) throw damaged(`at most ${most} numbers`, 'more');
      integers.push(this.integer());
    });
    return integers;
  }

  string(): string {
    this.skipSpace();
    const start = this.at;
    this.expect('"');
    for (; this.text[this.at] !== '"'; this.at++) {
      if (this.at >= this.text.length) throw this.unexpected('"');
      if (this.text[this.at] === '\\') this.at++;
    }
    this.at++;
    try {
      const value = JSON.parse(this.text.slice(start, this.at)) as string; // checks escapes and control characters
      if (!loneSurrogate.test(value)) return value;
    } catch (cause) {
      throw damaged('a JSON string', `one that is malformed at character ${start} of the header`, cause);
    }
    throw damaged('well-formed Unicode', `a lone surrogate at character ${start} of the header`);
  }

  /** Only padding may follow. */
  finish(): void {
    while (this.text[this.at] === ' ') this.at++;
    if (this.at < this.text.length) throw this.unexpected('spaces up to the end of the header');
  }

  private integer(): number {
    this.skipSpace();
    const number = /(?:0|[1-9][0-9]{0,15})(?![0-9.eE])/y;
    number.lastIndex = this.at;
    const value = Number(number.exec(this.text)?.[0] ?? Number.NaN);
    if (!Number.isSafeInteger(value)) throw this.unexpected('an integer from 0 to 2^53 - 1');
    this.at = number.lastIndex;
    return value;
  }

  private list(open: string, close: string, item: () => void): void {
    this.expect(open);
    this.skipSpace();
    if (this.text[this.at] !== close) {
      for (;;) {
        item();
        this.skipSpace();
        if (this.text[this.at] === close) break;
        this.expect(',');
      }
    }
    this.at++;
  }

  private expect(character: string): void {
    this.skipSpace();
    if (this.text[this.at] !== character) throw this.unexpected(JSON.stringify(character));
    this.at++;
  }

  private skipSpace(): void {
    while (/[ \t\n\r]/.test(this.text[this.at] ?? '')) this.at++;
  }

  private unexpected(expected: string): Error {
    const found = this.at < this.text.length ? JSON.stringify(this.text[this.at]) : 'its end';
    return damaged(`${expected} at character ${this.at} of the header`, found);
  }
}
