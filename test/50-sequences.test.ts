/** Sequences: images shown as a task says, as golden numbers have it; fair shares; never a test image in training. */
import {readFile} from 'node:fs/promises';
import fc from 'fast-check';
import {describe, expect, it} from 'vitest';
import {limit, onlyClasses} from '../dist/scenarios/choose.js';
import {loadDigits} from '../dist/scenarios/digits.js';
import {framed} from '../dist/scenarios/frame.js';
import {imagesInMemory, type LabelledImages} from '../dist/scenarios/images.js';
import {channelStatistics, materialise, materialiseSequence, normalised} from '../dist/scenarios/in-memory.js';
import {type DataSet, type SequenceOfOptions, sequenceOf} from '../dist/scenarios/sequence-of.js';
import {
  allOf,
  inputsOf,
  labelsOf,
  permutedTasks,
  rotatedTasks,
  type Samples,
  splitTasks,
  type TaskSequence,
} from '../dist/scenarios/sequences.js';
import {normalisedView, rotatedView} from '../dist/scenarios/views.js';

const golden = JSON.parse(await readFile(new URL('golden/images.json', import.meta.url), 'utf8'));
const invalid = expect.objectContaining({name: 'EngramError', code: 'ARGUMENT'});

/** One image of these pixels, `[height, width, channels]`. */
const image = (pixels: ArrayLike<number>, size: {height: number; width: number; channels: number}) =>
  imagesInMemory({...size, pixels: Float32Array.from(pixels), labels: Uint8Array.of(0), count: 1, classes: ['a']});

/** Images `[2, 2, channels]` that are told apart by their pixels: the first has `first` in all of them, and so on. */
function numbered(labels: number[], classes: number, first = 0, channels = 1): LabelledImages {
  const size = 4 * channels;
  return imagesInMemory({
    pixels: Float32Array.from({length: labels.length * size}, (_, i) => first + Math.floor(i / size)),
    labels: Uint8Array.from(labels),
    count: labels.length,
    height: 2,
    width: 2,
    channels,
    classes: Array.from({length: classes}, (_, c) => `class ${c}`),
  });
}

const closest = (a: ArrayLike<number>, b: ArrayLike<number>) =>
  Math.max(...Array.from(a, (value, i) => Math.abs(value - b[i])));

describe('a turned image', () => {
  it('is what PyTorch makes of it, whatever its shape, channels and angle', () => {
    expect(golden.turned).toHaveLength(5);
    for (const {degrees, given, expected, ...size} of golden.turned) {
      const pixels = Float32Array.from(given);
      const result = rotatedView(size, degrees)(pixels);
      expect(closest(result, expected), `${degrees} degrees`).toBeLessThan(1e-6);
      expect(pixels).toEqual(Float32Array.from(given));
    }
  });

  it('comes back exactly after four quarter turns', () => {
    const size = {height: 5, width: 5, channels: 3};
    const pixels = Float32Array.from({length: 75}, (_, i) => i);
    for (const degrees of [90, -90, 270, 450]) {
      const turn = rotatedView(size, degrees);
      expect(turn(pixels)).not.toEqual(pixels);
      expect(turn(turn(turn(turn(pixels))))).toEqual(pixels);
    }
  });
});

