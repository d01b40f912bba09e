/** What a file holds, as text: a memory or an accumulation with its importance, or any tensors. */
import Table from 'cli-table3';
import type {Distribution, LogAxis} from './distribution.js';

/** One variable of a memory or an accumulation. */
export interface InspectedVariable {
  readonly name: string;
  readonly shape: readonly number[];
  /** Of a memory: tasks consolidated. */
  readonly tasks?: number;
  /** Of a memory: whether the network in use when it was saved had the variable. */
  readonly inNetwork?: boolean;
  /** Of an accumulation: rule by which its gradients were found, or null. */
  readonly rule?: string | null;
  /** Of an accumulation: why the batch-of-one loop was used, or null. */
  readonly fallback?: string | null;
  /** Undefined where the file holds nothing of the variable. */
  readonly importance: InspectedImportance | undefined;
}

export interface InspectedImportance extends Distribution {
  /** Of the importance of all variables, 0..1. */
  readonly share: number;
  /** By the bins of {@link ImportanceInspection.axis}; empty where all importance is 0. */
  readonly histogram: readonly number[];
}

/** One of the most important weights. */
export interface TopWeight {
  readonly variable: string;
  readonly index: readonly number[];
  readonly importance: number;
  /** Of a memory: theta*, the value that the penalty draws the weight to. */
  readonly anchor?: number;
}

/** A memory or an accumulation. */
export interface ImportanceInspection {
  readonly kind: 'memory' | 'accumulation';
  readonly settings: Readonly<Record<string, string | number | boolean>>;
  readonly samples: number;
  readonly variables: readonly InspectedVariable[];
  /** Of all variables together. */
  readonly total: Distribution;
  /** log10 of the importance; undefined where all of it is 0. */
  readonly axis: LogAxis | undefined;
  readonly top: readonly TopWeight[];
}

/** A tensor of any other file. */
export interface InspectedTensor {
  readonly name: string;
  readonly dtype: string;
  readonly shape: readonly number[];
  /** In the file. */
  readonly bytes: number;
  /** Of F32 tensors that are not empty: over the finite values, null if there are none. */
  readonly values?: {mean: number | null; min: number | null; max: number | null; nonfinite: number};
}

/** Any other safetensors file. */
export interface TensorsInspection {
  readonly kind: 'tensors';
  readonly metadata: Readonly<Record<string, string>>;
  readonly tensors: readonly InspectedTensor[];
}

export type Inspection = ImportanceInspection | TensorsInspection;

/** Names come from a file: what would steer a terminal is shown by its code. */
const plain = (text: string): string =>
  text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, (character) => `\\u{${character.codePointAt(0)?.toString(16)}}`);
const list = (entries: object): string =>
  Object.entries(entries)
    .map(([key, value]) => plain(`${key} ${typeof value === 'number' ? Number(value.toPrecision(6)) : value}`))
    .join(', ');
const axes = (shape: readonly number[]): string => (shape.length === 0 ? 'scalar' : shape.join(' × '));
const percent = (share: number): string => `${(100 * share).toFixed(1)} %`;
/** Three digits, with a power of ten where there would be many zeros. */
const short = (value: number | null): string => {
  if (value === null) return '';
  return value !== 0 && (Math.abs(value) < 1e-3 || Math.abs(value) >= 1e5)
    ? value.toExponential(2)
    : String(Number(value.toPrecision(3)));
};
const counted = (count: number, thing: string): string => `${count} ${thing}${count === 1 ? '' : 's'}`;

/** The text that `engram inspect` prints. */
export function inspectionText(inspection: Inspection): string {
  return inspection.kind === 'tensors' ? tensorsText(inspection) : importanceText(inspection);
}

