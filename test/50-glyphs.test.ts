/** Letters from fonts: drawn where they belong, whole, by seed, with no design on both sides of training and testing. */
import {existsSync} from 'node:fs';
import {copyFile, mkdtemp, rm, writeFile} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import sharp from 'sharp';
import {afterAll, beforeAll, describe, expect, it} from 'vitest';
import {eightTasks} from '../dist/scenarios/eight-tasks.js';
import {designsOf, type Face, findFaces} from '../dist/scenarios/fonts.js';
import {type GlyphOptions, loadGlyphs} from '../dist/scenarios/glyphs.js';
import type {ImagesInMemory} from '../dist/scenarios/images.js';
import {loadOpencvDigits, opencvDigitsFile} from '../dist/scenarios/opencv-digits.js';
import {type ScriptName, scripts} from '../dist/scenarios/scripts.js';

/** The fonts of Debian's fonts-dejavu-core: six files, three designs. */
const dejavu = '/usr/share/fonts/truetype/dejavu';
const core = [
  'DejaVuSans',
  'DejaVuSans-Bold',
  'DejaVuSansMono',
  'DejaVuSansMono-Bold',
  'DejaVuSerif',
  'DejaVuSerif-Bold',
];
const refused = {name: 'EngramError', code: 'DATA_FILE'};

let folder: string;
let fonts: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'engram-'));
  fonts = await mkdtemp(join(tmpdir(), 'engram-'));
  for (const name of core) await copyFile(join(dejavu, `${name}.ttf`), join(fonts, `${name}.ttf`));
});
afterAll(async () => {
  for (const made of [folder, fonts]) await rm(made, {recursive: true, force: true});
});

const few = (options: GlyphOptions = {}): GlyphOptions => ({fonts, trainPerClass: 12, testPerClass: 6, ...options});
const still = {scale: 0, rotation: 0, shear: 0, shift: 0};

/** Sum of each image's pixels. */
function ink({pixels, count, height, width}: ImagesInMemory): number[] {
  const size = height * width;
  return Array.from({length: count}, (_, i) => pixels.subarray(i * size, (i + 1) * size).reduce((a, b) => a + b));
}

