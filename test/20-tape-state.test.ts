// The tape borrows TensorFlow.js' state for a moment and gives it back: after success, after every kind of throw.
import * as tf from '@tensorflow/tfjs';
import {afterEach, beforeAll, beforeEach, describe, expect, it, vi} from 'vitest';
import {
  asNetwork,
  type BatchRecord,
  type NetworkLike,
  type OperandRecord,
  SampleTape,
  selfTest,
} from '../dist/tape/index.js';
import {contained} from '../dist/tape/tfjs.js';
import {fill, normal, type Tensors, tapeOf, twice} from './tape.js';

beforeAll(async () => {
  await tf.setBackend('cpu');
  selfTest();
});

let weights: tf.Variable;
let before: object;
beforeEach(() => {
  weights = tf.variable(normal([3, 2], 1));
  before = state();
});
afterEach(() => {
  // Whatever a test did, tfjs is as it was and still differentiates.
  expect(state()).toEqual(before);
  const {value, grads} = tf.variableGrads(() => tf.sum(tf.square(weights)) as tf.Scalar, [weights]);
  expect(grads[weights.name].dataSync()).toEqual(tf.mul(weights, 2).dataSync());
  tf.dispose([value, grads]);
  weights.dispose();
});

function state(): object {
  const {activeTape, gradientDepth, kernelDepth, scopeStack} = tf.engine().state;
  const patched = ['runKernel', 'customGrad', 'clone'].filter((name) => Object.hasOwn(tf.engine(), name));
  const {numTensors, numDataBuffers} = tf.memory();
  return {
    activeTape: activeTape ?? null,
    gradientDepth,
    kernelDepth,
    scopes: scopeStack.length,
    patched,
    numTensors,
    numDataBuffers,
  };
}

const network = (forward: (x: tf.Tensor) => unknown): NetworkLike => ({
  forward: forward as (x: Tensors) => Tensors,
  variables: [weights],
});
const withBatch = async (body: (x: tf.Tensor) => Promise<unknown>) => {
  const x = normal([4, 3], 2);
  try {
    await body(x);
  } finally {
    x.dispose();
  }
};

describe('no tensor is left', () => {
  it('by a hundred batches, certificate and fallback included', () =>
    withBatch(async (x) => {
      const layers = [
        tf.layers.conv2d({filters: 2, kernelSize: 2, inputShape: [3, 3, 1], activation: 'relu'}),
        tf.layers.batchNormalization(),
        tf.layers.flatten(),
        tf.layers.dense({units: 3, activation: 'softmax'}),
      ];
      const model = fill(tf.sequential({layers}));
      const images = normal([5, 3, 3, 1], 4);
      for (let i = 0; i < 50; i++) {
        const tape = tapeOf(model);
        (await tape.record(images)).dispose();
        (await tape.record(images)).dispose();
        await tape.eachSample(
          images,
          asNetwork(model).variables.map(({name}) => name),
          () => {},
        );
      }
      const coupled = tapeOf(network((batch) => tf.matMul(tf.sub(batch, tf.mean(batch, 0)), weights)));
      (await coupled.record(x)).dispose();
      images.dispose();
      model.dispose();
    }));

  it('by a record beyond its operands, and disposing twice does no harm', () =>
    withBatch(async (x) => {
      const tape = tapeOf(network((batch) => tf.matMul(batch, weights)));
      const start = tf.memory().numTensors;
      const record = await tape.record(x);
      expect(tf.memory().numTensors - start).toBe(2);
      record.dispose();
      record.dispose();
    }));

  it('of the user by networks that return their input, or a variable', () =>
    withBatch(async (x) => {
      (await tapeOf(network((batch) => batch)).record(x)).dispose();
      const {fallback} = await tapeOf(network(() => weights)).record(x);
      expect([...fallback.keys()]).toEqual([weights.name]);
      expect(x.isDisposed || weights.isDisposed).toBe(false);
    }));

  it('inside a tf.tidy that ends before the record is used', () =>
    withBatch(async (x) => {
      const tape = tapeOf(network((batch) => tf.matMul(batch, weights)));
      (await tape.record(x)).dispose();
      let recording!: Promise<BatchRecord>;
      tf.tidy(() => {
        recording = tape.record(x);
      });
      const record = await recording;
      const {deltas} = record.operands.get(weights.name) as OperandRecord;
      expect(deltas.isDisposed).toBe(false);
      record.dispose();
    }));
});

