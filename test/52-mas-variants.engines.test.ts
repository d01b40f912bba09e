/** Variants of MAS: layer by layer, and with whole batches as other implementations have it. */
import * as tf from '@tensorflow/tfjs';
import {afterEach, expect, it} from 'vitest';
import {BatchMasMethod, estimateBatchImportance} from '../dist/methods/batch-importance.js';
import {estimateLocalImportance, LocalMasMethod} from '../dist/methods/local-mas.js';
import {type MasPreset, masPresets} from '../dist/methods/mas-presets.js';
import {describeEngine, deviation, engineName, exactness} from './engine.js';
import {codeOf, golden, goldenMlp, type Plain, relativeNorm, setValues, taskOf, toTensor} from './method-tasks.js';
import {variablesOf} from './networks.js';

const used: {dispose(): unknown}[] = [];
afterEach(() => {
  for (const thing of used.splice(0)) thing.dispose();
});
const own = <T extends {dispose(): unknown}>(thing: T): T => {
  used.push(thing);
  return thing;
};
/** Frees the weights alone: layers that several models share can be disposed once only. */
const ownModel = <T extends tf.LayersModel>(model: T): T => {
  for (const weight of model.weights) own(weight.read());
  return model;
};
const ownAll = (tensors: Map<string, tf.Tensor>): Map<string, tf.Tensor> => {
  for (const tensor of tensors.values()) own(tensor);
  return tensors;
};

type Symbolic = tf.SymbolicTensor;
const random = (shape: number[], seed: number) => own(tf.randomNormal(shape, 0, 1, 'float32', seed));
/** Weights that are none of the zeros with which biases begin. */
function stir(model: tf.LayersModel, seed: number): void {
  for (const [i, weight] of model.weights.entries()) {
    const values = tf.tidy(() => tf.add(tf.randomNormal(weight.shape as number[], 0, 0.5, 'float32', seed + i), 0.1));
    (weight.read() as tf.Variable).assign(weight.name.includes('variance') ? own(tf.abs(values)) : values);
    values.dispose();
  }
}

/** (1/N) sum_b |d||y(x_b)||^2/dtheta| of a part of a network, by one tf.variableGrads a sample. */
async function expectDefinition(
  found: Map<string, tf.Tensor>,
  layer: tf.layers.Layer,
  inputs: tf.Tensor[],
  y: (inputs: tf.Tensor[]) => tf.Tensor,
): Promise<void> {
  const variables = layer.trainableWeights.map((weight) => weight.read() as tf.Variable);
  const [samples] = inputs[0].shape;
  const total = variables.map(({size}) => new Float64Array(size));
  for (let b = 0; b < samples; b++) {
    const {value, grads} = tf.variableGrads(
      () => tf.sum(tf.square(y(inputs.map((x) => tf.slice(x, [b], [1]))))) as tf.Scalar,
      variables,
    );
    for (const [i, {name}] of variables.entries()) {
      for (const [j, g] of (await grads[name].data()).entries()) total[i][j] += Math.abs(g) / samples;
    }
    tf.dispose([value, grads]);
  }
  for (const [i, {name}] of variables.entries()) {
    expect(found.has(name), name).toBe(true);
    expect(deviation(await found.get(name)!.data(), total[i]), name).toBeLessThan(exactness);
  }
}

/** Dense + ReLU, a dense layer used twice with a tanh layer after each use, and a softmax head. */
function sharedLayers() {
  const input = tf.input({shape: [5]});
  const [first, shared] = [tf.layers.dense({units: 7, activation: 'relu'}), tf.layers.dense({units: 7})];
  const tanh = () => tf.layers.activation({activation: 'tanh'});
  const last = tf.layers.dense({units: 4, activation: 'softmax'});
  const h1 = first.apply(input);
  const h2 = tanh().apply(shared.apply(h1));
  const h3 = tanh().apply(shared.apply(h2));
  const model = ownModel(tf.model({inputs: input, outputs: last.apply(h3) as Symbolic}));
  setValues(
    [first, shared, last].flatMap((layer) => layer.trainableWeights.map((weight) => weight.read() as tf.Variable)),
    golden.localMas.weights,
  );
  return {model, layers: [first, shared, last]};
}

