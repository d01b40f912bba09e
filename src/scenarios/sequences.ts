/** Sequences of tasks made from one set of images: permuted pixels, turned images, split classes. */
import seedrandom from 'seedrandom';
import {EngramError} from '../errors.js';
import type {LabelledImages} from './images.js';
import {permutedView, rotatedView, type View} from './views.js';

/** Some of the images of a set, perhaps seen in another way. */
export interface Samples {
  readonly images: LabelledImages;
  /** `[count]`, which images. */
  readonly indices: Uint32Array;
  /** How the task shows an image; default as it is. */
  readonly view?: View;
  /** The class of the set that is the task's first; default class 0. */
  readonly firstClass?: number;
}

/** Something to learn: images and which class each is of. */
export interface Task {
  readonly name: string;
  /** What its labels 0, 1, ... stand for. */
  readonly classes: readonly string[];
  readonly train: Samples;
  readonly test: Samples;
}

/**
 * What a network is told and asked (van de Ven and Tolias, "Three scenarios for continual learning", arXiv:1904.07734):
 *
 * - `task-incremental`: it is told the task, and has a head for each.
 * - `domain-incremental`: it is not told the task; all tasks have the same classes in one head, whatever they look like.
 * - `class-incremental`: it is not told the task, and must tell the classes of all tasks so far apart.
 */
export type Scenario = 'task-incremental' | 'domain-incremental' | 'class-incremental';

/** Tasks in the order in which they are learned, by one network. */
export interface TaskSequence {
  readonly name: string;
  readonly scenario: Scenario;
  readonly height: number;
  readonly width: number;
  readonly channels: number;
  readonly tasks: readonly Task[];
}

/** A set that has test images of its own, or one of which some images are set apart for testing. */
export type ImagesToSplit = LabelledImages | {readonly train: LabelledImages; readonly test: LabelledImages};

/** Enough that one image is 0.2 % of the accuracy on the digits. */
const TEST_FRACTION = 0.25;

/**
 * The same images again and again, each time with the pixels in another fixed random order (Goodfellow et al., 2013,
 * arXiv:1312.6211). Task 1 shows them as they are. Domain-incremental.
 *
 * Of a set without test images of its own a quarter is for testing, the same images in every task, so that none was seen
 * in any task's training.
 *
 * @param seed decides the test images and the permutations; task k is the same however many tasks there are
 * @throws EngramError ARGUMENT
 */
export function permutedTasks(name: string, images: ImagesToSplit, tasks: number, seed: number): TaskSequence {
  checkTasks(tasks, 1000);
  const {height, width, channels} = 'train' in images ? images.train : images;
  const views = Array.from({length: tasks}, (_, task) =>
    task === 0 ? undefined : permutedView(shuffledRange(height * width, `${seed}/permutation ${task}`), channels),
  );
  const titles = views.map((_, task) => `task ${task + 1}`);
  return viewedTasks(name, images, seed, titles, views);
}

/**
 * The same images again and again, each time turned by another angle (Lopez-Paz, Ranzato, 2017, arXiv:1706.08840,
 * rotated MNIST; there the angles are random). {@link rotatedView} says how. Domain-incremental.
 *
 * @param angles degrees counterclockwise, one a task; at 0 the images are as they are
 * @param seed decides the test images where the set has none: a quarter, the same ones in every task
 * @throws EngramError ARGUMENT
 */
export function rotatedTasks(
  name: string,
  images: ImagesToSplit,
  angles: readonly number[],
  seed: number,
): TaskSequence {
  checkTasks(angles.length, 1000);
  if (!angles.every(Number.isFinite)) {
    throw new EngramError('ARGUMENT', {
      expected: 'angles in degrees',
      received: angles.join(', '),
      remedy: 'Angles of 0, 30, 60, 90 and 120 are an example.',
    });
  }
  const views = angles.map((degrees) =>
    degrees === 0 ? undefined : rotatedView('train' in images ? images.train : images, degrees),
  );
  const titles = angles.map((degrees) => `${degrees} degrees`);
  return viewedTasks(name, images, seed, titles, views);
}