describe('tfjs is restored when', () => {
  const fails = (forward: (x: tf.Tensor) => unknown, expected: object) =>
    withBatch(async (x) => {
      const tape = tapeOf(network(forward));
      await expect(tape.record(x)).rejects.toMatchObject(expected);
      await expect(tape.eachSample(x, [weights.name], () => {})).rejects.toMatchObject(expected);
    });

  it('forward throws, in scopes of its own', () =>
    fails(
      (x) => {
        tf.engine().startScope('left open');
        return tf.tidy(() => {
          tf.softmax(tf.matMul(x, weights));
          throw new TypeError('broken network');
        });
      },
      {name: 'TypeError', message: 'broken network'},
    ));

  it('a custom gradient throws after it has saved tensors', () =>
    fails(
      (x) => {
        const broken = tf.customGrad((input, save) => {
          (save as (tensors: tf.Tensor[]) => void)([input as tf.Tensor]);
          throw new TypeError('broken gradient');
        });
        return broken(tf.matMul(x, weights));
      },
      {message: 'broken gradient'},
    ));

  it('forward is asynchronous', () =>
    fails(
      async (x) => {
        await Promise.resolve();
        if (x.isDisposed) throw new Error('too late');
      },
      {code: 'ARGUMENT', received: 'a promise'},
    ));

  it('forward returns something symbolic, or nothing, or whole numbers', async () => {
    const symbolic = tf.layers.dense({units: 2}).apply(tf.input({shape: [3]}));
    before = state();
    await fails(() => symbolic, {code: 'ARGUMENT', received: 'an object of class SymbolicTensor'});
    await fails(() => undefined, {code: 'ARGUMENT', received: 'undefined'});
    await fails((x) => tf.argMax(tf.matMul(x, weights), 1), {code: 'DTYPE', received: 'int32'});
  });

  it('a gradient function throws or is missing: then tfjs says so in its own words', () =>
    withBatch(async (x) => {
      const broken = tf.customGrad((input) => ({
        value: tf.clone(input as tf.Tensor),
        gradFunc: () => {
          throw new TypeError('broken gradient');
        },
      }));
      for (const [forward, message] of [
        [broken, /broken gradient/],
        [(z: tf.Tensor) => tf.topk(z, 1).values, /gradient function not found for TopK/],
      ] as const) {
        const tape = tapeOf(network((batch) => forward(tf.matMul(batch, weights))));
        const {fallback} = await tape.record(x);
        expect(fallback.get(weights.name)).toMatch(message);
        await expect(tape.eachSample(x, [weights.name], () => {})).rejects.toThrow(message);
      }
    }));

  it('the seed has the wrong shape', () =>
    withBatch(async (x) => {
      const tape = tapeOf(
        network((batch) => tf.matMul(batch, weights)),
        'logits',
        (F) => tf.sum(F),
      );
      await expect(tape.record(x)).rejects.toMatchObject({code: 'SHAPE', received: '[]'});
      await expect(tape.eachSample(x, [weights.name], () => {})).rejects.toMatchObject({code: 'SHAPE'});
    }));

  it('somebody else stands in front of runKernel', () =>
    withBatch(async (x) => {
      const engine = tf.engine();
      const spy = vi.fn(engine.runKernel.bind(engine));
      engine.runKernel = spy as typeof engine.runKernel;
      (await tapeOf(network((batch) => tf.matMul(batch, weights))).record(x)).dispose();
      expect(engine.runKernel).toBe(spy);
      expect(spy).toHaveBeenCalled();
      delete (engine as Partial<typeof engine>).runKernel;
    }));

  it('contained() unwinds by itself', () => {
    const broken = () =>
      contained(() => {
        tf.engine().startScope();
        tf.engine().state.gradientDepth = 3;
        throw new Error('on purpose');
      });
    expect(broken).toThrow('on purpose');
  });
});

