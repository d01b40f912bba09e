/** Elementwise kernels of the native backend against tfjs' cpu: any shape, any broadcast, odd values, nothing left to JavaScript. */
import * as tf from '@tensorflow/tfjs';
import fc from 'fast-check';
import {afterAll, beforeAll, expect, it} from 'vitest';
import '../dist/backends/native.js';
import {anyShape, broadcastPair, bytesOf, expectClose, expectSame, oddTensor, tensor} from './backend.js';
import {describeAddon, setups, use, useDefaults} from './native.js';

type Unary = (x: tf.Tensor) => tf.Tensor;
type Binary = (a: tf.Tensor, b: tf.Tensor) => tf.Tensor;

/** Bit for bit as on cpu. */
const exactUnary: Record<string, Unary> = {
  abs: tf.abs,
  ceil: tf.ceil,
  clip: (x) => tf.clipByValue(x, -0.7, 1.1),
  floor: tf.floor,
  isFinite: tf.isFinite,
  isInf: tf.isInf,
  isNaN: tf.isNaN,
  leakyRelu: (x) => tf.leakyRelu(x, 0.3),
  neg: tf.neg,
  reciprocal: tf.reciprocal,
  relu: tf.relu,
  relu6: tf.relu6,
  round: tf.round,
  sign: tf.sign,
  sqrt: tf.sqrt,
  square: tf.square,
  step: (x) => tf.step(x, 0.25),
};
/** Within four units in the last place. (cpu's softplus leaves out a term of that size below -13.94.) */
const closeUnary: Record<string, Unary> = {
  acos: tf.acos,
  acosh: tf.acosh,
  asin: tf.asin,
  asinh: tf.asinh,
  atan: tf.atan,
  atanh: tf.atanh,
  cos: tf.cos,
  cosh: tf.cosh,
  elu: tf.elu,
  erf: tf.erf,
  exp: tf.exp,
  expm1: tf.expm1,
  log: tf.log,
  log1p: tf.log1p,
  rsqrt: tf.rsqrt,
  selu: tf.selu,
  sigmoid: tf.sigmoid,
  sin: tf.sin,
  sinh: tf.sinh,
  softplus: (x) => tf.softplus(tf.maximum(x, -13.9)),
  tan: tf.tan,
  tanh: tf.tanh,
};
const exactBinary: Record<string, Binary> = {
  add: tf.add,
  sub: tf.sub,
  mul: tf.mul,
  div: tf.div,
  maximum: tf.maximum,
  minimum: tf.minimum,
  squaredDifference: tf.squaredDifference,
  mod: tf.mod,
  floorDiv: tf.floorDiv,
  prelu: tf.prelu,
  equal: tf.equal,
  notEqual: tf.notEqual,
  less: tf.less,
  lessEqual: tf.lessEqual,
  greater: tf.greater,
  greaterEqual: tf.greaterEqual,
  logicalAnd: (a, b) => tf.logicalAnd(a.greater(0), b.greater(0)),
  logicalOr: (a, b) => tf.logicalOr(a.greater(0), b.greater(0)),
  addN: (a, b) => tf.addN([a.add(b), b.add(a), tf.mul(a, b)]),
  where: (a, b) => tf.where(b.greater(0), a, b),
};
const closeBinary: Record<string, Binary> = {pow: tf.pow, atan2: tf.atan2};

const shapes = fc.tuple(anyShape, fc.integer({min: 1, max: 1000}), fc.constantFrom(1, 3, 12));

