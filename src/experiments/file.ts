/** An experiment as a JSON file: what is learned, with which network and methods, on which seeds. */
import {createHash} from 'node:crypto';
import {readFile} from 'node:fs/promises';
import {z} from 'zod';
import type {EngramError} from '../errors.js';
import {dataFileError, reasonOf} from '../scenarios/images.js';
import {type MethodSpec, methodOptions} from './methods.js';
import {networkSchema} from './networks.js';
import {sequenceSchema} from './sequence.js';

const count = z.int().min(1);
const rate = z.number().positive();
const seeds = z.array(z.int().min(0)).min(1);

const optimizerSchema = z.discriminatedUnion('kind', [
  z.strictObject({kind: z.literal('sgd'), learningRate: rate}),
  z.strictObject({
    kind: z.literal('momentum'),
    learningRate: rate,
    momentum: z.number().min(0).lt(1),
    useNesterov: z.boolean().optional(),
  }),
  z.strictObject({kind: z.literal('adam'), learningRate: rate}),
  z.strictObject({kind: z.literal('adamw'), learningRate: rate, weightDecay: z.number().min(0).optional()}),
]);

const methodSchema = z.looseObject({
  method: z.string(),
  /** Values that `engram tune` chooses from: option -> values. */
  grid: z.record(z.string(), z.array(z.number()).min(1)).optional(),
  importanceFrom: z.enum(['train', 'test', 'both']).optional(),
  importanceClasses: z.array(z.int().min(0)).min(1).optional(),
});

/** What is measured of a run, as claims name it. */
export const measureNames = [
  'averageAccuracy',
  'forgetting',
  'backwardTransfer',
  'forwardTransfer',
  'intransigence',
  'learningAccuracy',
  'lastTask',
  'focusAccuracy',
  'otherAccuracy',
  'trainingSeconds',
  'methodSeconds',
  'bytes',
] as const;
/** A measure of a run that claims can be about. */
export type MeasureName = (typeof measureNames)[number];

const claimSchema = z.strictObject({
  /** The claim in words. */
  claim: z.string().min(1),
  metric: z.enum(measureNames),
  /** Label of the method of which it is claimed. */
  better: z.string(),
  /** Label of the method that it is compared with; of several, every one must be worse. */
  than: z.union([z.string(), z.array(z.string()).min(1)]),
  /** Which values are better. */
  direction: z.enum(['higher', 'lower']),
});

/** What an experiment is to show of two or more methods. */
export type Claim = z.infer<typeof claimSchema>;

const experimentSchema = z.strictObject({
  title: z.string().min(1),
  /** What the experiment is to show. */
  about: z.string().optional(),
  sequence: sequenceSchema,
  network: networkSchema,
  training: z.strictObject({optimizer: optimizerSchema, batchSize: count, epochs: count}),
  /** By the name that stands in tables and legends. */
  methods: z.record(z.string().min(1), methodSchema),
  seeds,
  /** How the values of grids are chosen: on other seeds, and on the first tasks only. */
  selection: z.strictObject({seeds, tasks: count}).optional(),
  /** Classes, counted in each task from 0, whose accuracy at the end is told beside that of all others. */
  focus: z.array(z.int().min(0)).min(1).optional(),
  /** Figures from elsewhere to stand beside ours, with their source. */
  published: z
    .array(
      z.strictObject({
        label: z.string(),
        source: z.string(),
        /** Fractions, as all accuracies: 0.9 is 90 %. */
        averageAccuracy: z.number().min(0).max(1).optional(),
        forgetting: z.number().min(-1).max(1).optional(),
        note: z.string().optional(),
      }),
    )
    .optional(),
  /** Claims that `engram report` decides by paired differences over the seeds. */
  findings: z.array(claimSchema).optional(),
});

/** An experiment's file, checked: docs/experiments.md tells its fields. */
export type Experiment = z.infer<typeof experimentSchema>;

