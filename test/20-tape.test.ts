// One forward and one backward pass give what a loop over single samples gives, for every network that has rules.
import * as tf from '@tensorflow/tfjs';
import {beforeAll, describe, expect, it} from 'vitest';
import type {NetworkLike} from '../dist/tape/index.js';
import {
  countKernels,
  definition,
  deviation,
  exact,
  fill,
  measure,
  normal,
  plainNames,
  type Tensors,
  tapeOf,
} from './tape.js';

beforeAll(() => tf.setBackend('cpu'));

interface Case {
  network: NetworkLike & {dispose?: () => unknown};
  /** F by hand: the same weights without the last activation. */
  logits: (x: Tensors) => Tensors;
  variables: tf.Variable[];
  inputShape: number[];
  /** Rules by variable name. */
  rules: Record<string, string>;
}

type Layers = tf.layers.Layer[];
const {dense, conv2d, batchNormalization, flatten, reshape, softmax, activation} = tf.layers;

/** A tf.layers model whose last layer is an activation on its own in `logits`, and possibly inside a layer in `model`. */
function layered(layers: Layers, rules: Record<string, string>, inputShape: number[], strip = 0): Case {
  const model = fill(tf.sequential({layers}));
  const body = tf.sequential({layers: layers.slice(0, layers.length - strip)});
  return {
    network: model,
    logits: (x) => body.apply(x, {training: false}) as tf.Tensor,
    variables: model.trainableWeights.map((weight) => weight.read() as tf.Variable),
    inputShape,
    rules,
  };
}

function plain(
  variables: tf.Variable[],
  forward: (x: tf.Tensor) => Tensors,
  rules: Record<string, string>,
  inputShape: number[],
): Case {
  const run = forward as (x: Tensors) => Tensors;
  return {network: {forward: run, variables}, logits: run, variables, inputShape, rules};
}

let made = 0;
const variable = (name: string, shape: number[]) => tf.variable(normal(shape, 7 + made++), true, `${name}${made}`);

