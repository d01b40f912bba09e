/** Task sequences by the name that an experiment gives them. */
import {resolve} from 'node:path';
import {z} from 'zod';
import {limit} from '../scenarios/choose.js';
import {loadDigits} from '../scenarios/digits.js';
import {eightTasks} from '../scenarios/eight-tasks.js';
import {loadFashionMnist} from '../scenarios/fashion-mnist.js';
import {loadImageFolder} from '../scenarios/folders.js';
import {type EmnistSplit, loadEmnist, loadMnist} from '../scenarios/mnist.js';
import {sequenceOf} from '../scenarios/sequence-of.js';
import {
  type ImagesToSplit,
  permutedTasks,
  rotatedTasks,
  type Samples,
  splitTasks,
  type TaskSequence,
} from '../scenarios/sequences.js';
import {normalisedView} from '../scenarios/views.js';

const count = z.int().min(1);
const scenario = z.enum(['task-incremental', 'domain-incremental', 'class-incremental']);
const emnist = ['emnist-balanced', 'emnist-letters', 'emnist-digits'] as const;
const withTestSet = ['fashion-mnist', 'mnist', ...emnist] as const;
/** Numbers for each channel. */
const perChannel = z.array(z.number()).min(1).max(3);

/** How many images of a task are taken, drawn by the run's seed with classes in balance; default all. */
const share = {trainPerTask: count.optional(), testPerTask: count.optional()};

export const sequenceSchema = z.discriminatedUnion('kind', [
  z.strictObject({kind: z.literal('permuted'), data: z.enum(['digits', ...withTestSet]), tasks: count, ...share}),
  z.strictObject({
    kind: z.literal('rotated'),
    data: z.enum(['digits', ...withTestSet]),
    /** One a task, counterclockwise. */
    degrees: z.array(z.number()).min(1),
    ...share,
  }),
  z.strictObject({
    kind: z.literal('split'),
    data: z.enum(withTestSet),
    tasks: count,
    classesPerTask: count.optional(),
    scenario,
    ...share,
  }),
  /** Folders of images, one for each task, in the folder of the data: see loadImageFolder(). */
  z.strictObject({
    kind: z.literal('folders'),
    tasks: z.array(z.strictObject({name: z.string().min(1), folder: z.string().min(1)})).min(1),
    height: count,
    width: count,
    channels: z.union([z.literal(1), z.literal(3)]),
    scenario: z.enum(['task-incremental', 'class-incremental']),
    /** Every channel less its mean, over its standard deviation. */
    normalise: z.strictObject({mean: perChannel, std: perChannel}).optional(),
    ...share,
  }),
  /** Clothes, digits and letters of five scripts, 32x32: see eightTasks(). */
  z.strictObject({
    kind: z.literal('eight-tasks'),
    scenario: z.enum(['task-incremental', 'class-incremental']),
    ...share,
  }),
]);

export type SequenceSpec = z.infer<typeof sequenceSchema>;

/** Where the data are, and what stops or shows a download. */
export interface SequenceSource {
  /** Folder of the data. */
  readonly folder?: string | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Called as a download goes on: bytes that are here, of how many. */
  readonly onDownload?: ((received: number, total: number) => void) | undefined;
}

/**
 * Makes sure that the data are there before any process needs them, and fetches what may be fetched.
 *
 * @throws EngramError DATA_FILE for data that are missing or damaged
 */
export async function ensureData(spec: SequenceSpec, source: SequenceSource): Promise<void> {
  if ('data' in spec) await load(spec.data, source);
}

/**
 * Loads the data and makes the tasks.
 *
 * @param seed decides permutations, splits and which images are taken
 * @throws EngramError DATA_FILE for data that are missing or damaged, ARGUMENT for more tasks than the data have
 */
export async function makeSequence(spec: SequenceSpec, seed: number, source: SequenceSource): Promise<TaskSequence> {
  const sequence = await wholeSequence(spec, seed, source);
  const {trainPerTask, testPerTask} = spec;
  const part = (samples: Samples, most: number | undefined, name: string) =>
    most === undefined ? samples : limit(samples, most, `${seed}/${name}`);
  const tasks = sequence.tasks.map((task, i) => ({
    ...task,
    train: part(task.train, trainPerTask, `task ${i}/train`),
    test: part(task.test, testPerTask, `task ${i}/test`),
  }));
  return {...sequence, tasks};
}

async function wholeSequence(spec: SequenceSpec, seed: number, source: SequenceSource): Promise<TaskSequence> {
  switch (spec.kind) {
    case 'permuted':
      return permutedTasks(`Permuted ${spec.data}`, await load(spec.data, source), spec.tasks, seed);
    case 'rotated':
      return rotatedTasks(`Rotated ${spec.data}`, await load(spec.data, source), spec.degrees, seed);
    case 'split': {
      const {data, tasks, scenario, classesPerTask} = spec;
      return splitTasks(`Split ${data}`, await loadSet(data, source), tasks, scenario, classesPerTask);
    }
    case 'eight-tasks': {
      const {scenario, trainPerTask, testPerTask} = spec;
      return eightTasks({scenario, seed, trainPerTask, testPerTask, signal: source.signal});
    }
    case 'folders': {
      const {height, width, channels, scenario, normalise} = spec;
      const sets = await Promise.all(
        spec.tasks.map(async ({name, folder}) => {
          const path = resolve(source.folder ?? '.', folder);
          return {name, ...(await loadImageFolder(path, {height, width, channels, seed}))};
        }),
      );
      const sequence = sequenceOf('Image folders', sets, {height, width, channels, scenario, seed});
      if (!normalise) return sequence;
      const view = normalisedView(normalise, channels);
      const seen = (samples: Samples) => ({...samples, view});
      return {
        ...sequence,
        tasks: sequence.tasks.map((task) => ({...task, train: seen(task.train), test: seen(task.test)})),
      };
    }
  }
}

type WithTestSet = (typeof withTestSet)[number];

async function load(data: 'digits' | WithTestSet, source: SequenceSource): Promise<ImagesToSplit> {
  return data === 'digits' ? loadDigits() : loadSet(data, source);
}

async function loadSet(data: WithTestSet, {folder, signal, onDownload}: SequenceSource) {
  if (data === 'mnist') return loadMnist({folder, signal, onDownload});
  if (data === 'fashion-mnist') return loadFashionMnist({folder, signal, onDownload});
  return loadEmnist(data.slice('emnist-'.length) as EmnistSplit, {folder: folder ?? '.'});
}