/** One task a view, all with the same training and test images. */
function viewedTasks(
  name: string,
  data: ImagesToSplit,
  seed: number,
  titles: readonly string[],
  views: readonly (View | undefined)[],
): TaskSequence {
  const {train, test} = 'train' in data ? {train: allOf(data.train), test: allOf(data.test)} : setApart(data, seed);
  const {height, width, channels, classes} = train.images;
  const tasks = views.map((view, task) => {
    const seen = (samples: Samples): Samples => (view ? {...samples, view} : samples);
    return {name: titles[task], classes, train: seen(train), test: seen(test)};
  });
  return {name, scenario: 'domain-incremental', height, width, channels, tasks};
}

/** A seeded share of the images for testing, the others for training. */
function setApart(images: LabelledImages, seed: number): {train: Samples; test: Samples} {
  const order = shuffledRange(images.count, `${seed}/test images`);
  const held = Math.round(images.count * TEST_FRACTION);
  return {test: {images, indices: order.slice(0, held).sort()}, train: {images, indices: order.slice(held).sort()}};
}

/** All images of a set as they are. */
export function allOf(images: LabelledImages): Samples {
  return {images, indices: Uint32Array.from(images.labels.keys())};
}

/**
 * Classes 0 and 1, then 2 and 3, and so on: `classesPerTask` new classes in every task (Zenke, Poole, Ganguli, 2017,
 * split MNIST). The test images are those that the data set itself sets apart.
 *
 * @param tasks how many; at most the number of classes over `classesPerTask`
 * @throws EngramError ARGUMENT
 */
export function splitTasks(
  name: string,
  {train, test}: {train: LabelledImages; test: LabelledImages},
  tasks: number,
  scenario: Scenario,
  classesPerTask = 2,
): TaskSequence {
  const {classes, height, width, channels} = train;
  checkTasks(tasks, Math.floor(classes.length / classesPerTask));
  const make = (_: unknown, task: number): Task => {
    const first = task * classesPerTask;
    const pick = (images: LabelledImages): Samples => {
      const own = Uint32Array.from(images.labels.keys()).filter((index) => {
        const place = images.labels[index] - first;
        return place >= 0 && place < classesPerTask;
      });
      return {images, indices: own, firstClass: first};
    };
    const own = classes.slice(first, first + classesPerTask);
    return {name: own.join(', '), classes: own, train: pick(train), test: pick(test)};
  };
  return {name, scenario, height, width, channels, tasks: Array.from({length: tasks}, make)};
}

/**
 * The inputs of a network, `[count, height, width, channels]`, in the order of the indices.
 *
 * @throws EngramError DATA_FILE
 */
export async function inputsOf({images, indices, view}: Samples): Promise<Float32Array> {
  const inputs = await images.read(indices);
  if (!view) return inputs;
  const size = images.height * images.width * images.channels;
  for (let at = 0; at < inputs.length; at += size) inputs.set(view(inputs.subarray(at, at + size)), at);
  return inputs;
}

/** `[count]`, the task's own label of each input, from 0. */
export function labelsOf({images, indices, firstClass = 0}: Samples): Int32Array {
  return Int32Array.from(indices, (index) => images.labels[index] - firstClass);
}

/** The whole numbers below `count` in an order that `seed` decides: Fisher-Yates on the seedrandom generator. */
export function shuffledRange(count: number, seed: string): Uint32Array {
  const order = Uint32Array.from(Array(count).keys());
  const random = seedrandom(seed);
  for (let i = count - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1));
    [order[i], order[j]] = [order[j], order[i]];
  }
  return order;
}

function checkTasks(tasks: number, most: number): void {
  if (Number.isInteger(tasks) && tasks >= 1 && tasks <= most) return;
  throw new EngramError('ARGUMENT', {
    expected: `a number of tasks of 1..${most}`,
    received: String(tasks),
    remedy: 'Five tasks are usual.',
  });
}
