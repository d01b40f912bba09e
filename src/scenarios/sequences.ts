/** Sequences of tasks made from one set of images: permuted pixels, split classes. */
import seedrandom from 'seedrandom';
import {EngramError} from '../errors.js';
import type {LabelledImages} from './images.js';

/** Some of the images of a set, perhaps with their pixels in another order. */
export interface Samples {
  readonly images: LabelledImages;
  /** `[count]`, which images. */
  readonly indices: Uint32Array;
  /** `[height * width]`: input p shows pixel `permutation[p]`. */
  readonly permutation?: Uint16Array;
  /** The class that the network's output 0 stands for; default class 0. */
  readonly firstClass?: number;
}

export interface Task {
  readonly name: string;
  /** Outputs of the network that this task may answer with. */
  readonly outputs: readonly number[];
  readonly train: Samples;
  readonly test: Samples;
}

/**
 * Tasks in the order in which they are learned, by one network with one head.
 *
 * - `domain-incremental`: every task uses the same outputs and the network is not told which task it sees.
 * - `task-incremental`: every task has outputs of its own and the network is told the task: it is restricted to the
 *   task's outputs, in the loss, at consolidation and at test.
 *
 * The names are those of van de Ven and Tolias, "Three scenarios for continual learning" (arXiv:1904.07734).
 */
export interface TaskSequence {
  readonly name: string;
  readonly scenario: 'domain-incremental' | 'task-incremental';
  readonly height: number;
  readonly width: number;
  readonly outputs: number;
  readonly tasks: readonly Task[];
}

/** Enough that one image is 0.2 % of the accuracy on the digits. */
const TEST_FRACTION = 0.25;

/**
 * The same images again and again, each time with the pixels in another fixed random order (Goodfellow et al., 2013,
 * arXiv:1312.6211). Task 1 shows them as they are. Domain-incremental.
 *
 * A quarter of the images is for testing, the same ones in every task, so that none was seen in any task's training.
 *
 * @param seed decides the test images and the permutations; task k is the same however many tasks there are
 * @throws EngramError ARGUMENT
 */
export function permutedTasks(name: string, images: LabelledImages, tasks: number, seed: number): TaskSequence {
  checkTasks(tasks, 1000);
  const {height, width, classes} = images;
  const order = shuffledRange(images.count, `${seed}/test images`);
  const held = Math.round(images.count * TEST_FRACTION);
  const parts = {test: order.slice(0, held).sort(), train: order.slice(held).sort()};
  const outputs = classes.map((_, index) => index);
  const make = (_: unknown, task: number): Task => {
    const pixels = height * width;
    const permutation = Uint16Array.from(
      task === 0 ? Array(pixels).keys() : shuffledRange(pixels, `${seed}/permutation ${task}`),
    );
    return {
      name: `task ${task + 1}`,
      outputs,
      train: {images, indices: parts.train, permutation},
      test: {images, indices: parts.test, permutation},
    };
  };
  const scenario = 'domain-incremental';
  return {name, scenario, height, width, outputs: classes.length, tasks: Array.from({length: tasks}, make)};
}

/**
 * Classes 0 and 1, then 2 and 3, and so on: `classesPerTask` new classes in every task (Zenke, Poole, Ganguli, 2017,
 * split MNIST). The test images are those that the data set itself sets apart.
 *
 * - `domain-incremental`: the network has `classesPerTask` outputs and says which of a task's classes it sees; output 0
 *   means class 0 in the first task, class 2 in the second.
 * - `task-incremental`: the network has one output per class of the data set, restricted to the task's.
 *
 * @param tasks how many; at most the number of classes over `classesPerTask`
 * @throws EngramError ARGUMENT
 */
export function splitTasks(
  name: string,
  {train, test}: {train: LabelledImages; test: LabelledImages},
  tasks: number,
  scenario: TaskSequence['scenario'],
  classesPerTask = 2,
): TaskSequence {
  const {classes, height, width} = train;
  checkTasks(tasks, Math.floor(classes.length / classesPerTask));
  const apart = scenario === 'task-incremental';
  const make = (_: unknown, task: number): Task => {
    const first = task * classesPerTask;
    const pick = (images: LabelledImages): Samples => {
      const own = Uint32Array.from(images.labels.keys()).filter((index) => {
        const place = images.labels[index] - first;
        return place >= 0 && place < classesPerTask;
      });
      return {images, indices: own, firstClass: apart ? 0 : first};
    };
    const outputs = Array.from({length: classesPerTask}, (_, i) => (apart ? first + i : i));
    const title = classes.slice(first, first + classesPerTask).join(', ');
    return {name: title, outputs, train: pick(train), test: pick(test)};
  };
  const outputs = apart ? classes.length : classesPerTask;
  return {name, scenario, height, width, outputs, tasks: Array.from({length: tasks}, make)};
}

/** `[count, height * width]`, the inputs of a network, in the order of the indices. */
export function inputsOf({images, indices, permutation}: Samples): Float32Array {
  const size = images.height * images.width;
  const inputs = new Float32Array(indices.length * size);
  indices.forEach((index, row) => {
    const from = index * size;
    if (!permutation) inputs.set(images.pixels.subarray(from, from + size), row * size);
    else for (let p = 0; p < size; p++) inputs[row * size + p] = images.pixels[from + permutation[p]];
  });
  return inputs;
}

/** `[count]`, the output that is right for each input. */
export function labelsOf({images, indices, firstClass = 0}: Samples): Uint8Array {
  return Uint8Array.from(indices, (index) => images.labels[index] - firstClass);
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
