/** Scenarios: real digits read strictly, damaged files refused, tasks that are what they claim, metrics by hand. */
import {existsSync} from 'node:fs';
import {mkdtemp, readdir, readFile, rm, writeFile} from 'node:fs/promises';
import {createServer, type RequestListener} from 'node:http';
import type {AddressInfo} from 'node:net';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {gunzipSync, gzipSync} from 'node:zlib';
import fc from 'fast-check';
import {afterAll, beforeAll, describe, expect, it} from 'vitest';
import {digitsFile, loadDigits} from '../dist/scenarios/digits.js';
import {debianFolder, fashionMnistFiles, loadFashionMnist} from '../dist/scenarios/fashion-mnist.js';
import {parseIdx} from '../dist/scenarios/idx.js';
import {averageAccuracy, forgetting, forgettingOf} from '../dist/scenarios/metrics.js';
import {inputsOf, labelsOf, permutedTasks, shuffledRange, splitTasks} from '../dist/scenarios/sequences.js';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'engram-'));
});
afterAll(() => rm(folder, {recursive: true, force: true}));

const refused = {name: 'EngramError', code: 'DATA_FILE'};

describe('the digits', () => {
  it('are 1797 images of 64 pixels in 0..1 with the classes of the UCI description', async () => {
    const digits = await loadDigits();
    expect([digits.count, digits.height, digits.width, digits.classes.length]).toEqual([1797, 8, 8, 10]);
    expect(digits.pixels).toHaveLength(1797 * 64);
    const counts = Array(10).fill(0);
    for (const label of digits.labels) counts[label]++;
    expect(counts).toEqual([178, 182, 177, 183, 181, 182, 181, 179, 174, 180]);
    let [least, most] = [1, 0];
    for (const value of digits.pixels) [least, most] = [Math.min(least, value), Math.max(most, value)];
    expect([least, most]).toEqual([0, 1]);
    // First line of the file: the pixel after the left margin is 5 of 16, the digit is 0.
    expect([digits.pixels[2], digits.labels[0]]).toEqual([5 / 16, 0]);
  });

  const damage: Record<string, (text: string) => string> = {
    'a line is missing': (text) => text.slice(text.indexOf('\n') + 1),
    'a pixel is too black': (text) => text.replace('0,0,5', '0,0,17'),
    'a pixel is no number': (text) => text.replace('0,0,5', '0,0,x'),
    'a pixel is empty': (text) => text.replace('0,0,5', '0,,5'),
    'a pixel is negative': (text) => text.replace('0,0,5', '0,-1,5'),
    'a pixel is missing': (text) => text.replace('0,0,5', '0,5'),
    'a label is no digit': (text) => text.replace(/,0\n/, ',10\n'),
  };
  for (const [what, spoil] of Object.entries(damage)) {
    it(`are refused if ${what}`, async () => {
      const text = gunzipSync(await readFile(digitsFile)).toString();
      const file = join(folder, 'spoiled.csv.gz');
      await writeFile(file, gzipSync(spoil(text)));
      await expect(loadDigits(file)).rejects.toMatchObject(refused);
    });
  }

  it('are refused if the file is missing, no gzip, cut short or a bomb', async () => {
    const whole = await readFile(digitsFile);
    const files = {plain: 'no gzip', cut: whole.subarray(0, whole.length / 2), bomb: gzipSync(Buffer.alloc(1 << 24))};
    await expect(loadDigits(join(folder, 'nothing'))).rejects.toMatchObject({...refused, received: 'ENOENT'});
    for (const [name, contents] of Object.entries(files)) {
      await writeFile(join(folder, name), contents);
      await expect(loadDigits(join(folder, name))).rejects.toMatchObject(refused);
    }
  });
});

