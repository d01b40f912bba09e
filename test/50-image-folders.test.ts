/** Image folders: the classes and files that are there, decoded upright and to size, and what is wrong named by file. */
import {mkdir, mkdtemp, rm, symlink, writeFile} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import {basename, dirname, join} from 'node:path';
import sharp from 'sharp';
import {afterEach, beforeEach, describe, expect, it} from 'vitest';
import {type ImageFiles, loadImageFolder} from '../dist/scenarios/folders.js';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'engram-'));
});
afterEach(() => rm(folder, {recursive: true, force: true}));

const refused = {name: 'EngramError', code: 'DATA_FILE'};
const size = {height: 4, width: 4, channels: 3} as const;

/** A picture whose left half has one colour and whose right half another, in the format that the name says. */
async function paint(path: string, left: string, right = left, {width = 8, height = 8, orientation = 1} = {}) {
  const file = join(folder, path);
  await mkdir(dirname(file), {recursive: true});
  const half = {create: {width: width / 2, height, channels: 3 as const, background: left}};
  const image = sharp({create: {width, height, channels: 3, background: right}});
  const input = await sharp(half).png().toBuffer();
  await image
    .composite([{input, left: 0, top: 0}])
    .withMetadata({orientation})
    .toFile(file);
}

/** Red, green and blue of the pixel at `[y, x]` of the image of that name, 0..255. */
async function colour(images: ImageFiles, name: string, y: number, x: number): Promise<number[]> {
  const index = images.files.findIndex((file) => basename(file) === name);
  const pixels = await images.read([index]);
  const first = (y * images.width + x) * images.channels;
  return Array.from(pixels.subarray(first, first + images.channels), (value) => Math.round(value * 255));
}

