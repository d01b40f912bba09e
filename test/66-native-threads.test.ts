/** The number of threads is the caller's to choose, and no result depends on chance. */
import {spawnSync} from 'node:child_process';
import * as tf from '@tensorflow/tfjs';
import {afterEach, expect, it} from 'vitest';
import {setThreads, threads} from '../dist/backends/native.js';
import {EngramError} from '../dist/errors.js';
import {bytesOf, tensor} from './backend.js';
import {describeAddon, engine, randomArray, useDefaults} from './native.js';

const bytes = ({buffer}: Float32Array) => Buffer.from(buffer);

/** Importance of a convolution with enough work for all threads: 16 samples of 16 x 16 positions, 72 x 32 weights. */
function moment(phi: 'abs' | 'square' | 'identity'): Buffer {
  const flat = {inDepth: 1, filterDepth: 1, outDepth: 1, strideDepth: 1, dilationDepth: 1, padFront: 0};
  const image = {inHeight: 16, inWidth: 16, outHeight: 16, outWidth: 16, inChannels: 8, fanOut: 32};
  const window = {filterHeight: 3, filterWidth: 3, strideHeight: 1, strideWidth: 1, padTop: 1, padLeft: 1};
  const sums = new Float32Array(3 * 3 * 8 * 32);
  engine.run(
    'grad_moment',
    {phi, samples: 16, uses: 1, ...flat, ...image, ...window, dilationHeight: 1, dilationWidth: 1},
    {
      activations: randomArray(16 * 16 * 16 * 8, 1),
      deltas: randomArray(16 * 16 * 16 * 32, 2),
      moment: sums,
    },
  );
  return bytes(sums);
}

describeAddon('threads of the native backend', () => {
  afterEach(useDefaults);

  it.each([1, 2, 3, 256])('are as many as were set: %i', (count) => {
    setThreads(count);
    expect(threads()).toBe(count);
  });

  it.each([
    ['0', 0],
    ['-1', -1],
    ['1.500000', 1.5],
    ['257', 257],
    ['1000000000000', 1e12],
    ['inf', Number.POSITIVE_INFINITY],
    ['not a number', Number.NaN],
    ['a string', '2'],
    ['nothing', undefined],
    ['nothing', null],
    ['something else', true],
    ['something else', [2]],
    ['something else', 2n],
  ])('are not set to %s', (received, count) => {
    setThreads(2);
    let refused: unknown;
    try {
      setThreads(count as number);
    } catch (error) {
      refused = error;
    }
    expect(refused).toBeInstanceOf(EngramError);
    expect(refused).toMatchObject({
      code: 'ARGUMENT',
      expected: 'a whole number of threads from 1 to 256',
      received,
      remedy: 'Pass os.availableParallelism(), say.',
    });
    expect(threads()).toBe(2);
  });

  it('start as ENGRAM_NUM_THREADS says, or as many as the machine has', () => {
    const run = (ENGRAM_NUM_THREADS?: string) => {
      const program = `
        import {availableParallelism} from 'node:os';
        import {setThreads, threads} from 'engram/native';
        const before = threads();
        setThreads(5);
        console.log(before, threads(), availableParallelism());`;
      const {ENGRAM_NUM_THREADS: _, ...env} = process.env;
      const {stdout, stderr} = spawnSync(process.execPath, ['--input-type=module', '-e', program], {
        encoding: 'utf8',
        env: ENGRAM_NUM_THREADS ? {...env, ENGRAM_NUM_THREADS} : env,
      });
      expect(stderr).toBe('');
      return stdout.trim().split(' ').map(Number);
    };
    expect(run('3').slice(0, 2)).toEqual([3, 5]);
    const [before, after, machine] = run();
    expect([before, after]).toEqual([machine, 5]);
  });

  it('are refused where the addon is missing', () => {
    const program = `
      import {setThreads, threads} from 'engram/native';
      for (const call of [() => threads(), () => setThreads(2)]) {
        try { call(); } catch ({name, code, remedy}) { console.log(name, code, remedy); }
      }`;
    const {stdout} = spawnSync(process.execPath, ['--input-type=module', '-e', program], {
      encoding: 'utf8',
      env: {...process.env, ENGRAM_NATIVE: 'skip'},
    });
    expect(stdout).toMatch(/^(EngramError NO_ADDON Run "npm run build:native".*\n){2}$/);
  });

  it.each(['abs', 'square', 'identity'] as const)('change no bit of importance, phi %s', (phi) => {
    setThreads(1);
    const one = moment(phi);
    expect(one.some((byte) => byte !== 0)).toBe(true);
    for (const count of [2, 3]) {
      setThreads(count);
      for (let again = 0; again < 3; again++) expect(moment(phi).equals(one), `${count} threads`).toBe(true);
    }
  });

  it.each([1, 2, 3])('give a matrix product the same bits again, on %i', async (count) => {
    await tf.setBackend('native');
    setThreads(count);
    const [a, b] = [tensor([300, 257], 1) as tf.Tensor2D, tensor([257, 129], 2) as tf.Tensor2D];
    const first = bytesOf(() => tf.matMul(a, b));
    expect(first.length).toBe(300 * 129 * 4);
    expect(first.some((byte) => byte !== 0)).toBe(true);
    for (let again = 0; again < 10; again++) expect(bytesOf(() => tf.matMul(a, b)).equals(first)).toBe(true);
    tf.dispose([a, b]);
  });
});