describe('letters from fonts', () => {
  it('are white on black, as many of each as were asked for, none empty or damaged', async () => {
    for (const name of ['Latin', 'Greek', 'Cyrillic'] as const) {
      const {train, test} = await loadGlyphs(name, few());
      for (const [images, perClass] of [
        [train, 12],
        [test, 6],
      ] as const) {
        expect([images.count, images.height, images.width, images.channels]).toEqual([10 * perClass, 32, 32, 1]);
        expect(images.classes).toEqual(scripts[name].letters);
        const counts = Array(10).fill(0);
        for (const label of images.labels) counts[label]++;
        expect(counts).toEqual(Array(10).fill(perClass));
        expect(images.pixels.every((value) => value >= 0 && value <= 1)).toBe(true);
        // A bold letter at its largest has about four times the ink of a light one at its smallest.
        const inks = ink(images);
        images.classes.forEach((letter, label) => {
          const own = inks.filter((_, i) => images.labels[i] === label);
          expect(Math.min(...own), letter).toBeGreaterThan(0.2 * Math.max(...own));
          expect(Math.min(...own), letter).toBeGreaterThan(20);
        });
      }
    }
  });

  it('stand where they do in their font, the tallest in the middle three quarters', async () => {
    // The full block is the tallest here, and the upper half block is its upper half, in every font.
    const script = {name: 'blocks', letters: [...'█▀ARgQSkW'], packages: []};
    const {train} = await loadGlyphs(script, few({jitter: still}));
    const rows = (image: number) =>
      Array.from({length: 32}, (_, y) => train.pixels.subarray(image * 1024 + y * 32, image * 1024 + y * 32 + 32));
    for (let i = 0; i < 12; i++) {
      const [full, upper] = [rows(i), rows(12 + i)].map((image) => image.map((row) => row.reduce((a, b) => a + b)));
      const width = full[16];
      expect(width).toBeGreaterThan(8);
      for (let y = 0; y < 32; y++) {
        const inside = y >= 4 && y < 28;
        expect(Math.abs(full[y] - (inside ? width : 0)), `row ${y}`).toBeLessThan(0.2);
        // Where the upper half ends differs by a pixel from font to font.
        if (y < 15 || y > 17) expect(Math.abs(upper[y] - (y >= 4 && y < 16 ? width : 0)), `row ${y}`).toBeLessThan(0.2);
      }
    }
  });

  it('are never cut off, however far they are moved', async () => {
    const plain = await loadGlyphs('Greek', few({jitter: still}));
    const moved = await loadGlyphs('Greek', few({jitter: {...still, shift: 1}}));
    const [before, after] = [ink(plain.train), ink(moved.train)];
    expect(moved.train.pixels).not.toEqual(plain.train.pixels);
    for (const [i, sum] of before.entries()) expect(Math.abs(after[i] / sum - 1), `image ${i}`).toBeLessThan(0.02);
    // At twice the size they would not fit, and are made smaller until they do.
    const large = await loadGlyphs('Greek', few({jitter: {...still, scale: 0.99, shift: 1}}));
    for (let i = 0; i < large.train.count; i++) {
      const edge = [0, 31].flatMap((y) => [...large.train.pixels.subarray(i * 1024 + y * 32, i * 1024 + y * 32 + 32)]);
      expect(Math.max(...edge)).toBeLessThan(0.75);
    }
  });

  it('are the same for the same seed, and vary with it', async () => {
    const draw = async (seed: number) => (await loadGlyphs('Greek', few({seed}))).train.pixels;
    const first = await draw(1);
    expect(await draw(1)).toEqual(first);
    expect(await draw(2)).not.toEqual(first);
  });

  it('are tested on fonts of designs that were not trained on', async () => {
    const tested = new Set<string>();
    for (let seed = 0; seed < 8; seed++) {
      const {trainFonts, testFonts} = await loadGlyphs('Greek', few({seed, trainPerClass: 1, testPerClass: 1}));
      expect([...trainFonts, ...testFonts].toSorted()).toEqual(core);
      expect(testFonts).toHaveLength(2);
      expect(testFonts[1]).toBe(`${testFonts[0]}-Bold`);
      tested.add(testFonts[0]);
    }
    expect(tested.size).toBeGreaterThan(1);
  });

  it('are taken from the system, from the files of the packages that the script names', async () => {
    const {letters} = scripts.Greek;
    const names = (await findFaces(scripts.Greek, letters)).map(({name}) => name);
    expect(names).toEqual(expect.arrayContaining(core));
    for (const name of names)
      expect(
        scripts.Greek.packages.some(({files}) => files.test(name)),
        name,
      ).toBe(true);
    // DejaVu has no Thai.
    expect(await findFaces(scripts.Thai, scripts.Thai.letters, {folder: fonts})).toEqual([]);
  });

  it('are refused with the names of the packages if there are too few fonts', async () => {
    await copyFile(join(dejavu, 'DejaVuSans.ttf'), join(folder, 'DejaVuSans.ttf'));
    await copyFile(join(dejavu, 'DejaVuSerif.ttf'), join(folder, 'DejaVuSerif.ttf'));
    const two = {
      ...refused,
      received: '2: DejaVu Sans, DejaVu Serif',
      remedy: expect.stringContaining('fonts-gfs-didot'),
    };
    await expect(loadGlyphs('Greek', {fonts: folder})).rejects.toMatchObject(two);
    const none = {...refused, received: 'none', remedy: expect.stringContaining('fonts-thai-tlwg-ttf')};
    await expect(loadGlyphs('Thai', {fonts: folder})).rejects.toMatchObject(none);
    const nowhere = {...refused, received: 'ENOENT'};
    await expect(loadGlyphs('Greek', {fonts: join(folder, 'nothing')})).rejects.toMatchObject(nowhere);
    await writeFile(join(folder, 'broken.otf'), 'no font');
    const broken = {...refused, expected: expect.stringContaining('broken.otf')};
    await expect(loadGlyphs('Greek', {fonts: folder})).rejects.toMatchObject(broken);
  });

  it('are refused in impossible numbers, and stop when they are told to', async () => {
    const jitters = [{scale: -1}, {scale: 1}, {rotation: Number.NaN}, {shear: 90}].map((jitter) => ({jitter}));
    for (const wrong of [{side: 0}, {trainPerClass: 0}, {testPerClass: 1.5}, ...jitters]) {
      const call = loadGlyphs('Greek', few(wrong));
      await expect(call, JSON.stringify(wrong)).rejects.toMatchObject({code: 'ARGUMENT'});
    }
    await expect(loadGlyphs('Runes' as ScriptName)).rejects.toMatchObject({code: 'ARGUMENT'});
    const reason = new Error('enough');
    await expect(loadGlyphs('Greek', few({signal: AbortSignal.abort(reason)}))).rejects.toBe(reason);
  });
});

