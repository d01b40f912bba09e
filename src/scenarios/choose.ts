/** Parts of a set: some of its classes, or a number of images with the classes in balance. */
import {EngramError} from '../errors.js';
import type {LabelledImages} from './images.js';
import {type Samples, shuffledRange} from './sequences.js';

/**
 * The images of some classes, which become classes 0, 1, ... in the order given.
 *
 * @throws EngramError ARGUMENT for a class that the set does not have, one named twice, or none
 */
export function onlyClasses(images: LabelledImages, classes: readonly string[]): LabelledImages {
  const wrong = classes.find((name, i) => !images.classes.includes(name) || classes.indexOf(name) !== i);
  if (wrong !== undefined || classes.length === 0) {
    throw new EngramError('ARGUMENT', {
      expected: `some of the classes ${images.classes.join(', ')}, each once`,
      received: classes.length === 0 ? 'none' : `${wrong} among ${classes.join(', ')}`,
      remedy: 'Name classes of the set.',
    });
  }
  const places = images.classes.map((name) => classes.indexOf(name));
  const own = Uint32Array.from(images.labels.keys()).filter((index) => places[images.labels[index]] >= 0);
  return {
    ...images,
    classes,
    count: own.length,
    labels: Uint16Array.from(own, (index) => places[images.labels[index]]),
    read: (indices) => images.read(Uint32Array.from(indices, (index) => own[index])),
  };
}

/**
 * At most `count` of the samples, drawn by `seed`, with as many of each class as of any other; where a class has fewer,
 * the others make up for it. They stay in their order.
 *
 * @throws EngramError ARGUMENT unless the count is a whole number above 0
 */
export function limit(samples: Samples, count: number, seed: string | number): Samples {
  if (!(Number.isInteger(count) && count > 0)) {
    throw new EngramError('ARGUMENT', {
      expected: 'a whole number of images above 0',
      received: String(count),
      remedy: 'Leave it out to take all images.',
    });
  }
  const {images, indices} = samples;
  if (count >= indices.length) return samples;
  const byClass = new Map<number, number[]>();
  for (const position of shuffledRange(indices.length, `${seed}/limit`)) {
    const label = images.labels[indices[position]];
    const own = byClass.get(label);
    if (own) own.push(indices[position]);
    else byClass.set(label, [indices[position]]);
  }
  // The smallest class first: what it lacks is shared among those that are left.
  const groups = [...byClass.values()].sort((a, b) => a.length - b.length);
  const chosen: number[] = [];
  groups.forEach((own, done) => {
    const share = Math.floor((count - chosen.length) / (groups.length - done));
    chosen.push(...own.slice(0, share));
  });
  const wanted = new Set(chosen);
  return {...samples, indices: indices.filter((index) => wanted.has(index))};
}