describe('an IDX file', () => {
  const idx = (shape: number[], values: number[], magic = [0, 0, 8, shape.length]) => {
    const bytes = Buffer.alloc(4 + 4 * shape.length + values.length);
    bytes.set(magic);
    shape.forEach((dimension, i) => {
      bytes.writeUInt32BE(dimension, 4 + 4 * i);
    });
    bytes.set(values, 4 + 4 * shape.length);
    return bytes;
  };

  it('is read plain and gzipped', () => {
    const bytes = idx([2, 3], [1, 2, 3, 4, 5, 255]);
    for (const file of [bytes, gzipSync(bytes)]) {
      const {shape, values} = parseIdx(file, 'test', [2, null]);
      expect([shape, [...values]]).toEqual([
        [2, 3],
        [1, 2, 3, 4, 5, 255],
      ]);
    }
  });

  const attacks: Record<string, Buffer> = {
    empty: Buffer.alloc(0),
    'three bytes': Buffer.from([0, 0, 8]),
    'a header cut short': idx([2, 3], []).subarray(0, 9),
    'floats instead of bytes': idx([1], [1], [0, 0, 0x0d, 1]),
    'a wrong magic number': idx([1], [1], [1, 0, 8, 1]),
    'no dimensions': idx([], []),
    'five dimensions': idx([1, 1, 1, 1, 1], [1]),
    'fewer values than it says': idx([2, 3], [1, 2, 3, 4, 5]),
    'more values than it says': idx([2, 3], [1, 2, 3, 4, 5, 6, 7]),
    'four gigabytes claimed': idx([0xffffffff], [1]),
    'dimensions that multiply beyond 2^53': idx([0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff], [1]),
    'dimensions that wrap to the right size in 32 bits': idx([0x10000, 0x10000, 1], []),
    'another shape': idx([3, 2], [1, 2, 3, 4, 5, 6]),
    'another rank': idx([6], [1, 2, 3, 4, 5, 6]),
    'a damaged archive': gzipSync(idx([2, 3], [1, 2, 3, 4, 5, 6])).subarray(0, 20),
  };
  for (const [what, bytes] of Object.entries(attacks)) {
    it(`is refused: ${what}`, () => {
      expect(() => parseIdx(bytes, 'test', [2, 3])).toThrow(expect.objectContaining(refused));
    });
  }

  it('is read as it was written or refused, whatever the bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({maxLength: 64}), fc.boolean(), (tail, honest) => {
        const bytes = honest ? Buffer.concat([Buffer.from([0, 0, 8, 1]), tail]) : Buffer.from(tail);
        try {
          const {shape, values} = parseIdx(bytes, 'test');
          return shape.reduce((a, b) => a * b, 1) === values.length;
        } catch (error) {
          return (error as {code?: string}).code === 'DATA_FILE';
        }
      }),
    );
  });
});

describe('Fashion-MNIST', () => {
  it.skipIf(!existsSync(debianFolder))(
    'is read from the Debian package: 70 000 images, every class alike, checksums right',
    async () => {
      const {train, test} = await loadFashionMnist({folder: debianFolder});
      for (const [images, perClass] of [
        [train, 6000],
        [test, 1000],
      ] as const) {
        const counts = Array(10).fill(0);
        for (const label of images.labels) counts[label]++;
        expect(counts).toEqual(Array(10).fill(perClass));
        expect(images.pixels).toHaveLength(perClass * 10 * 784);
      }
      expect(train.pixels.subarray(0, 784).every((value) => value >= 0 && value <= 1)).toBe(true);
    },
  );

  /** Downloads from a server of our own, as if Debian's package were not installed. */
  async function fetched(serve: RequestListener, cache: string, options: {signal?: AbortSignal} = {}) {
    const server = createServer(serve);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const source = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
    const shown: number[] = [];
    try {
      const onDownload = (received: number, total: number) => shown.push(received / total);
      await loadFashionMnist({cache, source, installed: folder, onDownload, ...options});
      return shown;
    } finally {
      server.closeAllConnections();
      server.close();
    }
  }

  it.skipIf(!existsSync(debianFolder))('is downloaded once, with progress, and then read from the cache', async () => {
    const cache = join(folder, 'cache');
    const serve: RequestListener = async (request, response) =>
      response.end(await readFile(join(debianFolder, request.url!)));
    const shown = await fetched(serve, cache);
    expect(shown.at(-1)).toBeCloseTo(1, 3);
    expect(shown).toEqual(shown.toSorted((a, b) => a - b));
    expect(await readdir(cache)).toHaveLength(4);
    expect(await fetched((_, response) => response.writeHead(500).end(), cache)).toEqual([]);
  });

  it('leaves nothing in the cache after a download that fails, is wrong, too long or stopped', async () => {
    const servers: Record<string, RequestListener> = {
      'HTTP status 404': (_, response) => response.writeHead(404).end(),
      'SHA-256': (_, response) => response.end('something else'),
      'more than': (_, response) => {
        const send = () => response.write(Buffer.alloc(1 << 20), (error) => !error && send());
        send();
      },
      'other side closed|ECONNRESET|UND_ERR_SOCKET': (_, response) => response.destroy(),
    };
    const cache = join(folder, 'empty');
    for (const [received, serve] of Object.entries(servers)) {
      const matching = {...refused, received: expect.stringMatching(received)};
      await expect(fetched(serve, cache), received).rejects.toMatchObject(matching);
      expect(await readdir(cache)).toEqual([]);
    }
    const stopped = {signal: AbortSignal.timeout(200)};
    await expect(fetched(() => {}, cache, stopped)).rejects.toMatchObject({name: 'TimeoutError'});
    expect(await readdir(cache)).toEqual([]);
  });

  it('is refused from a folder without it, or with another file under its name', async () => {
    await expect(loadFashionMnist({folder})).rejects.toMatchObject({...refused, received: 'no such file'});
    for (const {name} of Object.values(fashionMnistFiles)) await writeFile(join(folder, name), 'something else');
    await expect(loadFashionMnist({folder})).rejects.toMatchObject(refused);
  });
});

