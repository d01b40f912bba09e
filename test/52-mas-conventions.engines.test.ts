/** MAS with whole batches, as other implementations have it. */
import * as tf from '@tensorflow/tfjs';
import {expect, it} from 'vitest';
import {BatchMasMethod, estimateBatchImportance} from '../dist/methods/batch-importance.js';
import {type MasPreset, masPresets} from '../dist/methods/mas-presets.js';
import {describeEngine, deviation, engineName, exactness} from './engine.js';
import {codeOf, golden, goldenMlp, type Plain, relativeNorm, setValues, taskOf, toTensor} from './method-tasks.js';
import {variablesOf} from './networks.js';
import {own, ownAll, ownModel, random, stir} from './owned.js';

type Symbolic = tf.SymbolicTensor;

/** The golden network, a second head on the same features, and the ragged samples. */
function twoHeads() {
  const {network, features, input, hidden, variables} = goldenMlp();
  ownModel(network);
  const head = tf.layers.dense({units: 3});
  const other = ownModel(tf.model({inputs: input, outputs: head.apply(hidden) as Symbolic}));
  setValues(
    head.trainableWeights.map((weight) => weight.read() as tf.Variable),
    golden.presets.otherHead,
  );
  return {network, features, other, variables, x: own(toTensor(golden.presets.samples))};
}

