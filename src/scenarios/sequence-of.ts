/** A sequence whose tasks are different data sets. */
import {EngramError} from '../errors.js';
import {limit} from './choose.js';
import {framed} from './frame.js';
import type {LabelledImages} from './images.js';
import {allOf, type Samples, type Scenario, type Task, type TaskSequence} from './sequences.js';
import type {ImageSize} from './views.js';

/** A task to be: images with the same classes for training and for testing. */
export interface DataSet {
  readonly name: string;
  readonly train: LabelledImages;
  readonly test: LabelledImages;
}

/** The common size of all images, and how many of them there are. */
export interface SequenceOfOptions extends ImageSize {
  /** Different data sets have no classes in common, so that domain-incremental is not among them. */
  readonly scenario: Exclude<Scenario, 'domain-incremental'>;
  /** At most so many training images a task, classes in balance; default all. */
  readonly trainPerTask?: number;
  /** At most so many test images a task, classes in balance; default all. */
  readonly testPerTask?: number;
  /** Decides which images are taken; default 0. */
  readonly seed?: number;
}

/**
 * One task a data set, in the order given. Images are brought to the common size by {@link framed} whenever they are
 * read; `materialiseSequence` does so once.
 *
 * @throws EngramError ARGUMENT for no data set, another scenario, sizes, or a set that is trained and tested on the
 * same images or on other classes
 */
export function sequenceOf(name: string, sets: readonly DataSet[], options: SequenceOfOptions): TaskSequence {
  const {height, width, channels, scenario, trainPerTask, testPerTask, seed = 0} = options;
  check(sets.length > 0, 'at least one data set', 'none');
  check(['task-incremental', 'class-incremental'].includes(scenario), 'task- or class-incremental', String(scenario));
  const sides = [height, width];
  check(
    sides.every((side) => Number.isInteger(side) && side > 0),
    'whole sides above 0',
    sides.join(', '),
  );
  const seen = [channels, ...sets.flatMap(({train, test}) => [train.channels, test.channels])];
  check(
    seen.every((count) => count === 1 || count === 3),
    '1 or 3 channels',
    seen.join(', '),
  );
  const tasks = sets.map((set): Task => {
    const {classes} = set.train;
    check(set.train !== set.test, `other images to test ${set.name} on`, 'the training images');
    const same = classes.length === set.test.classes.length && classes.every((own, i) => own === set.test.classes[i]);
    check(same, `the same classes for training and testing ${set.name}`, `${classes} and ${set.test.classes}`);
    const pick = (part: 'train' | 'test', most: number | undefined): Samples => {
      const samples = allOf(framed(set[part], options));
      return most === undefined ? samples : limit(samples, most, `${seed}/${set.name}/${part}`);
    };
    return {name: set.name, classes, train: pick('train', trainPerTask), test: pick('test', testPerTask)};
  });
  return {name, scenario, height, width, channels, tasks};
}

function check(right: boolean, expected: string, received: string): void {
  if (right) return;
  throw new EngramError('ARGUMENT', {expected, received, remedy: 'See sequenceOf.'});
}