describeAddon('elementwise kernels of the native backend', () => {
  beforeAll(async () => {
    await tf.ready();
    await tf.setBackend('native');
  });
  afterAll(useDefaults);

  it.each(Object.entries(exactUnary))('%s is as on cpu, bit for bit', (_, run) => {
    fc.assert(
      fc.property(shapes, ([shape, seed, scale]) => expectSame(() => run(oddTensor(shape, seed, scale)), 0)),
      {numRuns: 25},
    );
    expectSame(() => run(oddTensor([70_001], 1)), 0);
  });

  it.each(Object.entries(closeUnary))('%s is as on cpu but for rounding', (_, run) => {
    fc.assert(
      fc.property(shapes, ([shape, seed, scale]) => expectClose(() => run(oddTensor(shape, seed, scale)), 4)),
      {numRuns: 25},
    );
    expectClose(() => run(oddTensor([70_001], 1, 100)), 4);
  });

  it.each(Object.entries(exactBinary))('%s broadcasts as on cpu, bit for bit', (_, run) => {
    fc.assert(
      fc.property(broadcastPair, fc.integer({min: 1, max: 1000}), ([a, b], seed) =>
        expectSame(() => run(oddTensor(a, seed), oddTensor(b, seed + 1)), 0),
      ),
      {numRuns: 40},
    );
  });

  it.each(Object.entries(closeBinary))('%s broadcasts as on cpu but for rounding', (_, run) => {
    fc.assert(
      fc.property(broadcastPair, fc.integer({min: 1, max: 1000}), ([a, b], seed) =>
        expectClose(() => run(oddTensor(a, seed), oddTensor(b, seed + 1)), 2),
      ),
      {numRuns: 40},
    );
  });

  it('broadcasts large tensors, short and long rows, either side', () => {
    const pairs: [number[], number[]][] = [
      [[50_000, 3], [3]],
      [[300, 500], [500]],
      [
        [300, 500],
        [300, 1],
      ],
      [
        [300, 1],
        [1, 500],
      ],
      [[200, 7, 100], [100]],
      [
        [200, 7, 10],
        [200, 1, 10],
      ],
      [[150_000], []],
    ];
    for (const [a, b] of pairs) {
      for (const run of [tf.sub, tf.less] as Binary[]) {
        expectSame(() => run(tensor(a, 1), tensor(b, 2)), 0);
        expectSame(() => run(tensor(b, 2), tensor(a, 1)), 0);
      }
    }
  });

  it('gives the same bits on any number of threads, and on every instruction set where the operation has them', () => {
    const runs: Binary[] = [tf.add, tf.less, tf.squaredDifference, (a) => tf.relu(a), (a) => tf.sqrt(a)];
    for (const shape of [[70_001, 3], [3], [70_001, 1]]) {
      const [a, b] = [oddTensor([70_001, 3], 1), oddTensor(shape, 3)];
      const all = () => runs.map((run) => bytesOf(() => run(a, b)));
      const truth = all();
      for (const [set, threads] of setups) {
        use(set, threads);
        all().forEach((bytes, i) => {
          expect(bytes.equals(truth[i]), `operation ${i}, ${set}, ${threads} threads`).toBe(true);
        });
      }
      useDefaults();
      tf.dispose([a, b]);
    }
  });

  it('takes a square for a power of two, also where only the base is long', () => {
    expectSame(() => tf.pow(oddTensor([3000], 1), 2), 0);
  });

  it('is differentiable as on cpu: Elu and Selu have kernels of their own for it', () => {
    for (const run of [tf.elu, tf.selu, tf.softplus, tf.sigmoid] as Unary[]) {
      expectClose(() => tf.grad((x) => run(x).sum())(tensor([40, 50], 1)), 64);
    }
  });

  it('refuses what tfjs refuses, in its words', () => {
    tf.setBackend('native');
    expect(() => tf.add(tensor([2, 3], 1), tensor([2, 4], 1))).toThrow('Operands could not be broadcast together');
  });

  it('leaves integers and booleans to cpu', () => {
    const integers = () => tf.tensor1d([5, -7, 0], 'int32');
    for (const run of [tf.add, tf.mod, tf.floorDiv, tf.maximum, tf.equal] as Binary[]) {
      expectSame(() => run(integers(), tf.tensor1d([3, 3, 3], 'int32')), 0);
    }
    expectSame(() => tf.abs(integers()), 0);
    expectSame(() => tf.logicalNot(tf.tensor1d([true, false], 'bool')), 0);
    expectSame(() => tf.clipByValue(tensor([5], 1), Number.NEGATIVE_INFINITY, 0.1), 0);
  });

  it('selects rows by a condition of rank one, and all by a single one', () => {
    tf.setBackend('native');
    const select = (condition: tf.Tensor) =>
      tf.tidy(() => {
        const inputs = {condition, t: tf.tensor2d([1, 2, 3, 4], [2, 2]), e: tf.tensor2d([5, 6, 7, 8], [2, 2])};
        return Array.from((tf.engine().runKernel('Select', inputs) as tf.Tensor).dataSync());
      });
    expect(select(tf.tensor1d([false, true], 'bool'))).toEqual([5, 6, 3, 4]);
    expect(select(tf.scalar(true, 'bool'))).toEqual([1, 2, 3, 4]);
  });

  it('writes only into fresh memory', () => {
    tf.setBackend('native');
    const x = tensor([5000], 1);
    const copy = x.dataSync().slice();
    for (const run of [...Object.values(exactUnary), ...Object.values(closeUnary)]) run(x).dispose();
    tf.addN([x, x]).dispose();
    expect(x.dataSync()).toEqual(copy);
    expectSame(() => tf.addN([tf.scalar(-0)]));
  });
});