describeEngine(`MAS of other implementations on ${engineName}`, () => {
  const {batchSize} = golden.presets;

  it('each preset gives what its source computes, a last batch of fewer samples included', async () => {
    const {network, other, variables, x} = twoHeads();
    for (const name of ['official', 'avalanche', 'facil'] as const) {
      const convention = {...masPresets[name], shuffled: false}; // the golden numbers are of batches in order
      const networks = convention.allHeads ? [other, network] : network;
      const found = ownAll(await estimateBatchImportance(networks, x, convention, {batchSize}));
      const held = variables.slice(0, convention.holdsHeads ? 4 : 2);
      const omega = held.map((variable) => found.get(variable.name));
      expect(await relativeNorm(omega, golden.presets[name]), name).toBeLessThan(1e-5);
    }
  });

  it('batches of one make the official code exact; larger ones underestimate', async () => {
    const {network, variables, x} = twoHeads();
    const one = ownAll(await estimateBatchImportance(network, x, masPresets.official, {batchSize: 1}));
    const whole = ownAll(await estimateBatchImportance(network, x, masPresets.official));
    const exact = ownAll((await (await import('../dist/index.js')).estimateImportance(network, x)).importance);
    for (const {name} of variables) {
      const [a, b, c] = await Promise.all([one, whole, exact].map((omega) => omega.get(name)!.data()));
      expect(deviation(a, c as Float32Array)).toBeLessThan(exactness);
      (b as Float32Array).forEach((omega, i) => void expect(omega).toBeLessThanOrEqual(c[i] * 1.0001 + 1e-6));
    }
  });

  it('a convention of its own: the mean over outputs is the mean by their number', async () => {
    const {network, variables, x} = twoHeads();
    const convention = {...masPresets.avalanche, training: false};
    const mean = ownAll(await estimateBatchImportance(network, x, convention));
    const square = ownAll(await estimateBatchImportance(network, x, {...convention, objective: 'mean square'}));
    for (const {name} of variables) {
      const [a, b] = [await mean.get(name)!.data(), await square.get(name)!.data()];
      expect(
        deviation(
          b,
          (a as Float32Array).map((omega) => omega / 4),
        ),
      ).toBeLessThan(1e-5);
    }
  });

  it('the seed decides the order: every sample once, and the same again', async () => {
    const {network, variables, x} = twoHeads();
    const rows: number[][] = [];
    const convention = {...masPresets.facil, allHeads: false, average: 'batches' as const};
    const watched = network.apply.bind(network);
    network.apply = (inputs, kwargs) => {
      reads.push((inputs as tf.Tensor).array() as Promise<number[][]>);
      return watched(inputs, kwargs);
    };
    const reads: Promise<number[][]>[] = [];
    const found = [];
    for (const seed of [1, 1, 2]) {
      found.push(ownAll(await estimateBatchImportance(network, x, convention, {batchSize, seed})));
      rows.push((await Promise.all(reads.splice(0))).flat().map(([first]) => first));
    }
    network.apply = watched;
    expect(rows[0]).toEqual(rows[1]);
    expect(rows[0]).not.toEqual(rows[2]);
    const inOrder = ((await x.array()) as number[][]).map(([first]) => first);
    expect(rows[0]).not.toEqual(inOrder);
    for (const order of rows) expect([...order].sort()).toEqual([...inOrder].sort());
    const {name} = variables[0];
    expect(await found[0].get(name)!.data()).toEqual(await found[1].get(name)!.data());
    // In the order that was read, without shuffling, the same comes out.
    const sorted = own(
      tf.gather(
        x,
        rows[0].map((first) => inOrder.indexOf(first)),
      ),
    );
    const again = ownAll(await estimateBatchImportance(network, sorted, {...convention, shuffled: false}, {batchSize}));
    expect(await again.get(name)!.data()).toEqual(await found[0].get(name)!.data());
  });

  it('training mode moves the averages of batch normalisation, inference mode does not', async () => {
    const norm = tf.layers.batchNormalization({inputShape: [5]});
    const model = ownModel(tf.sequential({layers: [norm, tf.layers.dense({units: 2})]}));
    stir(model, 9);
    const x = random([12, 5], 10);
    const averages = async () => Promise.all(norm.nonTrainableWeights.map((weight) => weight.read().data()));
    const before = await averages();
    ownAll(await estimateBatchImportance(model, x, masPresets.official));
    expect(await averages()).toEqual(before);
    ownAll(await estimateBatchImportance(model, x, masPresets.avalanche));
    expect(await averages()).not.toEqual(before);
  });

  it('outputs that are all zero have a norm without a slope, not NaN', async () => {
    const {network, variables} = twoHeads();
    setValues(
      variables,
      golden.weights.map((plain): Plain => ({...plain, values: plain.values.map(() => 0)})),
    );
    const zero = own(tf.zeros([8, 5]));
    const found = ownAll(await estimateBatchImportance(network, zero, masPresets.facil, {batchSize}));
    for (const omega of found.values()) for (const value of await omega.data()) expect(value).toBe(0);
  });

  it('the method merges, weighs and holds as its source does', async () => {
    const {network, features, other, variables, x} = twoHeads();
    const [lambda, rate] = [0.5, 0.1];
    /** Weights of the first task's Omega and of the second's, and what the penalty's gradient is multiplied by. */
    const expected: Record<MasPreset, [number, number, number]> = {
      official: [1, 1, 2 * lambda],
      avalanche: [0.5, 0.5, 2 * lambda],
      facil: [0.25, 0.5, lambda],
    };
    for (const [preset, [first, second, slope]] of Object.entries(expected) as [
      MasPreset,
      [number, number, number],
    ][]) {
      setValues(variables, golden.weights);
      const method = own(new BatchMasMethod({lambda, preset, batchSize, step: 'explicit'}));
      await method.afterTask(taskOf(other, x, {features}));
      const earlier = (await method.memory.importance.get(variables[0].name)!.data()).slice() as Float32Array;
      const share = preset === 'facil' ? 0.5 : 1;
      await method.afterTask(taskOf(network, x, {index: 1, features, earlier: [other]}));
      const convention = masPresets[preset];
      const networks = convention.allHeads ? [other, network] : network;
      const later = ownAll(await estimateBatchImportance(networks, x, convention, {batchSize, seed: 1}));
      const own2 = (await later.get(variables[0].name)!.data()) as Float32Array;
      const omega = (await method.memory.importance.get(variables[0].name)!.data()) as Float32Array;
      const merged = own2.map((value, i) => (first / share) * earlier[i] + second * value);
      expect(deviation(omega, merged), preset).toBeLessThan(1e-5);
      const heads = [...variablesOf(other), ...variablesOf(network)].filter(({size}) => [21, 3, 28, 4].includes(size));
      expect(heads.every(({name}) => method.memory.get(name) !== undefined)).toBe(convention.holdsHeads);
      expect(method.memory.get(variables[1].name)?.tasks).toBe(2);
      // One step without a task's gradient, from one unit off the anchor.
      const [kernel] = variables;
      const moved = tf.tidy(() => tf.add(kernel, 1));
      kernel.assign(moved);
      moved.dispose();
      const optimizer = own(method.optimizer(tf.train.sgd(rate)));
      const start = (await kernel.data()).slice() as Float32Array;
      optimizer.applyGradients({[kernel.name]: own(tf.zerosLike(kernel))});
      const end = (await kernel.data()) as Float32Array;
      omega.forEach((value, i) => void expect(Math.abs(start[i] - end[i] - rate * slope * value)).toBeLessThan(1e-5));
    }
  });

  it('one head for all classes is not counted twice', async () => {
    const {network, features, variables, x} = twoHeads();
    const method = own(new BatchMasMethod({lambda: 1, preset: 'facil', batchSize}));
    await method.afterTask(taskOf(network, x, {features, earlier: [network]}));
    const alone = ownAll(await estimateBatchImportance(network, x, masPresets.facil, {batchSize, seed: 1}));
    const half = own(tf.mul(alone.get(variables[0].name)!, 0.5));
    const omega = await method.memory.importance.get(variables[0].name)!.data();
    expect(deviation(omega, (await half.data()) as Float32Array)).toBeLessThan(1e-6);
  });

  it('refuses what makes no sense, and leaves no tensor, not even then', async () => {
    const {network, other, x} = twoHeads();
    const {network: stranger} = goldenMlp();
    ownModel(stranger);
    const before = tf.memory().numTensors;
    const {facil, official} = masPresets;
    const batch = (...args: unknown[]) => codeOf(() => estimateBatchImportance(...(args as [never, never, never])));
    expect(await batch(network, x, facil)).toBe('EMPTY_DATA'); // 19 samples are no batch of 64
    expect(await batch(network, [], official)).toBe('EMPTY_DATA');
    expect(await batch(network, x, official, {batchSize: 1.5})).toBe('ARGUMENT');
    expect(await batch([], x, official)).toBe('ARGUMENT');
    expect(await batch([network, stranger], x, official)).toBe('ARGUMENT');
    expect(await batch({forward: () => x, variables: []}, x, official)).toBe('ARGUMENT');
    const abort = AbortSignal.abort(new Error('no'));
    for (const convention of [official, {...facil, batchSize}]) {
      await expect(estimateBatchImportance(network, x, convention, {signal: abort})).rejects.toThrow('no');
      tf.dispose([...(await estimateBatchImportance([other, network], x, convention)).values()]);
    }
    for (const preset of ['paper', undefined, null, 3, '__proto__']) {
      expect(await codeOf(() => new BatchMasMethod({lambda: 1, preset: preset as never}))).toBe('ARGUMENT');
    }
    expect(await codeOf(() => new BatchMasMethod({lambda: 1, preset: 'facil', batchSize: 0}))).toBe('ARGUMENT');
    expect(await codeOf(() => new BatchMasMethod({lambda: -1, preset: 'facil'}))).toBe('ARGUMENT');
    expect(await codeOf(() => new BatchMasMethod(undefined as never))).toBe('ARGUMENT');
    expect(tf.memory().numTensors).toBe(before);
  });
});
