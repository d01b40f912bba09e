/** The contract of tfjs optimizers: config, named state, iterations, schedules; and state goes in and out as tfjs' own. */
import * as tf from '@tensorflow/tfjs';
import {expect, it} from 'vitest';
import {AdamW, EngramError, MemoryAwareSynapses, type PenalizedOptimizer} from '../dist/index.js';
import {describeEngine, engineName} from './engine.js';
import {own} from './owned.js';

type State = {name: string; tensor: tf.Tensor}[];
interface Stateful {
  getWeights(): Promise<State>;
  setWeights(weights: State): Promise<void>;
}
const stateful = (optimizer: tf.Optimizer) => optimizer as unknown as Stateful;

/** Two variables, a loss that reaches both, and a memory that holds nothing yet. */
function problem() {
  const [a, b] = [own(tf.variable(tf.tensor1d([0.5, -1, 2]))), own(tf.variable(tf.tensor2d([[1], [-0.3]])))];
  const loss = () => tf.add(tf.sum(tf.square(tf.sub(a, 1))), tf.sum(tf.mul(b, b))) as tf.Scalar;
  const network = {forward: (x: tf.Tensor | tf.Tensor[]) => tf.matMul(x as tf.Tensor2D, b as never), variables: [a, b]};
  const mas = own(new MemoryAwareSynapses(network, {lambda: 1}));
  const step = (optimizer: tf.Optimizer, times: number) => {
    for (let i = 0; i < times; i++) optimizer.minimize(loss, false, [a, b]);
  };
  return {a, b, mas, step};
}

async function contents(state: State): Promise<[string, string, number[], number[]][]> {
  return Promise.all(
    state.map(async ({name, tensor}) => [
      name,
      tensor.dtype,
      tensor.shape,
      Array.from(await (tensor.data() as Promise<Float32Array>)),
    ]),
  );
}

async function codeOf(run: () => unknown): Promise<string> {
  try {
    await run();
  } catch (error) {
    expect(error).toBeInstanceOf(EngramError);
    return (error as EngramError).code;
  }
  return 'nothing was thrown';
}

const fused: Record<string, () => tf.Optimizer> = {
  sgd: () => tf.train.sgd(0.1),
  momentum: () => tf.train.momentum(0.02, 0.8, true),
  adam: () => tf.train.adam(0.02, 0.8, 0.99),
  adamw: () => new AdamW(0.02, 0.3, 0.8, 0.99),
};
const all: Record<string, () => tf.Optimizer> = {
  ...fused,
  rmsprop: () => tf.train.rmsprop(0.01, 0.9, 0.5, undefined, true),
  adagrad: () => tf.train.adagrad(0.1),
  adadelta: () => tf.train.adadelta(0.1),
};

