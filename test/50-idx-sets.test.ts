/** The MNIST family: what a set's description says is held, whichever of its four files is wrong, missing or turned. */
import {createHash} from 'node:crypto';
import {mkdtemp, readdir, rm, writeFile} from 'node:fs/promises';
import {createServer} from 'node:http';
import type {AddressInfo} from 'node:net';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {gzipSync} from 'node:zlib';
import {afterEach, beforeEach, describe, expect, it} from 'vitest';
import {type IdxSet, loadIdxSet} from '../dist/scenarios/idx-sets.js';
import {type EmnistSplit, emnist, loadEmnist, loadMnist, mnist} from '../dist/scenarios/mnist.js';

const refused = {name: 'EngramError', code: 'DATA_FILE'};
let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'engram-'));
});
afterEach(() => rm(folder, {recursive: true, force: true}));

function idx(shape: number[], values: ArrayLike<number>): Buffer {
  const header = Buffer.alloc(4 + 4 * shape.length);
  header.set([0, 0, 8, shape.length]);
  shape.forEach((dimension, i) => {
    header.writeUInt32BE(dimension, 4 + 4 * i);
  });
  return Buffer.concat([header, Uint8Array.from(values)]);
}

/** Images of one white pixel each, at `[y, x] = [label, 20]`. */
function images(labels: number[]): Buffer {
  const values = new Uint8Array(labels.length * 784);
  labels.forEach((label, i) => {
    values[i * 784 + label * 28 + 20] = 255;
  });
  return idx([labels.length, 28, 28], values);
}

/** The contents of the four files, by name, of `set` with these labels. */
function filesOf({files}: IdxSet, train: number[], test: number[]): Map<string, Buffer> {
  return new Map([
    [files.trainImages.name, images(train)],
    [files.trainLabels.name, idx([train.length], train)],
    [files.testImages.name, images(test)],
    [files.testLabels.name, idx([test.length], test)],
  ]);
}

async function write(contents: Map<string, Buffer>, pack = false) {
  for (const [name, bytes] of contents) {
    await writeFile(join(folder, pack ? `${name}.gz` : name), pack ? gzipSync(bytes) : bytes);
  }
}

describe('EMNIST', () => {
  it('is read upright, plain or gzipped, its letters counted from A', async () => {
    for (const pack of [false, true]) {
      await write(filesOf(emnist('letters'), [1, 26, 3], [2]), pack);
      const {train, test} = await loadEmnist('letters', {folder});
      expect([...train.labels].map((label) => train.classes[label])).toEqual(['A', 'Z', 'C']);
      expect([...test.labels].map((label) => test.classes[label])).toEqual(['B']);
      // Stored at row 26, column 20; seen at row 20, column 26.
      const pixels = await train.read([1]);
      expect(pixels.indexOf(1)).toBe(20 * 28 + 26);
      expect(pixels.reduce((a, b) => a + b)).toBe(1);
      await rm(folder, {recursive: true});
      folder = await mkdtemp(join(tmpdir(), 'engram-'));
    }
  });

  it('has the classes of each split that NIST names', () => {
    const counts = {byclass: 62, bymerge: 47, balanced: 47, letters: 26, digits: 10, mnist: 10};
    for (const [split, count] of Object.entries(counts)) {
      const {classes} = emnist(split as EmnistSplit);
      expect([split, classes.length, new Set(classes).size]).toEqual([split, count, count]);
    }
    expect(emnist('byclass').classes[36]).toBe('a');
    expect(emnist('balanced').classes.slice(36).join('')).toBe('abdefghnqrt');
    for (const wrong of ['letter', 'toString']) {
      expect(() => emnist(wrong as EmnistSplit)).toThrow(expect.objectContaining({code: 'ARGUMENT'}));
    }
  });

  it('is refused with a label that has no class', async () => {
    for (const [split, label] of [
      ['letters', 0],
      ['letters', 27],
      ['digits', 10],
    ] as const) {
      await write(filesOf(emnist(split), [1, label], [1]));
      const wrong = {...refused, received: `${label} for image 1`};
      await expect(loadEmnist(split, {folder})).rejects.toMatchObject(wrong);
    }
  });

  it('is refused with another number of labels than of images', async () => {
    const contents = filesOf(emnist('digits'), [1, 2], [1]);
    contents.set('emnist-digits-train-labels-idx1-ubyte', idx([3], [1, 2, 3]));
    await write(contents);
    await expect(loadEmnist('digits', {folder})).rejects.toMatchObject(refused);
  });

  it('is asked for by the names of its four files if it is not there', async () => {
    const error = await loadEmnist('letters', {folder}).catch((reason) => reason);
    expect(error).toMatchObject({...refused, received: 'no such file'});
    for (const part of ['train-images-idx3', 'train-labels-idx1', 'test-images-idx3', 'test-labels-idx1']) {
      expect(error.message).toContain(`emnist-letters-${part}-ubyte`);
    }
    // Without a folder there is nowhere to look: it is never downloaded.
    const nowhere = loadIdxSet(emnist('letters'));
    await expect(nowhere).rejects.toMatchObject({...refused, received: 'no folder'});
  });
});

