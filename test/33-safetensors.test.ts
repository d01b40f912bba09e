/** The file format: same content same bytes, every attack refused by name, read alike by a reader that is not ours. */
import {execFileSync} from 'node:child_process';
import {mkdtempSync, rmSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {fileURLToPath} from 'node:url';
import fc from 'fast-check';
import {describe, expect, it} from 'vitest';
import {EngramError} from '../dist/index.js';
import {type FloatTensor, floatsOf, readSafetensors, writeSafetensors} from '../dist/memory/safetensors.js';

const encode = (text: string) => new TextEncoder().encode(text);

/** A file of any header and data, correct or not. */
function file(header: string | Uint8Array, data = 0, length?: bigint): Uint8Array {
  const text = typeof header === 'string' ? encode(header) : header;
  const bytes = new Uint8Array(8 + text.length + data);
  new DataView(bytes.buffer).setBigUint64(0, length ?? BigInt(text.length), true);
  bytes.set(text, 8);
  return bytes;
}

const f32 = (shape: string, begin: number | string, end: number | string) =>
  `{"dtype":"F32","shape":${shape},"data_offsets":[${begin},${end}]}`;

function codeOf(bytes: Uint8Array): string {
  try {
    readSafetensors(bytes);
    return 'read';
  } catch (error) {
    return error instanceof EngramError ? error.code : String(error);
  }
}

const attacks: [string, Uint8Array][] = [
  ['an empty file', new Uint8Array(0)],
  ['seven bytes', new Uint8Array(7)],
  ['eight zeros: a header of length 0', new Uint8Array(8)],
  ['a header longer than the file', file('{}', 0, 3n)],
  ['a header of 100 MB and one byte', file('{}', 0, 100_000_001n)],
  ['a header of 2^53', file('{}', 0, 2n ** 53n)],
  ['a header of 2^64 - 1', file('{}', 0, 2n ** 64n - 1n)],
  ['no "{" at the start', file(' {}')],
  ['a byte order mark', file('\ufeff{}')],
  ['an array', file('[]')],
  ['bad UTF-8', file(Uint8Array.of(0x7b, 0x22, 0xff, 0x22, 0x7d))],
  ['a lone surrogate', file(`{"\\ud800":${f32('[1]', 0, 4)}}`, 4)],
  ['a control character in a name', file(`{"a\nb":${f32('[1]', 0, 4)}}`, 4)],
  ['an unknown escape', file(`{"\\x":${f32('[1]', 0, 4)}}`, 4)],
  ['a header that ends in a string', file('{"a')],
  ['a header that ends after a backslash', file('{"a\\')],
  ['a header that ends after a comma', file(`{"a":${f32('[1]', 0, 4)},`, 4)],
  ['text after the end', file('{}x')],
  ['a zero byte as padding', file('{}\0')],
  ['a name twice', file(`{"a":${f32('[1]', 0, 4)},"a":${f32('[1]', 0, 4)}}`, 4)],
  ['a name twice, once by escapes', file(`{"a":${f32('[1]', 0, 4)},"\\u0061":${f32('[1]', 0, 4)}}`, 4)],
  ['a key of a tensor twice', file('{"a":{"dtype":"F32","dtype":"F32","shape":[1],"data_offsets":[0,4]}}', 4)],
  ['a key of the metadata twice', file('{"__metadata__":{"a":"1","a":"2"}}')],
  ['metadata twice', file('{"__metadata__":{},"__metadata__":{}}')],
  ['metadata that is a number', file('{"__metadata__":{"a":1}}')],
  ['metadata that nests', file('{"__metadata__":{"a":{}}}')],
  ['a tensor called __proto__', file(`{"__proto__":${f32('[1]', 0, 4)}}`, 4)],
  ['metadata called __proto__', file('{"__metadata__":{"__proto__":"x"}}')],
  ['deep nesting', file(`{"a":${'['.repeat(100_000)}`)],
  ['an unknown dtype', file('{"a":{"dtype":"F31","shape":[1],"data_offsets":[0,4]}}', 4)],
  ['the dtype "constructor"', file('{"a":{"dtype":"constructor","shape":[1],"data_offsets":[0,4]}}', 4)],
  ['an unknown key', file('{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4],"x":1}}', 4)],
  ['no shape', file('{"a":{"dtype":"F32","data_offsets":[0,4]}}', 4)],
  ['one offset', file('{"a":{"dtype":"F32","shape":[1],"data_offsets":[4]}}', 4)],
  ['three offsets', file('{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4,8]}}', 4)],
  ['a negative axis', file(`{"a":${f32('[-1]', 0, 4)}}`, 4)],
  ['a fraction', file(`{"a":${f32('[1.0]', 0, 4)}}`, 4)],
  ['an exponent', file(`{"a":${f32('[1e0]', 0, 4)}}`, 4)],
  ['a leading zero', file(`{"a":${f32('[01]', 0, 4)}}`, 4)],
  ['an axis of 2^53', file(`{"a":${f32('[9007199254740992]', 0, 4)}}`, 4)],
  ['a shape that overflows', file(`{"a":${f32('[4294967296,4294967296]', 0, 4)}}`, 4)],
  ['a shape that overflows to 0 in 64 bits', file(`{"a":${f32('[4294967296,4294967296,4]', 0, 0)}}`)],
  ['an overflow behind an axis of 0', file(`{"a":${f32('[0,4294967296,4294967296]', 0, 0)}}`)],
  ['33 axes', file(`{"a":${f32(`[${Array(33).fill(1)}]`, 0, 4)}}`, 4)],
  ['offsets that do not fit the shape', file(`{"a":${f32('[2]', 0, 4)}}`, 4)],
  ['offsets the wrong way round', file(`{"a":${f32('[1]', 4, 0)}}`, 4)],
  ['an offset past the end', file(`{"a":${f32('[2]', 0, 8)}}`, 4)],
  ['an offset of 2^53', file(`{"a":${f32('[1]', '9007199254740988', '9007199254740992')}}`, 4)],
  ['a hole at the start', file(`{"a":${f32('[1]', 4, 8)}}`, 8)],
  ['a hole between', file(`{"a":${f32('[1]', 0, 4)},"b":${f32('[1]', 8, 12)}}`, 12)],
  ['a hole at the end', file(`{"a":${f32('[1]', 0, 4)}}`, 5)],
  ['data without a tensor', file('{}', 4)],
  ['an overlap', file(`{"a":${f32('[2]', 0, 8)},"b":${f32('[2]', 4, 12)}}`, 12)],
  ['two tensors in one place', file(`{"a":${f32('[1]', 0, 4)},"b":${f32('[1]', 0, 4)}}`, 4)],
];

const tensorsOf = (entries: [string, number[], number[]][]) =>
  new Map(
    entries.map(([name, shape, values]): [string, FloatTensor] => [name, {shape, values: Float32Array.of(...values)}]),
  );

const sample = tensorsOf([
  ['b', [2, 2], [1, -0, Number.NaN, Number.NEGATIVE_INFINITY]],
  ['10', [], [3]],
  ['empty', [0, 3], []],
  ['Ω/κernel "quoted"\\', [1], [1e-45]],
]);
const notes = new Map([
  ['version', '1'],
  ['text', 'ä\n"'],
]);

describe('safetensors', () => {
  for (const [what, bytes] of attacks) {
    it(`refuses ${what} with DATA_FILE`, () => expect(codeOf(bytes)).toBe('DATA_FILE'));
  }

  it('reads what the format allows: other types, any order of names, white space, no metadata', () => {
    const header = `{ "b" : ${f32('[1]', 2, 6)},\n"a":{"shape":[2],"data_offsets":[0,2],"dtype":"U8"}}   `;
    const {metadata, tensors} = readSafetensors(file(header, 6));
    expect([...tensors.keys()]).toEqual(['a', 'b']);
    expect(tensors.get('a')).toMatchObject({dtype: 'U8', shape: [2], bytes: new Uint8Array(2)});
    expect(floatsOf('b', tensors.get('b')!)).toEqual(new Float32Array(1)); // data that begin at an odd byte
    expect(() => floatsOf('a', tensors.get('a')!)).toThrow(EngramError);
    expect(metadata.size).toBe(0);
    expect(readSafetensors(file('{}')).tensors.size).toBe(0);
  });

  it('gives back what was written, byte for byte, and the same bytes for the same content', () => {
    const bytes = writeSafetensors(sample, notes);
    const {metadata, tensors} = readSafetensors(Buffer.from(bytes.buffer)); // as Node reads files
    expect(new Map(metadata)).toEqual(notes);
    const again = new Map([...tensors].map(([name, raw]) => [name, {shape: raw.shape, values: floatsOf(name, raw)}]));
    for (const [name, {shape, values}] of sample) {
      expect(again.get(name)!.shape).toEqual(shape);
      expect(new Uint8Array(again.get(name)!.values.buffer)).toEqual(new Uint8Array(values.buffer));
    }
    expect(writeSafetensors(again, metadata)).toEqual(bytes);
    expect(new DataView(bytes.buffer).getUint32(0, true) % 8).toBe(0);
    const reversed = <V>(map: ReadonlyMap<string, V>) => new Map([...map].reverse());
    expect(writeSafetensors(reversed(sample), reversed(notes))).toEqual(bytes);
  });

  it('refuses to write what readers refuse', () => {
    for (const name of ['__proto__', '__metadata__', 'a\ud800']) {
      expect(() => writeSafetensors(tensorsOf([[name, [1], [1]]]), new Map())).toThrow(EngramError);
    }
    expect(() => writeSafetensors(new Map(), new Map([['a', '\udc00']]))).toThrow(EngramError);
  });

  it('is read alike by an independent Python reader', () => {
    const folder = mkdtempSync(join(tmpdir(), 'engram-'));
    try {
      const plain = tensorsOf([
        ['b', [2, 2], [1, -0.1, 1e-45, 3e38]],
        ['Ω/κernel "quoted"\\', [1, 1], [0.5]],
        ['10', [], [3]],
      ]);
      writeFileSync(join(folder, 'a.safetensors'), writeSafetensors(plain, notes));
      const script = fileURLToPath(new URL('./golden/read_safetensors.py', import.meta.url));
      const printed = execFileSync('python3', [script, join(folder, 'a.safetensors')], {encoding: 'utf8'});
      const read = JSON.parse(printed) as {
        metadata: object;
        tensors: Record<string, {shape: number[]; values: number[]}>;
      };
      expect(read.metadata).toEqual(Object.fromEntries(notes));
      expect(Object.keys(read.tensors).sort()).toEqual([...plain.keys()].sort());
      for (const [name, {shape, values}] of plain) {
        expect(read.tensors[name]).toEqual({shape, values: [...values]});
      }
    } finally {
      rmSync(folder, {recursive: true});
    }
  });

  it('answers 10 000 mutated files with a typed error or a valid load', () => {
    const original = writeSafetensors(sample, notes);
    const counts: Record<string, number> = {};
    const headerEnd = 8 + Number(new DataView(original.buffer).getBigUint64(0, true));
    // Mutations fall on the header twice as often as their share: the data may hold anything.
    const at = fc.oneof(fc.nat(headerEnd - 1), fc.nat(original.length - 1));
    const mutation = fc.oneof(
      fc.record({kind: fc.constant('set' as const), at, value: fc.nat(255)}),
      fc.record({kind: fc.constant('flip' as const), at, value: fc.constantFrom(1, 2, 4, 8, 16, 32, 64, 128)}),
      fc.record({kind: fc.constant('insert' as const), at, value: fc.constantFrom(...encode('{}[]",:0129 \\e-.'))}),
      fc.record({kind: fc.constant('remove' as const), at, value: fc.nat(20)}),
      fc.record({kind: fc.constant('cut' as const), at, value: fc.constant(0)}),
      fc.record({kind: fc.constant('copy' as const), at, value: fc.nat(40)}),
    );
    fc.assert(
      fc.property(fc.array(mutation, {minLength: 1, maxLength: 4}), fc.boolean(), (mutations, repair) => {
        let bytes = [...original];
        for (const {kind, at, value} of mutations) {
          if (kind === 'set') bytes[at % bytes.length] = value;
          else if (kind === 'flip') bytes[at % bytes.length] ^= value;
          else if (kind === 'insert') bytes.splice(at, 0, value);
          else if (kind === 'remove') bytes.splice(at, value);
          else if (kind === 'copy') bytes.splice(at, 0, ...bytes.slice(at, at + value));
          else bytes = bytes.slice(0, at);
          if (bytes.length === 0) break;
        }
        const mutated = Uint8Array.from(bytes);
        // With its length repaired, a longer or shorter header is read on instead of being cut off at once.
        if (repair && mutated.length >= 8) {
          const length = Math.max(0, mutated.length - (original.length - headerEnd) - 8);
          new DataView(mutated.buffer).setBigUint64(0, BigInt(length), true);
        }
        const code = codeOf(mutated);
        counts[code] = (counts[code] ?? 0) + 1;
        return code === 'DATA_FILE' || code === 'read';
      }),
      {numRuns: 10_000, seed: 33},
    );
    expect(counts.DATA_FILE).toBeGreaterThan(1000);
    expect(counts.read).toBeGreaterThan(100);
  });
});
