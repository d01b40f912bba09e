/**
 * An accumulation as a file (src/memory/container.ts): `sum_hi.NAME` and `sum_lo.NAME`, and as metadata
 *
 *     format = engram-accumulation   engine = native
 *     phi = abs   output = logits   outputs = all or 0,2   seed = squared-norm or custom
 *     samples = 60000   batches = 938   seconds = 1.5   forward_passes = 940   certificate_seconds = 0.1
 *     variable.0.fingerprint           SHA-256 of its values (src/memory/theta.ts)
 *     variable.0.reached = true        false: no sample reached it, and there are no tensors
 *     variable.0.rule   variable.0.fallback      how its gradients were found; absent where they were not
 *
 * The sum over all samples is sum_hi + sum_lo; divided by samples it is the importance.
 */
import {Container, encodeContainer, type Row, type StoredRow} from './container.js';
import type {VariableId} from './match.js';
import type {Measure} from './measure.js';
import {damaged} from './safetensors-header.js';
import type {HostSum} from './sums.js';
import {type Counts, counts as countNames, type Ways} from './tally.js';

export interface StoredSum extends VariableId, Ways {
  readonly fingerprint: string;
  /** Undefined where no sample reached the variable. */
  readonly sum: HostSum | undefined;
}

export interface AccumulationFile {
  readonly measure: Measure;
  readonly counts: Counts;
  readonly variables: readonly StoredSum[];
}

const format = 'engram-accumulation';
const inFile = (name: string): string => name.replace(/[A-Z]/g, (capital) => `_${capital.toLowerCase()}`);

/** @throws EngramError ARGUMENT for a variable name that no file can hold */
export function encodeAccumulation(
  {measure, counts, variables}: AccumulationFile,
  engine: string,
): Uint8Array<ArrayBuffer> {
  const {phi, output, outputs, seed} = measure;
  const amounts = countNames.map((name) => [inFile(name), String(counts[name])]);
  const settings = {engine, phi, output, outputs: outputs?.join(',') ?? 'all', seed, ...Object.fromEntries(amounts)};
  const rows = variables.map(({fingerprint, rule, fallback, sum, ...id}): Row => {
    const why = fallback?.replaceAll(/\p{Surrogate}/gu, '\ufffd'); // perhaps the words of another's error
    const ways = {...(rule !== null && {rule}), ...(why !== undefined && {fallback: why})};
    return {
      id,
      fields: {fingerprint, reached: String(sum !== undefined), ...ways},
      tensors: sum ? {sum_hi: sum.hi, sum_lo: sum.lo} : {},
    };
  });
  return encodeContainer(format, settings, rows);
}

/** @throws EngramError DATA_FILE for anything that {@link encodeAccumulation} would not have written */
export function decodeAccumulation(bytes: Uint8Array): AccumulationFile {
  const file = new Container(bytes, format);
  const measure: Measure = {
    phi: file.choice('phi', ['abs', 'square', 'identity']),
    output: file.choice('output', ['logits', 'output']),
    outputs: file.text('outputs') === 'all' ? undefined : file.integers('outputs'),
    seed: file.choice('seed', ['squared-norm', 'custom']),
  };
  const isAscending = measure.outputs?.every((index, i, all) => i === 0 || all[i - 1] < index) ?? true;
  if (!isAscending || measure.outputs?.length === 0) throw damaged('outputs in ascending order', file.text('outputs'));
  const counts: Counts = {
    samples: file.integer(inFile('samples')),
    batches: file.integer(inFile('batches')),
    seconds: file.amount(inFile('seconds')),
    forwardPasses: file.integer(inFile('forwardPasses')),
    certificateSeconds: file.amount(inFile('certificateSeconds')),
  };
  if (counts.samples === 0) throw damaged('at least one sample', '0');
  const variables = file.rows.map((row): StoredSum => {
    const {name, original, shape} = row;
    const fingerprint = row.text('fingerprint');
    if (!/^[0-9a-f]{64}$/.test(fingerprint)) {
      throw damaged(`the SHA-256 of "${name}" in 64 hexadecimal digits`, JSON.stringify(fingerprint));
    }
    const optional = (key: string) => (row.has(key) ? row.text(key) : null);
    const sum = row.flag('reached') ? sumOf(row, measure) : undefined;
    return {name, original, shape, fingerprint, rule: optional('rule'), fallback: optional('fallback'), sum};
  });
  file.refuseUnread();
  return {measure, counts, variables};
}

function sumOf(row: StoredRow, {phi}: Measure): HostSum {
  const [hi, lo] = [row.floats('sum_hi'), row.floats('sum_lo')];
  // A negative importance would drive parameters away from their anchor without bound.
  const bad = phi === 'identity' ? -1 : hi.findIndex((value, i) => value + lo[i] < 0);
  if (bad >= 0) throw damaged(`sums of "${row.name}" not to be negative`, String(hi[bad] + lo[bad]));
  return {hi, lo};
}