describe('an image in a frame', () => {
  it('is scaled as PyTorch scales it', async () => {
    expect(golden.framed).toHaveLength(4);
    for (const {frame, given, expected, ...size} of golden.framed) {
      const images = framed(image(given, size), frame);
      expect([images.height, images.width, images.channels]).toEqual([frame.height, frame.width, frame.channels]);
      expect(closest(await images.read([0]), expected)).toBeLessThan(1e-6);
    }
  });

  it('keeps its pixels if it fills more than half of a side, and is itself if it fills it all', async () => {
    const size = {height: 2, width: 3, channels: 1};
    const images = image([1, 2, 3, 4, 5, 6], size);
    expect(framed(images, {...size})).toBe(images);
    const padded = await framed(images, {height: 3, width: 5, channels: 1}).read([0]);
    expect([...padded]).toEqual([0, 1, 2, 3, 0, 0, 4, 5, 6, 0, 0, 0, 0, 0, 0]);
  });

  it('becomes grey or coloured', async () => {
    const colours = image([1, 0, 0, 0, 1, 0, 0, 0, 1, 1, 1, 1], {height: 2, width: 2, channels: 3});
    const grey = framed(colours, {height: 2, width: 2, channels: 1});
    expect(closest(await grey.read([0]), [0.299, 0.587, 0.114, 1])).toBeLessThan(1e-6);
    const again = await framed(grey, {height: 2, width: 2, channels: 3}).read([0]);
    expect(
      closest(
        again,
        [0.299, 0.587, 0.114, 1].flatMap((value) => [value, value, value]),
      ),
    ).toBeLessThan(1e-6);
  });
});

describe('rotated tasks', () => {
  it('show the same images at each angle, and are refused without one', async () => {
    const digits = await loadDigits();
    const {tasks, scenario} = rotatedTasks('test', digits, [0, 45, -90], 3);
    expect([scenario, ...tasks.map(({name}) => name)]).toEqual([
      'domain-incremental',
      '0 degrees',
      '45 degrees',
      '-90 degrees',
    ]);
    expect(tasks[0].train.view).toBeUndefined();
    const two = (samples: Samples) => ({...samples, indices: samples.indices.slice(0, 2)});
    const pixels = await inputsOf(two(tasks[0].test));
    for (const [task, degrees] of [
      [1, 45],
      [2, -90],
    ]) {
      const turn = rotatedView(digits, degrees);
      const both = [...turn(pixels.subarray(0, 64)), ...turn(pixels.subarray(64))];
      expect([...(await inputsOf(two(tasks[task].test)))]).toEqual(both);
      expect(tasks[task].train.indices).toEqual(tasks[0].train.indices);
    }
    for (const angles of [[], [0, Number.NaN], [Number.POSITIVE_INFINITY]]) {
      expect(() => rotatedTasks('test', digits, angles, 3)).toThrow(invalid);
    }
  });
});

describe('a limited number of samples', () => {
  it('is that number, in order, as many of each class as there are to have', () => {
    const sizes = fc.array(fc.integer({min: 1, max: 30}), {minLength: 1, maxLength: 6});
    fc.assert(
      fc.property(sizes, fc.integer({min: 1, max: 200}), fc.nat(), (counts, most, seed) => {
        const labels = counts.flatMap((count, label) => Array<number>(count).fill(label));
        const {indices} = limit(allOf(numbered(labels, counts.length)), most, seed);
        expect(indices.length).toBe(Math.min(most, labels.length));
        expect([...indices]).toEqual([...new Set(indices)].toSorted((a, b) => a - b));
        const taken = counts.map((_, label) => indices.filter((index) => labels[index] === label).length);
        const greatest = Math.max(...taken);
        // A class that has fewer than another, by more than one, gave all it had.
        taken.forEach((count, label) => {
          if (count < greatest - 1) expect(count).toBe(counts[label]);
        });
      }),
    );
  });

  it('is drawn by the seed, and refused if it is none', async () => {
    const digits = await loadDigits();
    const draw = (seed: number) => [...limit(allOf(digits), 100, seed).indices];
    expect(draw(1)).toEqual(draw(1));
    expect(draw(1)).not.toEqual(draw(2));
    for (const wrong of [0, -1, 1.5, Number.NaN]) expect(() => limit(allOf(digits), wrong, 1)).toThrow(invalid);
  });
});