describe('designs', () => {
  const boxes = ['wide', 'tall', 'round'];
  /** A font whose letters have these points. */
  const face = (name: string, family: string, shapes: number[][]): Face => ({
    name,
    family,
    outlines: new Map(
      shapes.map((points, i) => {
        const [xs, ys] = [points.filter((_, k) => k % 2 === 0), points.filter((_, k) => k % 2 === 1)];
        const box = {left: Math.min(...xs), right: Math.max(...xs), top: Math.min(...ys), bottom: Math.max(...ys)};
        return [boxes[i], {path: '', points, box}];
      }),
    ),
  });
  const names = (faces: Face[]) => designsOf(faces).map((design) => design.map(({name}) => name).join(' '));
  const shapes = [
    [0, 0, 10, 3, 4, 10],
    [0, 0, 8, 9, 2, 10],
    [5, 0, 10, 5, 0, 10],
  ];
  const others = shapes.map((points) => points.map((value, i) => (i === 2 ? value / 3 : value)));

  it('are one if the family is one, or if letters are drawn alike up to size and place', () => {
    const narrow = shapes.map((points) => points.map((value, i) => (i % 2 === 0 ? 7 + value / 2 : value)));
    expect(names([face('a', 'A', shapes), face('b', 'A', others), face('c', 'C', narrow)])).toEqual(['a b c']);
    expect(names([face('a', 'A', shapes), face('b', 'B', others)])).toEqual(['a', 'b']);
  });

  it('are joined by a font that has letters of both', () => {
    const mixed = [shapes[0], others[1], [0, 0, 1, 1, 7, 3]];
    const faces = [face('a', 'A', shapes), face('b', 'B', others)];
    expect(names([...faces, face('c', 'C', mixed)])).toEqual(['a b c']);
  });
});

describe('the eight tasks', () => {
  it('say which package is missing', async () => {
    const scenario = 'task-incremental';
    const missing = (name: string) => ({...refused, remedy: expect.stringContaining(name)});
    const nothing = join(folder, 'nothing');
    await expect(eightTasks({scenario, fashionMnist: nothing})).rejects.toMatchObject(missing('dataset-fashion-mnist'));
    const seen: string[] = [];
    const onTask = (name: string, done: number, tasks: number) => seen.push(`${done} of ${tasks}: ${name}`);
    await expect(eightTasks({scenario, digits: nothing, onTask})).rejects.toMatchObject(missing('opencv-doc'));
    expect(seen).toEqual(['0 of 8: clothes', '1 of 8: digits']);
  });

  it('take no other picture for the digits', async () => {
    const file = join(folder, 'digits.png');
    const create = {width: 2000, height: 1000, channels: 3 as const, background: 'black'};
    await sharp({create}).png().toFile(file);
    await expect(loadOpencvDigits(file)).rejects.toMatchObject({
      ...refused,
      received: expect.stringMatching('SHA-256'),
    });
  });

  // Of a hundred megabytes of packages: run where they are installed, and not asked of every machine.
  if (existsSync(opencvDigitsFile) && existsSync('/usr/share/fonts/truetype/tlwg')) {
    it('are as long, as wide and as many as they are said to be', async () => {
      const {train, test} = await loadOpencvDigits();
      expect([train.count, test.count]).toEqual([4000, 1000]);
      const sequence = await eightTasks({scenario: 'class-incremental', trainPerTask: 200, testPerTask: 100});
      expect(sequence).toMatchObject({height: 32, width: 32, channels: 1, scenario: 'class-incremental'});
      expect(sequence.tasks.map(({classes}) => classes.length)).toEqual([5, 10, 10, 5, 10, 10, 10, 10]);
      for (const task of sequence.tasks) {
        expect([task.train.indices.length, task.test.indices.length], task.name).toEqual([200, 100]);
        expect(Math.max(...(await task.train.images.read([0])))).toBeGreaterThan(0.5);
      }
    });
  }
});