const cases: Record<string, () => Case> = {
  'MLP, relu, with a softmax layer': () =>
    layered(
      [
        dense({units: 7, inputShape: [5], activation: 'relu', name: 'one'}),
        dense({units: 6, activation: 'tanh', name: 'two'}),
        dense({units: 4, name: 'three'}),
        softmax({name: 'softmax'}),
      ],
      {
        'one/kernel': 'dense',
        'one/bias': 'bias',
        'two/kernel': 'dense',
        'two/bias': 'bias',
        'three/kernel': 'dense',
        'three/bias': 'bias',
      },
      [5],
      1,
    ),
  'MLP with a linear head and a frozen layer': () =>
    layered(
      [
        dense({units: 7, inputShape: [5], activation: 'elu', name: 'ice', trainable: false}),
        dense({units: 3, name: 'head', useBias: false}),
      ],
      {'head/kernel': 'dense'},
      [5],
    ),
  'MLP with a sigmoid head': () =>
    layered(
      [dense({units: 3, inputShape: [4], name: 'head'}), activation({activation: 'sigmoid', name: 'sigmoid'})],
      {'head/kernel': 'dense', 'head/bias': 'bias'},
      [4],
      1,
    ),
  'CNN, relu and linear, same and valid, strides, batch norm, softmax head': () =>
    layered(
      [
        conv2d({filters: 3, kernelSize: 3, inputShape: [8, 7, 2], activation: 'relu', padding: 'same', name: 'same'}),
        conv2d({filters: 4, kernelSize: [2, 3], strides: [2, 1], name: 'valid'}),
        batchNormalization({name: 'norm'}),
        activation({activation: 'relu', name: 'relu'}),
        conv2d({filters: 2, kernelSize: 3, strides: 2, padding: 'same', useBias: false, name: 'strided'}),
        flatten({name: 'flat'}),
        dense({units: 4, name: 'head'}),
        softmax({name: 'softmax'}),
      ],
      {
        'same/kernel': 'convolution',
        'same/bias': 'bias',
        'valid/kernel': 'convolution',
        'valid/bias': 'bias',
        'norm/gamma': 'scale',
        'norm/beta': 'bias',
        'strided/kernel': 'convolution',
        'head/kernel': 'dense',
        'head/bias': 'bias',
      },
      [8, 7, 2],
      1,
    ),
  'batch norm on vectors': () =>
    layered(
      [dense({units: 4, inputShape: [3], name: 'one'}), batchNormalization({name: 'norm'})],
      {'one/kernel': 'dense', 'one/bias': 'bias', 'norm/gamma': 'scale', 'norm/beta': 'bias'},
      [3],
    ),
  'dense on sequences': () =>
    layered(
      [
        dense({units: 4, inputShape: [6, 3], activation: 'relu', name: 'relu'}),
        dense({units: 5, name: 'linear'}),
        dense({units: 2, activation: 'tanh', name: 'tanh'}),
      ],
      {
        'relu/kernel': 'dense over 6 rows a sample',
        'relu/bias': 'bias',
        'linear/kernel': 'dense over 6 rows a sample',
        'linear/bias': 'bias',
        'tanh/kernel': 'dense over 6 rows a sample',
        'tanh/bias': 'bias',
      },
      [6, 3],
    ),
  'one-dimensional and transposed convolution, by way of the two-dimensional': () =>
    layered(
      [
        tf.layers.conv1d({filters: 4, kernelSize: 3, inputShape: [8, 2], activation: 'relu', name: 'line'}),
        reshape({targetShape: [3, 2, 4], name: 'reshape'}),
        tf.layers.conv2dTranspose({filters: 2, kernelSize: 2, strides: 2, name: 'up'}),
      ],
      {'line/kernel': 'convolution', 'line/bias': 'bias', 'up/kernel': 'convolution', 'up/bias': 'bias'},
      [8, 2],
    ),
  'one layer used twice': () => {
    const shared = dense({units: 4, activation: 'relu', name: 'shared'});
    const input = tf.input({shape: [4]});
    const once = shared.apply(input) as tf.SymbolicTensor;
    const twice = shared.apply(once) as tf.SymbolicTensor;
    const model = fill(tf.model({inputs: input, outputs: twice}));
    return {
      network: model,
      logits: (x) => model.apply(x) as tf.Tensor,
      variables: model.trainableWeights.map((weight) => weight.read() as tf.Variable),
      inputShape: [4],
      rules: {'shared/kernel': 'dense over 2 rows a sample, 2 uses', 'shared/bias': 'bias, 2 uses'},
    };
  },
  'one convolution used twice': () => {
    const w = variable('filter', [3, 3, 2, 2]);
    const conv = (x: tf.Tensor) => tf.conv2d(x as tf.Tensor4D, w as tf.Tensor4D, 1, 'same');
    return plain([w], (x) => conv(tf.relu(conv(x))), {[w.name]: 'convolution, 2 uses'}, [5, 4, 2]);
  },
  'a convolution with explicit padding over frames': () => {
    const w = variable('filter', [2, 3, 2, 3]);
    const forward = (x: tf.Tensor) => {
      const frames = tf.reshape(x, [-1, 4, 5, 2]) as tf.Tensor4D;
      const pad: [[0, 0], [number, number], [number, number], [0, 0]] = [
        [0, 0],
        [1, 0],
        [0, 2],
        [0, 0],
      ];
      return tf.reshape(tf.conv2d(frames, w as tf.Tensor4D, [1, 2], pad), [x.shape[0], -1]);
    };
    return plain([w], forward, {[w.name]: 'convolution'}, [3, 4, 5, 2]);
  },
  'a weight and its transpose, an autoencoder': () => {
    const w = variable('tied', [5, 3]);
    const forward = (x: tf.Tensor) => tf.matMul(tf.tanh(tf.matMul(x, w)), tf.transpose(w));
    return plain([w], forward, {[w.name]: 'dense over 2 rows a sample, 2 uses'}, [5]);
  },
  'transposes by flag, on both sides': () => {
    const a = variable('a', [4, 3]);
    const b = variable('b', [2, 4]);
    const c = variable('c', [2, 5]);
    const forward = (x: tf.Tensor) => {
      const hidden = tf.matMul(x, a, false, true);
      const columns = tf.matMul(b, hidden, false, true);
      return tf.transpose(tf.matMul(c, tf.relu(columns), true, false));
    };
    return plain([a, b, c], forward, {[a.name]: 'dense', [b.name]: 'dense', [c.name]: 'dense'}, [3]);
  },
  'a square weight through a transpose that does nothing': () => {
    const w = variable('square', [4, 4]);
    const forward = (x: tf.Tensor) => tf.matMul(x, tf.reshape(tf.transpose(w, [0, 1]), [4, -1]));
    return plain([w], forward, {[w.name]: 'dense'}, [4]);
  },
  'scalars, scales and biases in plain code': () => {
    const [gain, slope, shift] = [variable('gain', []), variable('slope', [3]), variable('shift', [1, 3])];
    const forward = (x: tf.Tensor) => tf.tanh(tf.add(tf.mul(tf.mul(x, slope), gain), tf.add(shift, tf.mul(x, x))));
    const rules = {[gain.name]: 'scale', [slope.name]: 'scale', [shift.name]: 'bias'};
    return plain([gain, slope, shift], forward, rules, [2, 3]);
  },
  'a number that is a scale here and a bias there': () => {
    const both = variable('both', [3]);
    const forward = (x: tf.Tensor) => tf.add(tf.tanh(tf.mul(x, both)), both);
    return plain([both], forward, {[both.name]: 'bias and scale, 2 uses'}, [4, 3]);
  },
  'a bias in the middle axis': () => {
    const bias = variable('middle', [4, 1]);
    return plain([bias], (x) => tf.tanh(tf.add(x, bias)), {[bias.name]: 'bias'}, [4, 3]);
  },
  'several outputs, one of them twice': () => {
    const [w, v] = [variable('w', [4, 3]), variable('v', [3, 2])];
    const forward = (x: tf.Tensor) => {
      const hidden = tf.relu(tf.matMul(x, w));
      return [hidden, tf.matMul(hidden, v), hidden];
    };
    return plain([w, v], forward, {[w.name]: 'dense', [v.name]: 'dense'}, [4]);
  },
  'fused kernels with relu': () => {
    const [w, b, f] = [variable('w', [18, 3]), variable('b', [3]), variable('f', [2, 2, 2, 2])];
    const forward = (x: tf.Tensor) => {
      const y = tf.fused.conv2d({x: x as tf.Tensor4D, filter: f as tf.Tensor4D, strides: 1, pad: 'valid'});
      return tf.fused.matMul({a: tf.reshape(y, [-1, 18]), b: w, bias: b, activation: 'relu'});
    };
    return plain([w, b, f], forward, {[w.name]: 'dense', [b.name]: 'bias', [f.name]: 'convolution'}, [4, 4, 2]);
  },
};