describe('some classes of a set', () => {
  it('are counted in the order named, with their own images', async () => {
    const digits = await loadDigits();
    const chosen = onlyClasses(digits, ['7', '3']);
    expect([chosen.count, ...chosen.classes]).toEqual([179 + 183, '7', '3']);
    for (const i of [0, 100, 361]) {
      const pixels = await chosen.read([i]);
      const from = Array.from(digits.labels.keys()).filter((index) => [7, 3].includes(digits.labels[index]))[i];
      expect(pixels).toEqual(await digits.read([from]));
      expect(chosen.classes[chosen.labels[i]]).toBe(String(digits.labels[from]));
    }
    for (const wrong of [[], ['3', '3'], ['10']]) expect(() => onlyClasses(digits, wrong)).toThrow(invalid);
  });
});

describe('samples in memory', () => {
  it('are what they were, with their view applied', async () => {
    const digits = await loadDigits();
    const [first, second] = [
      rotatedTasks('r', digits, [0, 30], 1),
      splitTasks('s', {train: digits, test: digits}, 5, 'task-incremental'),
    ];
    for (const sequence of [first, second]) {
      const copy = await materialiseSequence(sequence);
      for (const [task, {train, test, classes}] of sequence.tasks.entries()) {
        expect(copy.tasks[task].classes).toEqual(classes);
        for (const [given, held] of [
          [train, copy.tasks[task].train],
          [test, copy.tasks[task].test],
        ]) {
          expect(held.view).toBeUndefined();
          expect(await inputsOf(held)).toEqual(await inputsOf(given));
          expect(labelsOf(held)).toEqual(labelsOf(given));
        }
      }
    }
    const {pixels, count} = await materialise(first.tasks[1].train);
    expect(pixels).toHaveLength(count * 64);
  });

  it('are normalised to mean 0 and deviation 1 in every channel, after the view of their task', async () => {
    const labels = [0, 1, 0, 1, 1];
    const coloured = numbered(labels, 2, 1, 3);
    const tinted = {
      ...coloured,
      read: async (i: ArrayLike<number>) => (await coloured.read(i)).map((v, k) => v * (1 + (k % 3))),
    };
    const {mean, std} = await channelStatistics(allOf(tinted));
    expect(closest(mean, [3, 6, 9])).toBeLessThan(1e-12);
    expect(closest(std, [Math.SQRT2, 2 * Math.SQRT2, 3 * Math.SQRT2])).toBeLessThan(1e-12);
    const sequence = permutedTasks('p', tinted, 2, 1);
    const shown = normalised(sequence, {mean, std});
    for (const [task, {train}] of shown.tasks.entries()) {
      const plain = await inputsOf(sequence.tasks[task].train);
      const wanted = plain.map((value, i) => (value - mean[i % 3]) / std[i % 3]);
      expect(closest(await inputsOf(train), wanted)).toBeLessThan(1e-6);
    }
    const whole = {images: tinted, indices: allOf(tinted).indices, view: normalisedView({mean, std}, 3)};
    const after = await channelStatistics(whole);
    expect(closest([...after.mean, ...after.std], [0, 0, 0, 1, 1, 1])).toBeLessThan(1e-6);
    for (const wrong of [
      {mean: [0], std: [1]},
      {mean: [0, 0, 0], std: [1, 0, 1]},
      {mean: [0, 0, Number.NaN], std: [1, 1, 1]},
    ]) {
      expect(() => normalised(sequence, wrong)).toThrow(invalid);
    }
  });
});