describe('bad calls are refused with a typed error', () => {
  it('inside a gradient function', () =>
    withBatch(async (x) => {
      const tape = tapeOf(network((batch) => tf.matMul(batch, weights)));
      const attempts: Promise<unknown>[] = [];
      const {value, grads} = tf.variableGrads(() => {
        attempts.push(
          tape.record(x),
          tape.eachSample(x, [weights.name], () => {}),
        );
        return tf.sum(weights) as tf.Scalar;
      }, [weights]);
      tf.dispose([value, grads]);
      for (const attempt of attempts) await expect(attempt).rejects.toMatchObject({code: 'NESTED_TAPE'});
    }));

  it('without samples, with unequal inputs, with no tensor', async () => {
    const tape = tapeOf(network((batch) => tf.matMul(batch, weights)));
    const [empty, two, three, scalar] = [tf.zeros([0, 3]), tf.zeros([2, 3]), tf.zeros([3, 3]), tf.scalar(1)];
    await expect(tape.record(empty)).rejects.toMatchObject({code: 'EMPTY_DATA'});
    await expect(tape.record([two, three])).rejects.toMatchObject({code: 'SHAPE'});
    await expect(tape.record(scalar)).rejects.toMatchObject({code: 'SHAPE'});
    await expect(tape.record([])).rejects.toMatchObject({code: 'ARGUMENT'});
    await expect(tape.record([[1, 2, 3]] as unknown as tf.Tensor)).rejects.toMatchObject({code: 'ARGUMENT'});
    tf.dispose([empty, two, three, scalar]);
  });

  it('for unknown variables', () =>
    withBatch(async (x) => {
      const tape = tapeOf(network((batch) => tf.matMul(batch, weights)));
      await expect(tape.eachSample(x, ['nobody'], () => {})).rejects.toMatchObject({code: 'UNKNOWN_VARIABLE'});
    }));

  it('for what is no network', () => {
    const forward = (x: Tensors) => x;
    const gone = tf.variable(tf.zeros([1]));
    const int = tf.variable(tf.zeros([1], 'int32'), true, undefined, 'int32');
    gone.dispose();
    for (const [wrong, code] of [
      [null, 'ARGUMENT'],
      [{}, 'ARGUMENT'],
      [{forward}, 'ARGUMENT'],
      [{forward, variables: []}, 'ARGUMENT'],
      [{forward, variables: [3]}, 'ARGUMENT'],
      [{forward, variables: [gone]}, 'DISPOSED'],
      [{forward, variables: [int]}, 'DTYPE'],
    ] as const) {
      expect(() => asNetwork(wrong as unknown as NetworkLike), JSON.stringify(wrong)).toThrow(
        expect.objectContaining({code}),
      );
    }
    int.dispose();
    before = state();
  });

  it('and a tape for a variable that is not the network’s own reports it as unreached', () =>
    withBatch(async (x) => {
      const initial = normal([2], 3);
      const stranger = tf.variable(initial);
      const owner = asNetwork(network((batch) => tf.matMul(batch, weights)));
      const tape = new SampleTape(owner, {variables: [stranger], seed: twice, output: 'logits'});
      const {operands, fallback, unreached} = await tape.record(x);
      expect([operands.size, fallback.size, [...unreached]]).toEqual([0, 0, [stranger.name]]);
      tf.dispose([initial, stranger]);
    }));
});