function importanceText(inspection: ImportanceInspection): string {
  const {kind, settings, samples, variables, total, axis} = inspection;
  const lines = [`${kind} of ${counted(samples, 'sample')}, ${counted(total.parameters, 'parameter')} with importance`];
  if (kind === 'memory') {
    const most = Math.max(0, ...variables.map(({tasks}) => tasks ?? 0));
    lines.push(`tasks consolidated: ${most === 0 ? 'none' : most}`);
  }
  lines.push(list(settings), variableTable(inspection));
  lines.push('share: of the importance of all variables; 90 % in: the fewest parameters that carry 90 % of it');
  if (axis) {
    const {low, bins} = axis;
    lines.push(`log10 Ω: parameters from 10^${low} (or less) to 10^${low + bins / 2}, two bins a power of ten`);
  }
  const elsewhere = variables.filter(({inNetwork}) => inNetwork === false);
  if (elsewhere.length > 0) lines.push('* of a network other than the one in use when saved');
  for (const {name, fallback} of variables) {
    if (fallback) lines.push(plain(`${name}: one sample at a time, for ${fallback}`));
  }
  if (inspection.top.length > 0) lines.push('', 'The most important weights', topTable(inspection));
  return lines.join('\n');
}

function variableTable({kind, variables, total, axis}: ImportanceInspection): string {
  const how = kind === 'memory' ? 'tasks' : 'rule';
  const head = ['variable', 'shape', how, 'mean Ω', 'max Ω', 'zero', 'share', '90 % in', 'log10 Ω'];
  const table = new Table({
    head: axis ? head : head.slice(0, -1),
    colAligns: ['left', 'left', kind === 'memory' ? 'right' : 'left', 'right', 'right', 'right', 'right', 'right'],
    style: {head: [], border: [], compact: true},
  });
  const numbers = ({parameters, mean, max, zeros, carriers}: Distribution, share: number) => [
    short(mean),
    short(max),
    percent(zeros / Math.max(parameters, 1)),
    percent(share),
    percent(carriers / Math.max(parameters, 1)),
  ];
  for (const {name, shape, tasks, rule, fallback, inNetwork, importance} of variables) {
    const way = tasks ?? rule ?? (fallback ? 'fallback' : '');
    const cells = importance
      ? [...numbers(importance, importance.share), bars(importance.histogram)]
      : Array(6).fill('');
    const row = [`${plain(name)}${inNetwork === false ? ' *' : ''}`, axes(shape), plain(String(way)), ...cells];
    table.push(axis ? row : row.slice(0, -1));
  }
  const row = ['all', String(total.parameters), '', ...numbers(total, total.sum > 0 ? 1 : 0), ''];
  table.push(axis ? row : row.slice(0, -1));
  return table.toString();
}

/** One character for each bin, as high as its count; a bin that has any is never empty. */
function bars(counts: readonly number[]): string {
  const most = Math.max(...counts, 1);
  return counts.map((count) => ' ▁▂▃▄▅▆▇█'[Math.ceil((8 * count) / most)]).join('');
}

function topTable({kind, top}: ImportanceInspection): string {
  const head = ['', 'variable', 'index', 'Ω', 'anchor θ*'];
  const table = new Table({
    head: kind === 'memory' ? head : head.slice(0, -1),
    colAligns: ['right', 'left', 'left', 'right', 'right'],
    style: {head: [], border: [], compact: true},
  });
  for (const [rank, {variable, index, importance, anchor}] of top.entries()) {
    const row = [String(rank + 1), plain(variable), `[${index.join(', ')}]`, short(importance)];
    table.push(anchor === undefined ? row : [...row, short(anchor)]);
  }
  return table.toString();
}

function tensorsText({metadata, tensors}: TensorsInspection): string {
  const bytes = tensors.reduce((sum, tensor) => sum + tensor.bytes, 0);
  const lines = [`safetensors, not of this library: ${counted(tensors.length, 'tensor')}, ${counted(bytes, 'byte')}`];
  if (Object.keys(metadata).length > 0) lines.push(list(metadata));
  if (tensors.length === 0) return lines.join('\n');
  const table = new Table({
    head: ['tensor', 'dtype', 'shape', 'bytes', 'mean', 'min', 'max', 'not finite'],
    colAligns: ['left', 'left', 'left', 'right', 'right', 'right', 'right', 'right'],
    style: {head: [], border: [], compact: true},
  });
  for (const {name, dtype, shape, bytes, values} of tensors) {
    const numbers = values
      ? [short(values.mean), short(values.min), short(values.max), values.nonfinite || '']
      : Array(4).fill('');
    table.push([plain(name), dtype, axes(shape), bytes, ...numbers]);
  }
  lines.push(table.toString());
  return lines.join('\n');
}