describeEngine(`local MAS on ${engineName}`, () => {
  it('gives what the formula gives in float64: activations, a layer used twice, the logits of a softmax', async () => {
    const {model, layers} = sharedLayers();
    const samples = own(toTensor(golden.localMas.samples));
    const found = ownAll(await estimateLocalImportance(model, samples, {batchSize: 7}));
    const inOrder = layers.flatMap((layer) =>
      layer.trainableWeights.map((weight) => found.get((weight.read() as tf.Variable).name)),
    );
    expect(await relativeNorm(inOrder, golden.localMas.omega)).toBeLessThan(exactness);
    expect(found.size).toBe(6);
  });

  it("is Hebb's rule for a dense layer with a ReLU: 2 y_i y_j", async () => {
    const model = ownModel(tf.sequential({layers: [tf.layers.dense({units: 3, inputShape: [4], activation: 'relu'})]}));
    stir(model, 1);
    const x = random([6, 4], 2);
    const found = ownAll(await estimateLocalImportance(model, x));
    const [kernel] = variablesOf(model);
    const hebb = own(tf.tidy(() => tf.div(tf.matMul(tf.abs(x), model.predict(x) as tf.Tensor, true), 6 / 2)));
    expect(deviation(await found.get(kernel.name)!.data(), (await hebb.data()) as Float32Array)).toBeLessThan(
      exactness,
    );
  });

  it('a convolutional network: each layer by its definition, whatever stands between it and its activation', async () => {
    const conv = tf.layers.conv2d({filters: 3, kernelSize: 3, inputShape: [6, 6, 2]});
    const norm = tf.layers.batchNormalization();
    const relu = tf.layers.reLU();
    const hidden = tf.layers.dense({units: 4, activation: 'sigmoid'});
    const prelu = tf.layers.prelu();
    const head = tf.layers.dense({units: 3});
    const [drop, flat, softmax] = [tf.layers.dropout({rate: 0.5}), tf.layers.flatten(), tf.layers.softmax()];
    const model = ownModel(tf.sequential({layers: [conv, norm, drop, relu, flat, hidden, prelu, head, softmax]}));
    stir(model, 3);
    const x = random([9, 6, 6, 2], 4);
    const found = ownAll(await estimateLocalImportance(model, x, {batchSize: 4}));
    const a = own(conv.apply(x) as tf.Tensor);
    const b = own(tf.tidy(() => flat.apply(relu.apply(norm.apply(a) as tf.Tensor) as tf.Tensor) as tf.Tensor));
    const c = own(hidden.apply(b) as tf.Tensor);
    const d = own(prelu.apply(c) as tf.Tensor);
    await expectDefinition(found, conv, [x], ([i]) => conv.apply(i) as tf.Tensor);
    await expectDefinition(found, norm, [a], ([i]) => relu.apply(norm.apply(i) as tf.Tensor) as tf.Tensor);
    await expectDefinition(found, hidden, [b], ([i]) => hidden.apply(i) as tf.Tensor);
    await expectDefinition(found, prelu, [c], ([i]) => prelu.apply(i) as tf.Tensor);
    await expectDefinition(found, head, [d], ([i]) => head.apply(i) as tf.Tensor); // before the softmax layer
    expect(found.size).toBe(variablesOf(model).length);
  });

  it('sequences: masks are held constant with the inputs, and states are no outputs', async () => {
    // tfjs' webgpu backend (4.22) has no valid shader for the transposed mask of a recurrent layer.
    const maskZero = engineName !== 'webgpu';
    const input = tf.input({shape: [5], dtype: 'int32'});
    const embedding = tf.layers.embedding({inputDim: 6, outputDim: 3, maskZero});
    const lstm = tf.layers.lstm({units: 2, returnState: true});
    const [h] = lstm.apply(embedding.apply(input)) as Symbolic[];
    const head = tf.layers.dense({units: 2});
    const model = ownModel(tf.model({inputs: input, outputs: head.apply(h) as Symbolic}));
    stir(model, 5);
    const words = [1, 2, 3, 0, 0, 4, 5, 0, 0, 0, 2, 2, 1, 5, 4, 3, 0, 0, 0, 0];
    const x = own(tf.tensor2d(words, [4, 5], 'int32'));
    const found = ownAll(await estimateLocalImportance(model, x, {batchSize: 3}));
    const [embedded, mask] = [own(embedding.apply(x) as tf.Tensor), own(tf.cast(tf.notEqual(x, 0), 'int32'))];
    await expectDefinition(found, embedding, [x], ([i]) => embedding.apply(i) as tf.Tensor);
    await expectDefinition(found, lstm, [embedded, mask], ([i, m]) => {
      return (lstm.apply(i, maskZero ? {mask: tf.cast(m, 'bool')} : {}) as tf.Tensor[])[0];
    });
  });

  it('a backbone counts the same as layers, as a model in the model, and under several heads', async () => {
    const backbone = tf.sequential({layers: [tf.layers.dense({units: 7, activation: 'relu', inputShape: [5]})]});
    const [one, other] = [tf.layers.dense({units: 4}), tf.layers.dense({units: 3})];
    const [shared] = backbone.outputs;
    const flat = ownModel(tf.model({inputs: backbone.inputs, outputs: one.apply(shared) as Symbolic}));
    const sibling = ownModel(tf.model({inputs: backbone.inputs, outputs: other.apply(shared) as Symbolic}));
    const input = tf.input({shape: [5]});
    const nested = tf.model({inputs: input, outputs: one.apply(backbone.apply(input)) as Symbolic});
    stir(flat, 6);
    const x = random([8, 5], 7);
    const truth = ownAll(await estimateLocalImportance(flat, x));
    expect([...truth.keys()]).toEqual(variablesOf(flat).map(({name}) => name));
    for (const model of [nested, sibling]) {
      const found = ownAll(await estimateLocalImportance(model, x));
      expect(found.size).toBe(4);
      for (const [name, omega] of truth) {
        if (!found.has(name)) continue; // the other head
        expect(deviation(await found.get(name)!.data(), (await omega.data()) as Float32Array)).toBeLessThan(1e-6);
      }
    }
  });

  it('does not depend on the size of batches, and leaves the model and the memory as they were', async () => {
    const {model} = sharedLayers();
    const samples = own(toTensor(golden.localMas.samples));
    const before = tf.memory().numTensors;
    const whole = await estimateLocalImportance(model, samples, {batchSize: 32});
    const split = await estimateLocalImportance(model, samples, {batchSize: 5});
    for (const [name, omega] of whole) {
      expect(deviation(await split.get(name)!.data(), (await omega.data()) as Float32Array)).toBeLessThan(exactness);
    }
    tf.dispose([...whole.values(), ...split.values()]);
    expect(tf.memory().numTensors).toBe(before);
    for (const layer of model.layers) expect(Object.hasOwn(layer, 'call')).toBe(false);
  });

  it('refuses what it cannot measure, and leaves nothing behind', async () => {
    const {model, layers} = sharedLayers();
    const x = own(tf.ones([3, 5]));
    const nan = own(tf.tensor2d([[1, 2, Number.NaN, 4, 5]]));
    const before = tf.memory().numTensors;
    const local = (...args: unknown[]) => codeOf(() => estimateLocalImportance(...(args as [never, never, never])));
    expect(await local(undefined, x)).toBe('ARGUMENT');
    expect(await local({forward: () => x, variables: []}, x)).toBe('ARGUMENT');
    expect(await local(model, x, {batchSize: 0})).toBe('ARGUMENT');
    expect(await local(model, [])).toBe('EMPTY_DATA');
    expect(await local(model, own(tf.ones([3, 4])))).toBe('SHAPE');
    expect(await local(model, nan)).toBe('NON_FINITE');
    for (const layer of layers) layer.trainable = false;
    expect(await local(model, x)).toBe('ARGUMENT');
    for (const layer of layers) layer.trainable = true;
    await expect(estimateLocalImportance(model, x, {signal: AbortSignal.abort(new Error('no'))})).rejects.toThrow('no');
    const {call} = layers[2];
    layers[2].call = () => {
      throw new Error('broken');
    };
    await expect(estimateLocalImportance(model, x)).rejects.toThrow('broken');
    layers[2].call = call;
    expect(tf.memory().numTensors).toBe(before + 1);
  });

  it('LocalMasMethod holds a sequence by it', async () => {
    const {network, variables} = goldenMlp();
    ownModel(network);
    const x = random([20, 5], 8);
    const method = own(new LocalMasMethod({lambda: 1}));
    const once = ownAll(await estimateLocalImportance(network, x));
    await method.afterTask(taskOf(network, x));
    await method.afterTask(taskOf(network, x, {index: 1}));
    for (const {name} of variables) {
      const twice = (await method.memory.importance.get(name)!.data()) as Float32Array;
      const single = (await once.get(name)!.data()) as Float32Array;
      expect(
        deviation(
          twice,
          single.map((omega) => 2 * omega),
        ),
      ).toBeLessThan(1e-6);
    }
  });
});

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