describe('permuted tasks', () => {
  it('show the same pixels in another order: task 1 as they are, each task its own way', async () => {
    const digits = await loadDigits();
    const {tasks, scenario, channels} = permutedTasks('test', digits, 4, 7);
    expect([tasks.length, scenario, channels]).toEqual([4, 'domain-incremental', 1]);
    for (const {classes} of tasks) expect(classes).toEqual(digits.classes);
    // An image whose pixel p has the value p shows where each pixel goes.
    const places = Float32Array.from({length: 64}, (_, p) => p);
    const orders = tasks.map(({train}) => [...(train.view?.(places) ?? places)]);
    expect(orders[0]).toEqual([...places]);
    for (const order of orders) expect(order.toSorted((a, b) => a - b)).toEqual([...places]);
    expect(new Set(orders.map(String)).size).toBe(4);
    for (const [task, {test}] of tasks.entries()) {
      expect([...(test.view?.(places) ?? places)]).toEqual(orders[task]);
    }

    const {train} = tasks[2];
    const inputs = await inputsOf(train);
    const [row, p] = [17, 30];
    expect(inputs[row * 64 + p]).toBe(digits.pixels[train.indices[row] * 64 + orders[2][p]]);
    expect(labelsOf(train)).toBeInstanceOf(Int32Array);
    expect(labelsOf(train)[row]).toBe(digits.labels[train.indices[row]]);
  });

  it('never train on a test image of any task', async () => {
    const digits = await loadDigits();
    for (const seed of [1, 2, 3]) {
      const {tasks} = permutedTasks('test', digits, 3, seed);
      const tested = new Set(tasks.flatMap(({test}) => [...test.indices]));
      const trained = new Set(tasks.flatMap(({train}) => [...train.indices]));
      expect([tested.size, trained.size]).toEqual([449, 1348]);
      expect([...tested].filter((index) => trained.has(index))).toEqual([]);
    }
  });

  it('are the same for the same seed, others for another, and do not depend on how many follow', async () => {
    const digits = await loadDigits();
    const second = async (tasks: number, seed: number) => {
      const {train, test} = permutedTasks('test', digits, tasks, seed).tasks[1];
      return {inputs: await inputsOf({...train, indices: Uint32Array.of(0, 1)}), test: test.indices};
    };
    expect(await second(2, 5)).toEqual(await second(9, 5));
    expect((await second(2, 5)).inputs).not.toEqual((await second(2, 6)).inputs);
    expect((await second(2, 5)).test).not.toEqual((await second(2, 6)).test);
  });

  it('are refused in an impossible number', async () => {
    const digits = await loadDigits();
    for (const tasks of [0, -1, 1.5, Number.NaN, 1e9]) {
      expect(() => permutedTasks('test', digits, tasks, 1)).toThrow(expect.objectContaining({code: 'ARGUMENT'}));
    }
  });
});

