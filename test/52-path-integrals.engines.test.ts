/** Synaptic Intelligence and Riemannian Walk: importance that is gathered while a task is learned. */
import * as tf from '@tensorflow/tfjs';
import {expect, it} from 'vitest';
import {EngramError} from '../dist/index.js';
import type {Method} from '../dist/methods/method.js';
import {type Move, PathIntegral, PathIntegralOptimizer} from '../dist/methods/path-integral.js';
import type {PenaltyMethod} from '../dist/methods/penalty-method.js';
import {RiemannianWalk} from '../dist/methods/riemannian-walk.js';
import {SynapticIntelligence} from '../dist/methods/synaptic-intelligence.js';
import {penalty} from '../dist/optimizers/penalty.js';
import {describeEngine, engineName} from './engine.js';
import {codeOf, golden, goldenMlp, learn, relativeNorm, setValues, taskOf} from './method-tasks.js';
import {own} from './owned.js';

const {lambda, xi, alpha, interval, epsilon} = golden;
const methods: Record<string, () => PenaltyMethod> = {
  'Synaptic Intelligence': () => new SynapticIntelligence({lambda, xi, step: 'explicit'}),
  'Riemannian Walk': () => new RiemannianWalk({lambda, alpha, interval, epsilon, step: 'explicit'}),
};
const omegaOf = ({memory}: PenaltyMethod, variables: tf.Variable[]) =>
  variables.map(({name}) => memory.importance.get(name));
const bits = async (tensors: Iterable<tf.Tensor>) =>
  Promise.all([...tensors].map(async (tensor) => [...((await tensor.data()) as Float32Array)]));