describe('a set with checksums', () => {
  const labels = [0, 1, 2];
  const plain: IdxSet = {
    ...mnist,
    name: 'small',
    counts: {train: 3, test: 3},
    classes: ['zero', 'one', 'two'],
  };
  const contents = filesOf(plain, labels, labels);
  const withSum = ({name}: {name: string}) => ({
    name,
    sha256: createHash('sha256').update(contents.get(name)!).digest('hex'),
    bytes: gzipSync(contents.get(name)!).length,
  });
  const {trainImages, trainLabels, testImages, testLabels} = plain.files;
  const small: IdxSet = {
    ...plain,
    files: {
      trainImages: withSum(trainImages),
      trainLabels: withSum(trainLabels),
      testImages: withSum(testImages),
      testLabels: withSum(testLabels),
    },
  };

  it('is taken from a folder, packed or not, row by row', async () => {
    await write(contents, true);
    const {train, test} = await loadIdxSet(small, {folder});
    expect([train.count, test.count, ...train.labels]).toEqual([3, 3, ...labels]);
    expect((await train.read([2])).indexOf(1)).toBe(2 * 28 + 20);
  });

  it('is refused if one byte of one file is another', async () => {
    await write(contents);
    for (const [name, bytes] of contents) {
      const spoiled = Buffer.from(bytes);
      spoiled[spoiled.length - 1] ^= 1;
      await writeFile(join(folder, name), spoiled);
      const wrong = {...refused, expected: expect.stringContaining(name), received: expect.stringMatching('SHA-256')};
      await expect(loadIdxSet(small, {folder})).rejects.toMatchObject(wrong);
      await writeFile(join(folder, name), bytes);
    }
  });

  it('is refused if it has another number of images than it should', async () => {
    await write(contents);
    const more = {...plain, files: emnist('mnist').files, counts: {train: 4, test: 3}};
    await write(filesOf(more, labels, labels));
    await expect(loadIdxSet(more, {folder})).rejects.toMatchObject(refused);
  });

  it('is downloaded into the cache, and the rest of it if a part is there', async () => {
    const asked: string[] = [];
    const server = createServer((request, response) => {
      asked.push(request.url!);
      response.end(gzipSync(contents.get(request.url!.slice(1, -3))!));
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const source = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
    const cache = join(folder, 'cache');
    try {
      const shown: number[] = [];
      await loadIdxSet(small, {cache, source, onDownload: (received, total) => shown.push(received / total)});
      expect([asked.length, shown.at(-1)]).toEqual([4, 1]);
      expect(await readdir(cache)).toHaveLength(4);
      await rm(join(cache, `${testLabels.name}.gz`));
      const {test} = await loadIdxSet(small, {cache, source});
      expect([...test.labels, ...asked.slice(4)]).toEqual([...labels, `/${testLabels.name}.gz`]);
    } finally {
      server.closeAllConnections();
      server.close();
    }
  });
});

describe('MNIST', () => {
  it('is not believed by its names alone', async () => {
    await write(filesOf(mnist, [1], [1]));
    await expect(loadMnist({folder})).rejects.toMatchObject({...refused, received: expect.stringMatching('SHA-256')});
  });
});