describe('records give the sum of per-sample gradients', () => {
  it.each(Object.keys(cases))('%s', async (name) => {
    const {network, logits, variables, inputShape, rules} = cases[name]();
    // 1, 7 and 32 samples, and a ragged end: 32 samples as 13, 13 and 6.
    const data = normal([32, ...inputShape], 3);
    const part = (from: number, size: number) => tf.slice(data, [from], [size]);
    const runs = [[part(4, 1)], [part(3, 7)], [data], [part(0, 13), part(13, 13), part(26, 6)]];
    const tape = tapeOf(network);
    for (const batches of runs) {
      const measured = await measure(tape, batches);
      expect(deviation(measured.sums, definition(logits, variables, batches))).toBeLessThanOrEqual(exact);
      expect({rules: plainNames(measured.rules), fallback: measured.fallback}).toEqual({rules, fallback: {}});
      expect(measured.unreached).toEqual([]);
    }
    network.dispose?.();
    tf.dispose(variables);
  });

  it('of a network with two inputs', async () => {
    const w = variable('w', [3, 2]);
    const forward = (x: Tensors) => tf.mul(tf.matMul((x as tf.Tensor[])[0], w), (x as tf.Tensor[])[1]);
    const batch = [normal([5, 3], 1), normal([5, 2], 2)];
    const {sums, rules} = await measure(tapeOf({forward, variables: [w]}), [batch]);
    expect(deviation(sums, definition(forward, [w], [batch]))).toBeLessThanOrEqual(exact);
    expect(rules).toEqual({[w.name]: 'dense'});
  });

  it('and names the variables that the outputs do not depend on', async () => {
    const [w, idle] = [variable('w', [3, 2]), variable('idle', [3, 2])];
    const forward = (x: Tensors) => {
      tf.matMul(x as tf.Tensor, idle);
      return tf.matMul(x as tf.Tensor, w);
    };
    const tape = tapeOf({forward, variables: [w, idle]});
    const {sums, unreached, fallback} = await measure(tape, [normal([5, 3], 1)]);
    expect({unreached, fallback, measured: [...sums.keys()]}).toEqual({
      unreached: [idle.name],
      fallback: {},
      measured: [w.name],
    });
  });
});

describe('a batch costs', () => {
  it('one forward pass once the certificate is known, also for a ragged end', async () => {
    const {network} = cases['CNN, relu and linear, same and valid, strides, batch norm, softmax head']();
    const tape = tapeOf(network);
    const batch = (samples: number) => normal([samples, 8, 7, 2], samples);
    await measure(tape, [batch(8)]);
    expect(tape.certificates.count).toBe(1);
    expect(tape.certificates.milliseconds).toBeGreaterThan(0);
    const before = tape.forwardPasses;
    await measure(tape, [batch(8), batch(8), batch(5), batch(1)]);
    expect(tape.forwardPasses - before).toBe(4);
    expect(tape.certificates.count).toBe(1);
  });

  it('no weight gradient of the batch', async () => {
    const layers = [
      conv2d({filters: 3, kernelSize: 3, inputShape: [8, 8, 2], activation: 'relu'}),
      conv2d({filters: 3, kernelSize: 3}),
      flatten(),
      dense({units: 6, activation: 'relu'}),
      dense({units: 5}),
      dense({units: 4, activation: 'softmax'}),
    ];
    const tape = tapeOf(fill(tf.sequential({layers})));
    const x = normal([6, 8, 8, 2], 1);
    (await tape.record(x)).dispose();
    const counts = await countKernels(async () => (await tape.record(x)).dispose());
    // Of the three matrix products one is not fused, and each has a gradient for its input; the first convolution none.
    expect(counts).toMatchObject({BatchMatMul: 1 + 3, _FusedMatMul: 2, Conv2DBackpropInput: 1});
    expect(counts).not.toHaveProperty('Conv2DBackpropFilter');
    expect(counts).not.toHaveProperty('Sum');
  });
});
