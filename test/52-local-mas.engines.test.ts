/** l-MAS: the importance of every layer for its own output. */
import * as tf from '@tensorflow/tfjs';
import {expect, it} from 'vitest';
import {estimateLocalImportance, LocalMasMethod} from '../dist/methods/local-mas.js';
import {describeEngine, deviation, engineName, exactness} from './engine.js';
import {codeOf, golden, goldenMlp, relativeNorm, setValues, taskOf, toTensor} from './method-tasks.js';
import {variablesOf} from './networks.js';
import {own, ownAll, ownModel, random, stir} from './owned.js';

type Symbolic = tf.SymbolicTensor;

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