/**
 * Reads and checks an experiment.
 *
 * @throws EngramError DATA_FILE naming the file and the field that is wrong
 */
export async function readExperiment(file: string): Promise<Experiment> {
  let json: unknown;
  try {
    json = JSON.parse(await readFile(file, 'utf8'));
  } catch (cause) {
    throw dataFileError(file, {
      expected: 'an experiment in JSON',
      received: reasonOf(cause),
      remedy: 'Compare it with a file of the folder experiments.',
      cause,
    });
  }
  return checkExperiment(json, file);
}

/** @throws EngramError DATA_FILE naming the file and the field that is wrong */
export function checkExperiment(json: unknown, file: string): Experiment {
  const experiment = parse(experimentSchema, json, file, []);
  const folders = new Map<string, string>();
  for (const [label, spec] of Object.entries(experiment.methods)) {
    const folder = folderOf(label);
    const other = folders.get(folder);
    if (other !== undefined || folder === '') {
      throw wrongField(file, ['methods', label], 'names that differ in their letters and digits', other ?? label);
    }
    folders.set(folder, label);
    for (const point of points(spec)) parse(methodOptions(spec, file, label), point, file, ['methods', label]);
    if (spec.grid && !experiment.selection) {
      throw wrongField(file, ['selection'], 'the seeds and tasks on which grids are searched', 'none');
    }
  }
  const {selection} = experiment;
  const shared = selection?.seeds.find((seed) => experiment.seeds.includes(seed));
  if (shared !== undefined) {
    throw wrongField(file, ['selection', 'seeds'], 'other seeds than those of the results', `${shared} in both`);
  }
  checkClaims(experiment, file);
  return experiment;
}

/** @throws EngramError DATA_FILE for a claim about a method that there is not, or that is compared with itself */
function checkClaims({methods, findings = []}: Experiment, file: string): void {
  for (const [i, {better, than}] of findings.entries()) {
    const others = [than].flat();
    const at = (key: string) => ['findings', i, key];
    const labels = `labels of methods (${Object.keys(methods).join(', ')})`;
    const unknown = others.find((label) => !Object.hasOwn(methods, label));
    if (!Object.hasOwn(methods, better)) throw wrongField(file, at('better'), labels, better);
    if (unknown !== undefined) throw wrongField(file, at('than'), labels, unknown);
    if (others.includes(better)) throw wrongField(file, at('than'), 'other methods than "better"', better);
  }
}

/** Every setting of a method's grid; the one setting of a method without a grid. */
export function points({grid, importanceFrom: _, importanceClasses: __, ...spec}: MethodSpec): MethodSpec[] {
  let found: MethodSpec[] = [spec as MethodSpec];
  for (const [option, values] of Object.entries(grid ?? {})) {
    found = found.flatMap((point) => values.map((value) => ({...point, [option]: value})));
  }
  return found;
}

/** A label as the name of a folder. */
export function folderOf(label: string): string {
  return label
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .replace(/^-|-$/g, '');
}

/** What must be the same for results to belong together, as 16 hexadecimal digits. */
export function fingerprint(value: unknown): string {
  return createHash('sha256').update(JSON.stringify(value)).digest('hex').slice(0, 16);
}

/** @throws EngramError DATA_FILE */
function parse<T>(schema: z.ZodType<T>, json: unknown, file: string, at: readonly PropertyKey[]): T {
  const parsed = schema.safeParse(json);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw wrongField(file, [...at, ...issue.path], issue.message, undefined);
}

function wrongField(
  file: string,
  path: readonly PropertyKey[],
  problem: string,
  received: string | undefined,
): EngramError {
  const field = path.map(String).join('.') || 'the whole file';
  return dataFileError(file, {
    expected: `a valid field "${field}"`,
    received: received === undefined ? problem : `${received}, where there must be ${problem}`,
    remedy: 'Correct that field; the files of the folder experiments show every one.',
  });
}
