/** What LwF and EBLL add to the loss, against float64 PyTorch; what they hold, and what they refuse. */
import * as tf from '@tensorflow/tfjs';
import {afterEach, beforeEach, expect, it} from 'vitest';
import {EngramError} from '../dist/index.js';
import {autoencoderObjective, codeOf, trainAutoencoder} from '../dist/methods/autoencoder.js';
import {codeLoss, EncoderBasedLifelongLearning} from '../dist/methods/encoder-based.js';
import {headOf} from '../dist/methods/head.js';
import {LearningWithoutForgetting} from '../dist/methods/learning-without-forgetting.js';
import type {LearningTask, Method} from '../dist/methods/method.js';
import {describeEngine, deviation, engineName, exactness} from './engine.js';
import {
  batchOf,
  drawnData,
  golden,
  HeadedNetwork,
  type LossCase,
  type TaskData,
  taskOf,
  toTensor,
  valuesOf,
  type Weights,
} from './golden-tasks.js';

const {losses, autoencoder} = golden;
/** Labels play no part in what these losses add. */
const data: TaskData = {x: losses.x, y: {shape: [9, 4], values: Array(36).fill(0.25)}};
const all = [...Array(9).keys()];
const error = (work: () => unknown) => {
  try {
    work();
  } catch (thrown) {
    return thrown as EngramError;
  }
  throw new Error('nothing was thrown');
};