describe('split tasks', () => {
  const pairs = [
    [0, 1],
    [2, 3],
    [4, 5],
    [6, 7],
    [8, 9],
  ];
  const scenarios = ['task-incremental', 'domain-incremental', 'class-incremental'] as const;

  it('have two classes each, all of their images, and no others, in every scenario', async () => {
    const digits = await loadDigits();
    for (const scenario of scenarios) {
      const sequence = splitTasks('test', {train: digits, test: digits}, 5, scenario);
      expect(sequence.scenario).toBe(scenario);
      for (const [task, {train, classes}] of sequence.tasks.entries()) {
        const shown = new Set([...train.indices].map((index) => digits.labels[index]));
        expect([...shown].toSorted()).toEqual(pairs[task]);
        expect(classes).toEqual(pairs[task].map(String));
      }
      expect(sequence.tasks.reduce((sum, {train}) => sum + train.indices.length, 0)).toBe(1797);
      const six = () => splitTasks('test', {train: digits, test: digits}, 6, scenario);
      expect(six).toThrow(expect.objectContaining({code: 'ARGUMENT'}));
    }
  });

  it('count their labels from 0, as places in their own list of classes', async () => {
    const digits = await loadDigits();
    const {tasks} = splitTasks('test', {train: digits, test: digits}, 2, 'class-incremental', 5);
    expect(tasks.map(({classes}) => classes.join())).toEqual(['0,1,2,3,4', '5,6,7,8,9']);
    for (const {train, classes} of tasks) {
      const named = Array.from(labelsOf(train), (label) => classes[label]);
      expect(named).toEqual(Array.from(train.indices, (index) => String(digits.labels[index])));
    }
  });
});

describe('a shuffle', () => {
  it('is a permutation for every size and seed', () => {
    fc.assert(
      fc.property(fc.nat(200), fc.string(), (count, seed) => {
        const sorted = [...shuffledRange(count, seed)].toSorted((a, b) => a - b);
        return sorted.every((value, i) => value === i) && sorted.length === count;
      }),
    );
  });

  it('gives every order alike', () => {
    const counts = new Map<string, number>();
    for (let seed = 0; seed < 6000; seed++) {
      const order = shuffledRange(3, String(seed)).join();
      counts.set(order, (counts.get(order) ?? 0) + 1);
    }
    expect(counts.size).toBe(6);
    // 1000 expected of each; the standard deviation is 29.
    for (const count of counts.values()) expect(Math.abs(count - 1000)).toBeLessThan(150);
  });
});

describe('the metrics', () => {
  const matrix = [
    [0.9, 0.1, 0.2],
    [0.95, 0.8, 0.3],
    [0.5, 0.6, 0.7],
  ];

  it('agree with numbers worked out by hand', () => {
    expect(averageAccuracy(matrix)).toBeCloseTo((0.5 + 0.6 + 0.7) / 3, 12);
    expect(averageAccuracy(matrix, 1)).toBeCloseTo((0.95 + 0.8) / 2, 12);
    expect(forgettingOf(matrix, 0)).toBeCloseTo(0.95 - 0.5, 12);
    expect(forgettingOf(matrix, 1)).toBeCloseTo(0.8 - 0.6, 12);
    expect(forgettingOf(matrix, 2)).toBeUndefined();
    expect(forgetting(matrix)).toBeCloseTo((0.45 + 0.2) / 2, 12);
    expect(forgetting(matrix, 1)).toBeCloseTo(0.9 - 0.95, 12);
    expect(forgetting([[0.4]])).toBe(0);
  });

  it('refuse what is no accuracy matrix', () => {
    for (const wrong of [[], [[1, 2]], [[1], [1, 2]]]) {
      expect(() => averageAccuracy(wrong)).toThrow(expect.objectContaining({code: 'SHAPE'}));
    }
    expect(() => forgetting(matrix, 3)).toThrow(expect.objectContaining({code: 'ARGUMENT'}));
  });
});