describeEngine(`path integrals on ${engineName}`, () => {
  it('Synaptic Intelligence gives what its formula gives in float64, over two tasks', async () => {
    const {network, variables} = goldenMlp();
    own(network);
    const method = own(new SynapticIntelligence({lambda, xi, step: 'explicit'}));
    const sum = new PathIntegral();
    own({dispose: () => sum.clear()});
    let held = 0;
    // The second task is learned with the penalty of the first, whose gradient is no part of the path.
    const watched: Method = {
      optimizer: (base) => new PathIntegralOptimizer(method.optimizer(base), (moves) => sum.add(moves)),
      beforeTask: () => method.beforeTask(),
      afterTask: async (task) => {
        [held] = await own(penalty(method.memory, variables, lambda)).data();
        await method.afterTask(task);
      },
      dispose: () => undefined,
    };
    for (const [index, expected] of golden.synapticIntelligence.entries()) {
      await learn(watched, network, index);
      expect(Math.abs(held - expected.penalty)).toBeLessThanOrEqual(1e-4 * expected.penalty);
      expect(await relativeNorm(variables, expected.theta)).toBeLessThan(1e-5);
      const paths = sum.all().map(({integral}) => integral);
      expect(await relativeNorm(paths, expected.path)).toBeLessThan(1e-4);
      expect(await relativeNorm(omegaOf(method, variables), expected.omega)).toBeLessThan(1e-4);
      expect(await relativeNorm([...method.memory.anchor.values()], expected.theta)).toBeLessThan(1e-5);
      sum.clear();
    }
    expect(held).toBeGreaterThan(0.1);
  });

  it('Riemannian Walk gives what its formula gives in float64, over two tasks that end within an interval', async () => {
    const {network, variables} = goldenMlp();
    own(network);
    const method = own(methods['Riemannian Walk']());
    for (const [index, expected] of golden.riemannianWalk.entries()) {
      await learn(method, network, index);
      const {tensors} = await method.state();
      const stateOf = (prefix: string) =>
        variables.map(({name}) => own(tf.tensor(tensors.get(`${prefix}.${name}`)!.values)));
      expect(await relativeNorm(variables, expected.theta)).toBeLessThan(1e-5);
      expect(await relativeNorm(stateOf('fisher'), expected.fisher)).toBeLessThan(1e-4);
      expect(await relativeNorm(stateOf('score'), expected.score)).toBeLessThan(1e-4);
      expect(await relativeNorm(omegaOf(method, variables), expected.omega)).toBeLessThan(1e-4);
    }
  });

  it('the path integral is that of the gradients handed in, from the values before the first step', async () => {
    const theta = own(tf.variable(tf.tensor1d([1, -2])));
    const sum = new PathIntegral();
    own({dispose: () => sum.clear()});
    const optimizer = own(new PathIntegralOptimizer(tf.train.sgd(0.5), (moves) => sum.add(moves)));
    const gradient = own(tf.tensor1d([2, 4]));
    optimizer.applyGradients({[theta.name]: gradient});
    optimizer.applyGradients([{name: theta.name, tensor: gradient}]);
    const [{integral, start}] = sum.all();
    // A step moves by -0.5 g, so that it adds 0.5 g^2.
    expect(await bits([integral, start, theta])).toEqual([
      [4, 16],
      [1, -2],
      [-1, -6],
    ]);
    expect(optimizer.iterations).toBe(optimizer.base.iterations);
    sum.clear();
    expect(sum.all()).toEqual([]);
  });

  it('a variable that the loss does not reach has no path, and no step is seen that was refused', () => {
    const [reached, other] = [own(tf.variable(tf.tensor1d([1]))), own(tf.variable(tf.tensor1d([5])))];
    const seen: string[][] = [];
    const observe = (moves: readonly Move[]) => void seen.push(moves.map(({variable}) => variable.name));
    const method = own(methods['Synaptic Intelligence']());
    const optimizer = own(new PathIntegralOptimizer(method.optimizer(tf.train.adam(0.1)), observe));
    optimizer.minimize(() => tf.sum(tf.square(reached)) as tf.Scalar, false, [reached, other]);
    expect(seen).toEqual([[reached.name]]);
    const before = tf.memory().numTensors;
    const wrong = own(tf.tensor1d([1, 2]));
    expect(() => optimizer.applyGradients({[reached.name]: wrong})).toThrow(EngramError);
    expect(() => optimizer.applyGradients({'no such variable': wrong})).toThrow(EngramError);
    expect(seen.length).toBe(1);
    expect(tf.memory().numTensors).toBe(before + 1);
  });

  it('it is an optimizer like any other: in model.fit, with a learning rate and a state', async () => {
    const {network, variables} = goldenMlp();
    own(network);
    const method = own(methods['Synaptic Intelligence']());
    const base = own(tf.train.adam(0.01));
    const optimizer = method.optimizer(base) as PathIntegralOptimizer;
    network.compile({optimizer, loss: 'meanSquaredError'});
    const [x, y] = [own(tf.ones([6, 5])), own(tf.zeros([6, 4]))];
    await network.fit(x, y, {epochs: 2, batchSize: 3, verbose: 0});
    expect(optimizer.iterations).toBe(4);
    optimizer.learningRate = 0.5;
    expect((base as unknown as {learningRate: number}).learningRate).toBe(0.5);
    expect(optimizer.learningRate).toBe(0.5);
    expect(optimizer.getClassName()).toBe(optimizer.base.getClassName());
    expect(optimizer.getConfig()).toEqual(optimizer.base.getConfig());
    const weights = await optimizer.getWeights();
    expect(weights.length).toBe(1 + 2 * variables.length);
    await optimizer.setWeights(weights);
    expect(optimizer.iterations).toBe(4);
  });

  it('moves that raised the loss make nothing important', async () => {
    for (const make of Object.values(methods)) {
      const {network, variables} = goldenMlp();
      own(network);
      const method = own(make());
      const optimizer = own(method.optimizer(tf.train.sgd(-1e-4))); // up the slope
      const x = own(tf.ones([4, 5]));
      for (let step = 0; step < interval; step++) {
        const loss = () => tf.sum(tf.square(network.apply(x) as tf.Tensor)) as tf.Scalar;
        optimizer.minimize(loss, false, variables);
      }
      await method.afterTask(taskOf(network, x));
      const {tensors} = await method.state();
      const measure = method instanceof RiemannianWalk ? 'score' : 'importance';
      for (const {name} of variables) {
        expect(tensors.get(`${measure}.${name}`)!.values.every((value) => value === 0)).toBe(true);
      }
    }
  });

  it('the penalty has the gradient that differences of its written-out sum have', async () => {
    const {network, variables} = goldenMlp();
    own(network);
    const method = own(methods['Synaptic Intelligence']());
    await learn(method, network, 0);
    setValues(variables, golden.weights);
    const {value, grads} = tf.variableGrads(() => penalty(method.memory, variables, lambda), variables);
    own(value);
    for (const gradient of Object.values(grads)) own(gradient);
    let sum = 0;
    for (const {name} of variables) {
      const [theta, omega, anchor, gradient] = await bits([
        variables.find((variable) => variable.name === name)!,
        method.memory.importance.get(name)!,
        method.memory.anchor.get(name)!,
        grads[name],
      ]);
      const term = (i: number, at: number) => lambda * omega[i] * (at - anchor[i]) ** 2;
      theta.forEach((at, i) => {
        sum += term(i, at);
        const slope = (term(i, at + 1e-3) - term(i, at - 1e-3)) / 2e-3;
        expect(Math.abs(gradient[i] - slope)).toBeLessThanOrEqual(1e-5 * Math.abs(slope) + 1e-9);
      });
    }
    expect(Math.abs((await value.data())[0] / sum - 1)).toBeLessThan(1e-5);
  });

  for (const [name, make] of Object.entries(methods)) {
    it(`${name} goes on from its state bit for bit`, async () => {
      const {network, variables} = goldenMlp();
      own(network);
      const [one, other] = [own(make()), own(make())];
      await learn(one, network, 0);
      const state = await one.state();
      const json = JSON.parse(JSON.stringify(state.json)); // as it comes back from a file
      const between = (await bits(variables)).map((values, i) => ({shape: variables[i].shape, values}));
      const ends: unknown[] = [];
      for (const method of [one, other]) {
        if (method === other) {
          setValues(variables, between);
          method.restore({...state, json});
        }
        await learn(method, network, 1);
        const {importance, anchor, tasks} = method.memory;
        ends.push([await bits(variables), await bits(importance.values()), await bits(anchor.values()), tasks]);
      }
      expect(ends[1]).toEqual(ends[0]);
    });

    it(`${name} refuses a state that lacks something, and keeps its own`, async () => {
      const {network} = goldenMlp();
      own(network);
      const method = own(make());
      await learn(method, network, 0);
      const before = await method.state();
      const tensors = tf.memory().numTensors;
      for (const missing of before.tensors.keys()) {
        const part = new Map([...before.tensors].filter(([key]) => key !== missing));
        expect(await codeOf(() => method.restore({...before, tensors: part}))).toBe('DATA_FILE');
      }
      expect(await codeOf(() => method.restore({tensors: before.tensors}))).toBe('DATA_FILE');
      expect(tf.memory().numTensors).toBe(tensors);
      expect(await method.state()).toEqual(before);
      method.restore(before); // in place of its own
      expect(tf.memory().numTensors).toBe(tensors);
    });

    it(`${name} leaves no tensor, not even with a task half learned`, async () => {
      const {network, variables} = goldenMlp();
      own(network);
      const before = tf.memory().numTensors;
      const method = make();
      await learn(method, network, 0);
      const held = tf.memory().numTensors;
      await learn(method, network, 1);
      expect(tf.memory().numTensors).toBe(held);
      const optimizer = method.optimizer(tf.train.sgd(0.1));
      for (let step = 0; step < 3; step++) {
        tf.tidy(() => void optimizer.minimize(() => tf.sum(tf.square(variables[0])) as tf.Scalar, true, variables));
      }
      expect(tf.memory().numTensors).toBeGreaterThan(held);
      optimizer.dispose();
      method.dispose();
      method.dispose();
      expect(tf.memory().numTensors).toBe(before);
    });

    it(`${name} forgets the open interval of a task that was not finished`, async () => {
      const {network, variables} = goldenMlp();
      own(network);
      const ends: unknown[] = [];
      for (const interrupted of [false, true]) {
        setValues(variables, golden.weights);
        const method = own(make());
        if (interrupted) {
          const optimizer = own(method.optimizer(tf.train.sgd(0.1)));
          for (let step = 0; step < 3; step++) {
            optimizer.minimize(() => tf.sum(tf.square(variables[0])) as tf.Scalar, false, variables);
          }
          setValues(variables, golden.weights);
        }
        await learn(method, network, 0);
        ends.push(await bits(method.memory.importance.values()));
      }
      expect(ends[1]).toEqual(ends[0]);
    });

    it(`${name} leaves excluded variables free, and what a task did not train as it was`, async () => {
      const {network, variables} = goldenMlp();
      own(network);
      const [kernel, bias] = variables;
      const free = own(
        new (make().constructor as new (options: object) => PenaltyMethod)({
          lambda,
          exclude: (variable: tf.Variable) => variable === kernel,
        }),
      );
      await learn(free, network, 0);
      expect(free.memory.get(kernel.name)).toBeUndefined();
      const before = await bits([free.memory.importance.get(bias.name)!]);
      network.layers[1].trainable = false;
      await learn(free, network, 1);
      network.layers[1].trainable = true;
      expect(await bits([free.memory.importance.get(bias.name)!])).toEqual(before);
      expect(free.memory.tasks.get(bias.name)).toBe(1);
      expect(free.memory.tasks.get(variables[2].name)).toBe(2);
    });
  }

  it('options out of range are refused', async () => {
    const wrong: (() => Method)[] = [
      ...[Number.NaN, -1, Number.POSITIVE_INFINITY, '1' as never].map(
        (l) => () => new SynapticIntelligence({lambda: l}),
      ),
      ...[0, -1, Number.NaN, null as never].map((x) => () => new SynapticIntelligence({lambda, xi: x})),
      ...[0, 1.1, Number.NaN].map((a) => () => new RiemannianWalk({lambda, alpha: a})),
      ...[0, 2.5, -1].map((i) => () => new RiemannianWalk({lambda, interval: i})),
      ...[0, -1e-3].map((e) => () => new RiemannianWalk({lambda, epsilon: e})),
      () => new RiemannianWalk(undefined as never),
    ];
    for (const make of wrong) expect(await codeOf(make)).toBe('ARGUMENT');
  });
});