describeEngine(`distillation and codes on ${engineName}`, () => {
  let network: HeadedNetwork;
  let task: LearningTask;
  let before: number;
  beforeEach(() => {
    network = new HeadedNetwork(5, 7, {old: 3, new: 4});
    task = taskOf(network, data, {index: 1, head: 'new', earlier: ['old']});
    before = tf.memory().numTensors;
  });
  afterEach(() => {
    expect(tf.memory().numTensors).toBe(before);
    network.dispose();
  });

  /** Value and gradient of a loss are the golden ones. */
  async function expectLoss(
    loss: () => tf.Scalar,
    expected: LossCase,
    variables: Map<string, tf.Variable>,
    floor = 1e-4,
  ) {
    const {value, grads} = tf.tidy(() => tf.variableGrads(loss, [...variables.values()]));
    expect(deviation(await value.data(), [expected.value])).toBeLessThan(exactness);
    const size = Math.max(...Object.values(expected.gradient).flatMap(({values}) => values.map(Math.abs)));
    expect(size).toBeGreaterThan(1e-4);
    for (const [name, variable] of variables) {
      const {values} = expected.gradient[name];
      const gradient = grads[variable.name];
      // tfjs gives null, or zeros, for what the loss does not reach.
      const found = gradient ? await gradient.data() : new Float32Array(values.length);
      expect(deviation(found, values, floor), name).toBeLessThan(exactness);
    }
    tf.dispose([value, Object.values(grads)]);
  }
  /** The variables that the loss reaches: all but those of the new head. */
  const reached = () =>
    new Map(network.names.filter((name) => !name.startsWith('new')).map((name) => [name, network.variable(name)]));
  const batchLoss = async (method: Method, rows: number[], of = task) => {
    const [[loss]] = await valuesOf(() => [method.batchLoss!(batchOf(data, rows), of)]);
    return loss;
  };
  const lwf = () => new LearningWithoutForgetting({lambda: losses.lambda, temperature: losses.temperature});

  it('LwF: loss and gradient are those of PyTorch, once the network has moved', async () => {
    const method = lwf();
    network.set(losses.before);
    await method.beforeTask(task);
    network.set(losses.now);
    const batch = batchOf(data, all);
    await expectLoss(() => method.batchLoss(batch, task), losses.distillation, reached());
    tf.dispose([batch.x, batch.y]);
    method.dispose();
  });

  /** EBLL with the two encoders of the golden file. */
  function ebll(): EncoderBasedLifelongLearning {
    const {lambda, temperature, alpha} = losses;
    const method = new EncoderBasedLifelongLearning({codeSize: 3, lambda, temperature, alpha});
    const stored = losses.encoders.flatMap((encoder, k) =>
      (['kernel', 'bias'] as const).map((part) => {
        const {shape, values} = encoder[part];
        return [`encoder ${k}.${part}`, {shape, values: Float32Array.from(values)}] as const;
      }),
    );
    method.restore({tensors: new Map(stored), json: {encoders: 2}});
    return method;
  }

  for (const [name, make] of [
    ['LwF', lwf],
    ['EBLL', ebll],
  ] as const) {
    it(`${name}: a batch is compared with what was recorded of its own rows, whatever their order`, async () => {
      const method = make();
      network.set(losses.before);
      await method.beforeTask(task);
      network.set(losses.now);
      const single: number[] = [];
      for (const row of all) single.push(await batchLoss(method, [row]));
      expect(new Set(single).size).toBe(9);
      const mean = (rows: number[]) => rows.reduce((sum, row) => sum + single[row], 0) / rows.length;
      const {distillation, code} = losses;
      const whole = distillation.value + (name === 'EBLL' ? code.value : 0);
      expect(deviation([mean(all)], [whole])).toBeLessThan(exactness);
      for (const rows of [[8, 0, 3], all, [5, 5, 1, 7]]) {
        expect(deviation([await batchLoss(method, rows)], [mean(rows)])).toBeLessThan(exactness);
      }
      method.dispose();
    });
  }

  it('LwF: several heads add up, and lambda scales', async () => {
    network.set(losses.before);
    const both = taskOf(network, data, {index: 2, head: 'new', earlier: ['old', 'new']});
    const value = async (lambda: number, of: LearningTask) => {
      const method = new LearningWithoutForgetting({lambda});
      await method.beforeTask(of);
      const loss = await batchLoss(method, all, of);
      method.dispose();
      return loss;
    };
    const parts = [
      await value(1, task),
      await value(1, taskOf(network, data, {index: 1, head: 'old', earlier: ['new']})),
    ];
    expect(deviation([await value(1, both)], [parts[0] + parts[1]])).toBeLessThan(exactness);
    expect(deviation([await value(3, both)], [3 * (parts[0] + parts[1])])).toBeLessThan(exactness);
    expect(await value(0, both)).toBe(0);
  });

  it('LwF: where one network answers for everything, its own answers before training are kept', async () => {
    const own = taskOf(network, data, {index: 1, head: 'old', earlier: ['old']});
    const method = new LearningWithoutForgetting();
    await method.beforeTask(own);
    const kernel = network.variable('old');
    const slope = () =>
      valuesOf(() => {
        const {value, grads} = tf.variableGrads(() => method.batchLoss(batchOf(data, all), own), [kernel]);
        return [value, tf.max(tf.abs(grads[kernel.name]))];
      });
    const [[entropy], [flat]] = await slope();
    expect(flat).toBeLessThan(1e-6); // the answers are what they were: cross entropy is at its least
    tf.tidy(() => kernel.assign(tf.mul(kernel, 2)));
    const [[moved], [steep]] = await slope();
    expect(moved).toBeGreaterThan(entropy);
    expect(steep).toBeGreaterThan(1e-3);
    method.dispose();
  });

  it('LwF: the first task adds nothing, and what is recorded goes with the task', async () => {
    const first = taskOf(network, data, {index: 0, head: 'old'});
    const method = new LearningWithoutForgetting();
    await method.beforeTask(first);
    expect(await batchLoss(method, all, first)).toBe(0);
    await method.beforeTask(task);
    expect(tf.memory().numTensors).toBe(before + 1);
    await method.beforeTask(task);
    expect(tf.memory().numTensors).toBe(before + 1);
    await method.afterTask();
    expect(tf.memory().numTensors).toBe(before);
    await expect(batchLoss(method, [0])).rejects.toMatchObject({code: 'ARGUMENT'});
  });

  it('LwF: a task that is aborted, or gives other samples than it says, leaves nothing behind', async () => {
    const method = new LearningWithoutForgetting();
    const reason = new Error('enough');
    const aborted = taskOf(network, data, {index: 1, head: 'new', earlier: ['old'], signal: AbortSignal.abort(reason)});
    await expect(method.beforeTask(aborted)).rejects.toBe(reason);
    await expect(method.beforeTask({...task, count: 10})).rejects.toMatchObject({code: 'ARGUMENT'});
    method.dispose();
  });

  it('LwF and EBLL refuse options out of range', () => {
    for (const bad of [{lambda: -1}, {lambda: Number.NaN}, {temperature: 0}, {temperature: '2' as unknown as number}]) {
      expect(error(() => new LearningWithoutForgetting(bad))).toBeInstanceOf(EngramError);
      expect(error(() => new EncoderBasedLifelongLearning({codeSize: 3, ...bad})).code).toBe('ARGUMENT');
    }
    const worse = [{codeSize: 0}, {alpha: -1}, {reconstruction: -1}, {learningRate: 0}, {epochs: 1.5}, {batchSize: 0}];
    for (const bad of worse) {
      const options = {codeSize: 3, ...bad};
      expect(error(() => new EncoderBasedLifelongLearning(options)).code, JSON.stringify(bad)).toBe('ARGUMENT');
    }
  });

  it('EBLL: the code loss and its gradient are those of PyTorch', async () => {
    const encoders = losses.encoders.map(({kernel, bias}) => ({kernel: toTensor(kernel), bias: toTensor(bias)}));
    const x = toTensor(losses.x);
    const features = () => network.features.apply(x) as tf.Tensor;
    network.set(losses.before);
    const codes = encoders.map((encoder) => tf.tidy(() => codeOf(encoder, features())));
    network.set(losses.now);
    const hidden = new Map([...reached()].filter(([name]) => name.startsWith('hidden')));
    // Differences of codes cancel over samples: what is small beside the largest has fewer digits.
    await expectLoss(() => codeLoss(encoders, features(), codes, losses.alpha), losses.code, hidden, 1e-2);
    tf.dispose([x, codes, encoders.flatMap(({kernel, bias}) => [kernel, bias])]);
  });

  it('EBLL: with two encoders restored, a batch gets both losses of PyTorch, and both gradients', async () => {
    const method = ebll();
    network.set(losses.before);
    await method.beforeTask(task);
    network.set(losses.now);
    const sum = (a: Weights, b: Weights): Weights =>
      Object.fromEntries(
        Object.entries(a).map(([name, {shape, values}]) => [
          name,
          {shape, values: values.map((value, i) => value + b[name].values[i])},
        ]),
      );
    const {distillation, code} = losses;
    const expected = {value: distillation.value + code.value, gradient: sum(distillation.gradient, code.gradient)};
    const batch = batchOf(data, all);
    await expectLoss(() => method.batchLoss(batch, task), expected, reached());
    tf.dispose([batch.x, batch.y]);
    method.dispose();
  });

  for (const [name, make] of Object.entries({LwF: lwf, EBLL: ebll})) {
    it(`${name}: the slope along the gradient of each variable is that of differences of the loss`, async () => {
      const method = make();
      network.set(losses.before);
      await method.beforeTask(task);
      network.set(losses.now);
      const batch = batchOf(data, all);
      const variables = [...reached().values()];
      const {value, grads} = tf.tidy(() => tf.variableGrads(() => method.batchLoss(batch, task), variables));
      for (const variable of variables) {
        const length = Math.hypot(...(await grads[variable.name].data()));
        expect(length, variable.name).toBeGreaterThan(1e-3);
        const theta = tf.clone(variable);
        const at = async (move: number) => {
          tf.tidy(() => variable.assign(tf.add(theta, tf.mul(grads[variable.name], move / length))));
          const loss = tf.tidy(() => method.batchLoss(batch, task));
          const [found] = await loss.data();
          loss.dispose();
          return found;
        };
        const slope = ((await at(3e-3)) - (await at(-3e-3))) / 6e-3;
        variable.assign(theta);
        theta.dispose();
        // A loss of about 1 has 2^-24 of it in 32 bits, which 6e-3 makes 2e-5 of.
        expect(Math.abs(slope - length), variable.name).toBeLessThanOrEqual(5e-3 * length + 1e-4);
      }
      tf.dispose([value, grads, batch.x, batch.y]);
      method.dispose();
    });
  }

  it('EBLL: the objective of the autoencoder and its gradient are those of PyTorch', async () => {
    const [features, targets] = [toTensor(autoencoder.features), toTensor(autoencoder.targets)];
    network.set(autoencoder.head);
    const head = headOf(network.model('new'), network.features);
    const variables = new Map(
      Object.entries(autoencoder.weights).map(([name, values]) => [name, tf.tidy(() => tf.variable(toTensor(values)))]),
    );
    const half = (name: string) => ({kernel: variables.get(name)!, bias: variables.get(`${name}_bias`)!});
    const both = {encoder: half('encode'), decoder: half('decode')};
    const objective = () => autoencoderObjective(both, {features, targets, head}, autoencoder.reconstruction);
    await expectLoss(objective, autoencoder.objective, variables);
    tf.dispose([features, targets, [...variables.values()]]);
  });

  it('the head of a network is what stands on its features', async () => {
    const x = toTensor(losses.x);
    const [whole, parts] = await valuesOf(() => {
      const features = network.features.apply(x) as tf.Tensor;
      const joined = tf.layers
        .concatenate()
        .apply([network.model('old'), network.model('new')].map((m) => m.outputs[0]));
      const grown = tf.model({inputs: network.features.inputs, outputs: joined as tf.SymbolicTensor});
      return [grown.apply(x) as tf.Tensor, headOf(grown, network.features)(features)];
    });
    expect(whole).toHaveLength(9 * 7);
    expect(parts).toEqual(whole);
    x.dispose();
  });

  it('the head of a network that has its features as a layer is found too, and a way around them is refused', async () => {
    const input = tf.input({shape: [5]});
    const inner = network.features.apply(input) as tf.SymbolicTensor;
    const top = tf.layers.dense({units: 2});
    const nested = tf.model({inputs: input, outputs: top.apply(inner) as tf.SymbolicTensor});
    const x = toTensor(losses.x);
    const same = await valuesOf(() => {
      const features = network.features.apply(x) as tf.Tensor;
      return [nested.apply(x) as tf.Tensor, headOf(nested, network.features)(features)];
    });
    expect(same[1]).toEqual(same[0]);
    const around = tf.layers.concatenate().apply([inner, input]) as tf.SymbolicTensor;
    const bypass = tf.model({inputs: input, outputs: around});
    expect(error(() => headOf(bypass, network.features)).code).toBe('ARGUMENT');
    tf.dispose([x, top.trainableWeights.map((weight) => weight.read())]);
  });

  it('EBLL: a trained autoencoder is one whose code tells the classes apart', async () => {
    const drawn = drawnData(64, 5, 4, 3);
    const head = headOf(network.model('new'), network.features);
    const [x, targets] = [toTensor(drawn.x), toTensor(drawn.y)];
    const features = network.features.apply(x) as tf.Tensor;
    // The decoder is not handed out: what shows in the code is how far it spreads the class means apart.
    const spread = async (epochs: number) => {
      const options = {codeSize: 4, reconstruction: 1e-6, learningRate: 0.03, epochs, batchSize: 16, seed: 1};
      const encoder = await trainAutoencoder({features, targets, head}, options);
      const [[share]] = await valuesOf(() => {
        const code = codeOf(encoder, features);
        const {mean, variance} = tf.moments(code, 0);
        const means = tf.div(tf.matMul(targets, code, true), tf.expandDims(tf.sum(targets, 0), 1));
        const between = tf.mul(tf.square(tf.sub(means, mean)), tf.expandDims(tf.mean(targets, 0), 1));
        return [tf.div(tf.sum(between), tf.sum(variance))];
      });
      tf.dispose([encoder.kernel, encoder.bias]);
      return share;
    };
    const [first, last] = [await spread(1), await spread(60)];
    expect(last).toBeGreaterThan(1.2 * first);
    tf.dispose([x, targets, features]);
  });

  it('EBLL: the same seed gives the same encoder bit for bit, another seed another one', async () => {
    const states = [];
    for (const seed of [7, 7, 8]) {
      const method = new EncoderBasedLifelongLearning({codeSize: 3, epochs: 2, batchSize: 4});
      await method.afterTask(taskOf(network, drawnData(20, 5, 3, 1), {index: 0, head: 'old', seed}));
      states.push(await method.state());
      method.dispose();
    }
    expect(states[1]).toEqual(states[0]);
    expect(states[2].tensors).not.toEqual(states[0].tensors);
  });

  it('EBLL: another object goes on from the state bit for bit', async () => {
    const options = {codeSize: 3, epochs: 2, batchSize: 4};
    const method = new EncoderBasedLifelongLearning(options);
    await method.afterTask(taskOf(network, drawnData(20, 5, 3, 1), {index: 0, head: 'old'}));
    const other = new EncoderBasedLifelongLearning(options);
    const {tensors, json} = await method.state();
    other.restore({tensors, json: JSON.parse(JSON.stringify(json))});
    network.set(losses.before);
    for (const each of [method, other]) await each.beforeTask(task);
    network.set(losses.now);
    expect(await batchLoss(other, all)).toBe(await batchLoss(method, all));
    const second = taskOf(network, drawnData(20, 5, 4, 2), {index: 1, head: 'new', earlier: ['old']});
    for (const each of [method, other]) await each.afterTask(second);
    const last = await other.state();
    expect(last).toEqual(await method.state());
    expect(last.tensors.size).toBe(4);
    method.dispose();
    other.dispose();
  });

  it('EBLL refuses a code as wide as the features, a state that lacks something, and a batch it did not see', async () => {
    const wide = new EncoderBasedLifelongLearning({codeSize: 7});
    const first = taskOf(network, drawnData(8, 5, 3, 1), {index: 0, head: 'old'});
    await expect(wide.afterTask(first)).rejects.toMatchObject({code: 'ARGUMENT'});
    expect(error(() => wide.restore({tensors: new Map(), json: {encoders: 1}})).code).toBe('DATA_FILE');
    expect(error(() => wide.restore({tensors: new Map()})).code).toBe('DATA_FILE');
    const method = new EncoderBasedLifelongLearning({codeSize: 3, epochs: 1});
    await method.afterTask(first);
    await expect(batchLoss(method, [0])).rejects.toMatchObject({code: 'ARGUMENT'});
    method.dispose();
  });

  it('EBLL: an autoencoder whose weights are lost says so, and one that is aborted stops; nothing is left behind', async () => {
    const method = new EncoderBasedLifelongLearning({codeSize: 3, epochs: 3});
    const first = taskOf(network, drawnData(8, 5, 3, 1), {index: 0, head: 'old'});
    tf.tidy(() => network.variable('hidden_bias').assign(tf.fill([7], Number.NaN)));
    await expect(method.afterTask(first)).rejects.toMatchObject({code: 'NON_FINITE'});
    network.set(losses.before);
    const controller = new AbortController();
    const endless = new EncoderBasedLifelongLearning({codeSize: 3, epochs: 1e9});
    const stopped = endless.afterTask({...first, signal: controller.signal});
    setTimeout(() => controller.abort(new Error('enough')), 50);
    await expect(stopped).rejects.toThrow('enough');
    expect((await endless.state()).json).toEqual({encoders: 0});
  });
});