describeEngine(`the optimizer contract on ${engineName}`, () => {
  for (const [name, base] of Object.entries(all)) {
    it(`${name}: gives the state that tf.train gives, under the same names`, async () => {
      const states: State[] = [];
      const names: string[][] = [];
      for (const wrapped of [false, true]) {
        const {a, b, mas, step} = problem();
        const optimizer = own(wrapped ? mas.optimizer(base()) : base());
        step(optimizer, 5);
        expect(optimizer.iterations).toBe(5);
        const state = await stateful(optimizer).getWeights();
        names.push([a.name, b.name]);
        states.push(state.map(({name, tensor}) => ({name, tensor: own(tensor.clone())})));
        own(state[0].tensor);
      }
      const [plain, ours] = await Promise.all(states.map(contents));
      const rename = (name: string) => name.replace(names[0][0], names[1][0]).replace(names[0][1], names[1][1]);
      expect(ours.map(([name]) => name)).toEqual(plain.map(([name]) => rename(name)));
      expect(ours[0].slice(0, 3)).toEqual(['iter', 'int32', []]);
      for (const [i, [, dtype, shape, values]] of plain.entries()) {
        expect(ours[i].slice(1, 3)).toEqual([dtype, shape]);
        if (engineName !== 'webgpu') expect(ours[i][3]).toEqual(values);
        for (const [k, value] of values.entries()) expect(Math.abs(ours[i][3][k] - value)).toBeLessThan(1e-5);
      }
    });

    it(`${name}: is made again from its config, and steps once it is given a memory`, async () => {
      const {mas, step, a} = problem();
      const optimizer = own(mas.optimizer(base()));
      const config = JSON.parse(JSON.stringify(optimizer.getConfig()));
      expect(config.base.config).toEqual(JSON.parse(JSON.stringify(optimizer.base.getConfig())));
      const [cls, fromConfig] = tf.serialization.SerializationMap.getMap().classNameMap[optimizer.getClassName()];
      const again = own(fromConfig(cls, config) as PenalizedOptimizer);
      expect(again.getConfig()).toEqual(optimizer.getConfig());
      const before = (await a.data()).slice();
      expect(await codeOf(() => step(again, 1))).toBe('ARGUMENT');
      expect(await a.data()).toEqual(before);
      expect(mas.optimizer(again)).toBe(again);
      step(again, 1);
      expect(await a.data()).not.toEqual(before);
    });

    it(`${name}: follows a learning rate that is set on it or on its base`, async () => {
      const run = async (change: (wrapper: PenalizedOptimizer, base: tf.Optimizer) => void) => {
        const {mas, step, a} = problem();
        const inner = base();
        const optimizer = own(mas.optimizer(inner));
        step(optimizer, 2);
        change(optimizer, inner);
        step(optimizer, 2);
        return (await a.data()).slice();
      };
      const set = (target: object) => {
        const optimizer = target as {learningRate: number; setLearningRate?(rate: number): void};
        if (optimizer.setLearningRate) optimizer.setLearningRate(0.001);
        else optimizer.learningRate = 0.001;
      };
      const viaBase = await run((_, inner) => set(inner));
      expect(await run((wrapper) => wrapper.setLearningRate(0.001))).toEqual(viaBase);
      const assign = await run((wrapper) => {
        wrapper.learningRate = 0.001;
        expect(wrapper.learningRate).toBe(0.001);
      });
      expect(assign).toEqual(viaBase);
      expect(await run(() => {})).not.toEqual(viaBase);
    });

    it(`${name}: a consolidation lets it begin anew, unless resetOptimizer is false`, async () => {
      const x = own(tf.ones([4, 2]));
      for (const resetOptimizer of [undefined, true, false]) {
        const {mas, step} = problem();
        const optimizer = own(mas.optimizer(base()));
        step(optimizer, 3);
        const before = await contents(await stateful(optimizer).getWeights());
        await mas.consolidate(x, resetOptimizer === undefined ? {} : {resetOptimizer});
        const state = await stateful(optimizer).getWeights();
        if (resetOptimizer === false) expect(await contents(state)).toEqual(before);
        else expect((await contents(state)).map(([name, , , values]) => [name, values])).toEqual([['iter', [0]]]);
        step(optimizer, 2);
        expect(optimizer.iterations).toBe(resetOptimizer === false ? 5 : 2);
      }
    });
  }

  for (const [name, base] of Object.entries(fused)) {
    it(`${name}: goes on from the state of a plain tf.train optimizer as that one would`, async () => {
      const {a, b, mas, step} = problem();
      const plain = own(base());
      step(plain, 4);
      const optimizer = own(mas.optimizer(base()));
      await stateful(optimizer).setWeights(await stateful(plain).getWeights());
      const [startA, startB] = [own(a.clone()), own(b.clone())] as [tf.Tensor1D, tf.Tensor2D];
      step(plain, 3);
      const expected = [...(await a.data()), ...(await b.data())];
      a.assign(startA);
      b.assign(startB);
      step(optimizer, 3);
      const got = [...(await a.data()), ...(await b.data())];
      if (engineName !== 'webgpu') expect(got).toEqual(expected);
      for (const [i, value] of expected.entries()) expect(Math.abs(got[i] - value)).toBeLessThan(2e-6);
    });
  }

  it('AdamW is the published step: decay first, then Adam', async () => {
    const start = [0.5, -1, 2];
    const [rate, decay, beta1, beta2, epsilon] = [0.02, 0.3, 0.8, 0.99, 1e-7];
    const expected = start.map((theta) => {
      let [now, m, v] = [theta, 0, 0];
      for (let t = 1; t <= 20; t++) {
        const g = 2 * (now - 1);
        m = beta1 * m + (1 - beta1) * g;
        v = beta2 * v + (1 - beta2) * g * g;
        now -= rate * decay * now + (rate * m) / (1 - beta1 ** t) / (Math.sqrt(v / (1 - beta2 ** t)) + epsilon);
      }
      return now;
    });
    for (const make of [
      (_: MemoryAwareSynapses) => new AdamW(rate, decay, beta1, beta2, epsilon),
      (mas: MemoryAwareSynapses) =>
        mas.optimizer({kind: 'adamw', learningRate: rate, weightDecay: decay, beta1, beta2, epsilon}),
    ]) {
      const {a, mas, step} = problem();
      step(own(make(mas)), 20);
      for (const [i, value] of (await a.data()).entries()) expect(Math.abs(value - expected[i])).toBeLessThan(1e-5);
    }
  });

  it('what is held firmly does not shrink under weight decay', async () => {
    const w = own(tf.variable(tf.tensor2d([[1], [-0.5]])));
    const forward = (x: tf.Tensor | tf.Tensor[]) => tf.matMul(x as tf.Tensor2D, w as unknown as tf.Tensor2D);
    const mas = own(new MemoryAwareSynapses({forward, variables: [w]}, {lambda: 1e9}));
    await mas.consolidate(own(tf.ones([3, 2])));
    const optimizer = own(mas.optimizer(new AdamW(0.1, 0.5)));
    const {numTensors} = tf.memory();
    for (let i = 0; i < 30; i++) optimizer.minimize(() => tf.sum(tf.square(tf.sub(w, 3))) as tf.Scalar, false, [w]);
    expect(tf.memory().numTensors).toBe(numTensors);
    for (const [i, value] of (await w.data()).entries()) expect(Math.abs(value - [1, -0.5][i])).toBeLessThan(1e-6);
  });

  it('rmsprop: variables that a loss does not reach keep their place in its state', async () => {
    const results: number[][] = [];
    for (const wrapped of [false, true]) {
      const variables = [1, 2, 3].map((value) => own(tf.variable(tf.fill([2], value))));
      const forward = (x: tf.Tensor | tf.Tensor[]) => tf.mul(x as tf.Tensor, variables[0]);
      const mas = own(new MemoryAwareSynapses({forward, variables}, {lambda: 1}));
      const optimizer = own(wrapped ? mas.optimizer(tf.train.rmsprop(0.1)) : tf.train.rmsprop(0.1));
      const loss = (used: tf.Variable[]) =>
        tf.addN(used.map((v, i) => tf.sum(tf.mul(tf.square(v), i + 1)))) as tf.Scalar;
      for (const used of [[variables[0], variables[2]], variables, [variables[1]]]) {
        optimizer.minimize(() => loss(used), false, variables);
      }
      results.push((await Promise.all(variables.map(async (v) => Array.from(await v.data())))).flat());
    }
    expect(results[1]).toEqual(results[0]);
  });

  it('begins anew around Adamax too, whose state tfjs does not tell', async () => {
    const {mas, step, a} = problem();
    const inner = tf.train.adamax(0.05);
    const optimizer = own(mas.optimizer(inner));
    const start = own(a.clone());
    step(optimizer, 3);
    const expected = (await a.data()).slice();
    const x = own(tf.ones([4, 2]));
    const {numTensors} = tf.memory();
    await mas.consolidate(x);
    expect(tf.memory().numTensors).toBeLessThan(numTensors + 3); // importance and anchor came, the state went
    a.assign(start);
    step(optimizer, 3);
    expect(await a.data()).toEqual(expected);
    expect(optimizer.base).toBe(inner);
  });

  it('hands out copies of its state and leaks none of them', async () => {
    const {mas, step} = problem();
    const optimizer = mas.optimizer(tf.train.adam(0.02));
    step(optimizer, 2);
    const state = await stateful(optimizer).getWeights();
    const before = await contents(state);
    step(optimizer, 2);
    expect(await contents(state)).toEqual(before);
    const {numTensors} = tf.memory();
    for (let i = 0; i < 5; i++) await stateful(optimizer).setWeights(await stateful(optimizer).getWeights());
    expect(tf.memory().numTensors).toBe(numTensors);
    optimizer.dispose();
    optimizer.dispose();
    expect(tf.memory().numTensors).toBe(numTensors - 5 - 2); // the copies, and the two variables of the base
  });

  it('refuses state that does not fit, and keeps its own', async () => {
    const {mas, step, a, b} = problem();
    const optimizer = own(mas.optimizer(tf.train.adam(0.02)));
    step(optimizer, 2);
    const iter = {name: 'iter', tensor: own(tf.scalar(2, 'int32'))};
    const of = (name: string, shape: number[], dtype: 'float32' | 'int32' = 'float32') => ({
      name,
      tensor: own(tf.zeros(shape, dtype)),
    });
    const cases: [string, State][] = [
      ['ARGUMENT', []],
      ['ARGUMENT', [of('m', [3])]],
      ['ARGUMENT', [{name: 'iter', tensor: own(tf.scalar(-1))}]],
      ['ARGUMENT', [{name: 'iter', tensor: own(tf.scalar(Number.NaN))}]],
      ['ARGUMENT', [iter, of('a/m', [3])]],
      ['SHAPE', [iter, of('a/m', [3]), of('a/v', [2])]],
      ['DTYPE', [iter, of('a/m', [3]), of('a/v', [3], 'int32')]],
    ];
    const before = await contents(await stateful(optimizer).getWeights());
    for (const [code, weights] of cases) {
      expect(await codeOf(() => stateful(optimizer).setWeights(weights))).toBe(code);
      expect(await contents(await stateful(optimizer).getWeights())).toEqual(before);
    }
    expect(await codeOf(() => stateful(own(mas.optimizer(tf.train.sgd(1)))).setWeights([iter, of('a/m', [3])]))).toBe(
      'ARGUMENT',
    );

    // What fits in itself but belongs to another network shows at the first step, before any variable moves.
    const other = [iter, of('a/m', [3]), of('b/m', [5]), of('a/v', [3]), of('b/v', [5])];
    await stateful(optimizer).setWeights(other);
    const [atA, atB] = [(await a.data()).slice(), (await b.data()).slice()];
    expect(await codeOf(() => step(optimizer, 1))).toBe('SHAPE');
    await stateful(optimizer).setWeights([iter, of('other/m', [3]), of('other/v', [3])]);
    expect(await codeOf(() => step(optimizer, 1))).toBe('UNKNOWN_VARIABLE');
    expect([await a.data(), await b.data()]).toEqual([atA, atB]);
    (optimizer as PenalizedOptimizer).reset();
    step(optimizer, 1);
  });

  it('refuses to be wrapped twice, a proximal step without one, and a config without a known base', async () => {
    const {mas} = problem();
    const optimizer = own(mas.optimizer(tf.train.sgd(0.1)));
    expect(await codeOf(() => mas.optimizer(optimizer))).toBe('ARGUMENT');
    const [cls, fromConfig] = tf.serialization.SerializationMap.getMap().classNameMap.EngramAdditive;
    const additive = own(fromConfig(cls, own(mas.optimizer(tf.train.rmsprop(0.1))).getConfig()) as PenalizedOptimizer);
    expect(await codeOf(() => mas.optimizer(additive, {step: 'proximal'}))).toBe('ARGUMENT');
    expect(additive.detached).toBe(true);
    expect(await codeOf(() => fromConfig(cls, {base: {className: 'Unheard', config: {}}, lambda: 1}))).toBe('ARGUMENT');
    expect(await codeOf(() => fromConfig(cls, {lambda: 1}))).toBe('ARGUMENT');
  });
});