describe('a sequence of different sets', () => {
  const options: SequenceOfOptions = {height: 3, width: 3, channels: 1, scenario: 'class-incremental'};
  const set = (name: string, classes: number, first: number, channels = 1): DataSet => ({
    name,
    train: numbered([0, 1, 1, 0], classes, first, channels),
    test: numbered([1, 0], classes, first + 4, channels),
  });

  it('has one size, its own classes a task, and labels from 0', async () => {
    const sequence = sequenceOf('test', [set('grey', 2, 0), set('colour', 3, 10, 3)], options);
    expect(sequence).toMatchObject({name: 'test', scenario: 'class-incremental', height: 3, width: 3, channels: 1});
    expect(sequence.tasks.map(({name, classes}) => [name, classes.length])).toEqual([
      ['grey', 2],
      ['colour', 3],
    ]);
    for (const {train, test} of sequence.tasks) {
      expect([...labelsOf(train), ...labelsOf(test)]).toEqual([0, 1, 1, 0, 1, 0]);
      expect(await inputsOf(train)).toHaveLength(4 * 9);
    }
    expect([...(await inputsOf(sequence.tasks[1].test)).subarray(0, 9)].map(Math.round)).toEqual([
      14, 14, 0, 14, 14, 0, 0, 0, 0,
    ]);
  });

  it('takes as many images as it is told to', () => {
    const {tasks} = sequenceOf('test', [set('a', 2, 0)], {...options, trainPerTask: 2, testPerTask: 1});
    expect([...labelsOf(tasks[0].train)].toSorted()).toEqual([0, 1]);
    expect(tasks[0].test.indices).toHaveLength(1);
  });

  it('is refused if it makes no sense', () => {
    const good = set('a', 2, 0);
    const wrong: [sets: DataSet[], options: object][] = [
      [[], {}],
      [[{...good, test: good.train}], {}],
      [[{...good, test: numbered([0, 1], 3)}], {}],
      [[good], {scenario: 'domain-incremental'}],
      [[good], {height: 0}],
      [[good], {channels: 2}],
      [[set('a', 2, 0, 2)], {}],
      [[good], {trainPerTask: 0}],
      [[good], {testPerTask: -1}],
    ];
    for (const [sets, other] of wrong) {
      expect(() => sequenceOf('test', sets, {...options, ...other}), JSON.stringify(other)).toThrow(invalid);
    }
  });
});

describe('a test image', () => {
  /** All images are told apart by their largest pixel, in every view; no task trains on one that any task tests. */
  async function apart({tasks}: TaskSequence): Promise<void> {
    const seen = async (samples: Samples) => {
      const size = samples.images.height * samples.images.width * samples.images.channels;
      const inputs = await inputsOf(samples);
      return Array.from(samples.indices, (_, i) => Math.max(...inputs.subarray(i * size, (i + 1) * size)));
    };
    const trained = new Set((await Promise.all(tasks.map(({train}) => seen(train)))).flat());
    const tested = (await Promise.all(tasks.map(({test}) => seen(test)))).flat();
    expect(tested.length).toBeGreaterThan(0);
    expect(tested.filter((value) => trained.has(value))).toEqual([]);
  }

  it('is in no training split, whatever the sequence', async () => {
    const labels = fc.array(fc.nat(3), {minLength: 8, maxLength: 40}).map((drawn) => [0, 1, 2, 3, ...drawn]);
    const scenario = fc.constantFrom('task-incremental' as const, 'class-incremental' as const);
    await fc.assert(
      fc.asyncProperty(
        labels,
        labels,
        fc.nat(),
        fc.integer({min: 1, max: 30}),
        scenario,
        async (a, b, seed, most, how) => {
          // Numbered from 1, since 0 is also what lies around a turned image.
          const [train, test] = [numbered(a, 4, 1), numbered(b, 4, 1 + a.length)];
          await apart(permutedTasks('permuted', train, 3, seed));
          await apart(rotatedTasks('rotated', train, [0, 90, 180], seed));
          await apart(splitTasks('split', {train, test}, 2, how));
          const halves = [
            ['class 0', 'class 2'],
            ['class 3', 'class 1'],
          ].map((names) => ({
            name: names.join(),
            train: onlyClasses(train, names),
            test: onlyClasses(test, names),
          }));
          const options = {
            height: 3,
            width: 3,
            channels: 1,
            scenario: how,
            seed,
            trainPerTask: most,
            testPerTask: most,
          };
          const sequence = sequenceOf('sets', halves, options);
          await apart(sequence);
          await apart(await materialiseSequence(sequence));
        },
      ),
      {numRuns: 50},
    );
  });
});