describe('a folder of images', () => {
  it('with folders for training and testing keeps them apart', async () => {
    for (const name of ['cat/1.png', 'cat/2.png', 'dog/1.png']) await paint(`train/${name}`, 'red');
    for (const name of ['cat/3.png', 'dog/4.png']) await paint(`test/${name}`, 'lime');
    const {train, test} = await loadImageFolder(folder, size);
    expect([train.classes, test.classes]).toEqual([
      ['cat', 'dog'],
      ['cat', 'dog'],
    ]);
    expect([train.count, ...train.labels]).toEqual([3, 0, 0, 1]);
    expect([test.count, ...test.labels]).toEqual([2, 0, 1]);
    expect(test.files).toEqual([join(folder, 'test/cat/3.png'), join(folder, 'test/dog/4.png')]);
    expect(await train.read([0, 2])).toEqual(Float32Array.from({length: 2 * 48}, (_, i) => (i % 3 === 0 ? 1 : 0)));
    expect(await train.read([])).toEqual(new Float32Array(0));
  });

  it('without them holds back a share of every class, which the seed decides', async () => {
    for (const name of ['a', 'b']) for (let i = 0; i < 10; i++) await paint(`${name}/${i}.png`, 'red');
    const load = (seed: number) => loadImageFolder(folder, {...size, seed, testShare: 0.3});
    const {train, test} = await load(1);
    expect([train.count, test.count, ...test.labels]).toEqual([14, 6, 0, 0, 0, 1, 1, 1]);
    expect(new Set([...train.files, ...test.files]).size).toBe(20);
    expect((await load(1)).test.files).toEqual(test.files);
    expect((await load(2)).test.files).not.toEqual(test.files);
  });

  it('has images of every format, by name, and follows links', async () => {
    const formats = ['jpg', 'jpeg', 'png', 'webp', 'gif', 'tif', 'tiff', 'avif', 'JPG'];
    for (const extension of formats) await paint(`train/a/1.${extension}`, 'blue');
    await writeFile(join(folder, 'train/a/notes.txt'), 'no image');
    await writeFile(join(folder, 'train/a/.hidden.png'), 'no image');
    await symlink(join(folder, 'train'), join(folder, 'test'));
    const {test} = await loadImageFolder(folder, size);
    expect(test.count).toBe(formats.length);
    for (const file of test.files) {
      const [red, green, blue] = await colour(test, basename(file), 2, 2);
      expect(Math.max(red, green, 255 - blue), file).toBeLessThan(8);
    }
  });

  it('is read upright, whole at its shorter side and cut to the centre', async () => {
    // Black and white, 32 wide and 8 high: of the 4x4 centre the left half is black.
    await paint('a/wide.png', 'black', 'white', {width: 32});
    await paint('a/plain.png', 'black', 'white');
    // Orientation 6 is "turn clockwise by 90 degrees": what is left comes to the top.
    await paint('a/turned.jpg', 'black', 'white', {orientation: 6});
    for (const channels of [1, 3] as const) {
      const {train, test} = await loadImageFolder(folder, {...size, channels, testShare: 0.1});
      const at = (name: string, y: number, x: number) =>
        colour(test.files.some((file) => basename(file) === name) ? test : train, name, y, x);
      for (const [name, dark, bright] of [
        ['wide.png', [3, 0], [0, 3]],
        ['plain.png', [3, 0], [0, 3]],
        ['turned.jpg', [0, 3], [3, 0]],
      ] as const) {
        expect(Math.max(...(await at(name, dark[0], dark[1]))), name).toBeLessThan(32);
        expect(Math.min(...(await at(name, bright[0], bright[1]))), name).toBeGreaterThan(223);
      }
    }
  });

  it('gives as many channels as were asked for, whatever the file has, and black for what is transparent', async () => {
    await mkdir(join(folder, 'a'));
    const create = {width: 4, height: 4, channels: 4 as const, background: {r: 255, g: 255, b: 255, alpha: 0}};
    await sharp({create}).png().toFile(join(folder, 'a/clear.png'));
    await sharp(new Uint8Array(16).fill(128), {raw: {width: 4, height: 4, channels: 1}})
      .toColourspace('b-w')
      .png()
      .toFile(join(folder, 'a/grey.png'));
    await sharp(new Uint16Array(16).fill(32896), {raw: {width: 4, height: 4, channels: 1}})
      .toColourspace('grey16')
      .png()
      .toFile(join(folder, 'a/deep.png'));
    const shades = {'clear.png': 0, 'grey.png': 128, 'deep.png': 128};
    for (const channels of [1, 3] as const) {
      const parts = await loadImageFolder(folder, {...size, channels, testShare: 0.1});
      for (const images of [parts.train, parts.test]) {
        for (const file of images.files) {
          const name = basename(file) as keyof typeof shades;
          expect(await colour(images, name, 1, 1), name).toEqual(Array(channels).fill(shades[name]));
        }
      }
    }
  });

  it('names the image that is damaged or is none, and reads the others', async () => {
    for (const name of ['1.jpg', '2.jpg', '3.jpg']) await paint(`train/a/${name}`, 'red');
    await paint('test/a/4.jpg', 'red', 'blue', {width: 64, height: 64});
    const whole = await sharp(join(folder, 'test/a/4.jpg')).toBuffer();
    await writeFile(join(folder, 'train/a/1.jpg'), 'something else');
    await writeFile(join(folder, 'train/a/2.jpg'), whole.subarray(0, whole.length / 2));
    const {train} = await loadImageFolder(folder, size);
    for (const [index, name] of ['1.jpg', '2.jpg'].entries()) {
      const wrong = {...refused, expected: expect.stringContaining(name)};
      await expect(train.read([2, index, 2]), name).rejects.toMatchObject(wrong);
    }
    await rm(join(folder, 'train/a/1.jpg'));
    await expect(train.read([0])).rejects.toMatchObject(refused);
    expect(await train.read([2])).toHaveLength(48);
  });

  it('is refused if it is not there, has no classes, or a class has no images', async () => {
    const load = (path: string) => loadImageFolder(join(folder, path), size);
    await expect(load('nothing')).rejects.toMatchObject({...refused, received: 'ENOENT'});
    await expect(load('.')).rejects.toMatchObject({...refused, received: 'no folder'});
    await paint('one/a/1.png', 'red');
    await expect(load('one')).rejects.toMatchObject({...refused, received: '1 among 1 files'});
    await paint('two/train/a/1.png', 'red');
    await paint('two/train/b/1.png', 'red');
    await paint('two/test/a/1.png', 'red');
    const missing = {...refused, expected: expect.stringContaining(join('test', 'b'))};
    await expect(load('two')).rejects.toMatchObject(missing);
    await mkdir(join(folder, 'two/test/b'));
    await writeFile(join(folder, 'two/test/b/readme.txt'), 'no image');
    await expect(load('two')).rejects.toMatchObject({...missing, received: '0 among 1 files'});
    await paint('two/test/b/1.png', 'red');
    await paint('two/test/c/1.png', 'red');
    await expect(load('two')).rejects.toMatchObject({...refused, received: 'c besides'});
  });

  it('is refused with impossible sizes', async () => {
    const wrong = [{height: 0}, {width: 1.5}, {channels: 2}, {testShare: 0}, {testShare: 1}, {testShare: Number.NaN}];
    for (const option of wrong) {
      const load = loadImageFolder(folder, {...size, ...option} as typeof size);
      await expect(load, JSON.stringify(option)).rejects.toMatchObject({code: 'ARGUMENT'});
    }
  });
});
