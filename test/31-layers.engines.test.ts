/** Every kind of layer, in random sizes: importance equals the definition, and the report names a rule. */
import * as tf from '@tensorflow/tfjs';
import fc from 'fast-check';
import {expect, it} from 'vitest';
import {estimateImportance} from '../dist/index.js';
import {describeEngine, deviation, engineName, exactness} from './engine.js';
import {batchOfOne, variablesOf} from './networks.js';

/** Draws a whole number. */
type Draw = (min: number, max: number) => number;
interface Network {
  forward: (x: tf.Tensor) => tf.Tensor;
  variables: tf.Variable[];
  samples: tf.Tensor;
}

const samplesInAll = 6;
let seed = 0;
const normal = (...shape: number[]) => tf.randomNormal(shape, 0, 1, 'float32', ++seed);
const variable = (...shape: number[]) => tf.variable(tf.mul(normal(...shape), 0.5));
const words = (length: number, vocabulary: number) =>
  tf.randomUniform([samplesInAll, length], 0, vocabulary, 'int32', ++seed);

/** Some layers, then a dense one; weights are drawn here, not by initializers that leave biases 0. */
function layers(samples: tf.Tensor, ...list: tf.layers.Layer[]): Network {
  const network = tf.sequential({layers: list});
  if (network.outputShape.length > 2) network.add(tf.layers.flatten());
  network.add(tf.layers.dense({units: 3}));
  return model(samples, network);
}

function model(samples: tf.Tensor, network: tf.LayersModel): Network {
  for (const weight of network.weights) {
    const values = tf.mul(normal(...(weight.shape as number[])), 0.5);
    weight.write(weight.name.includes('variance') ? tf.add(tf.abs(values), 0.5) : values);
  }
  const forward = (x: tf.Tensor) => network.apply(x, {training: false}) as tf.Tensor;
  return {forward, variables: variablesOf(network), samples};
}

const recurrentInitializer = 'glorotUniform';
const paddings = ['same', 'valid'] as const;

function recurrent(kind: 'lstm' | 'gru' | 'simpleRNN', draw: Draw): tf.RNN {
  const returnSequences = draw(0, 1) === 1;
  return tf.layers[kind]({
    units: draw(1, 5),
    returnSequences,
    goBackwards: draw(0, 1) === 1,
    recurrentInitializer,
  }) as tf.RNN;
}

function sequence(draw: Draw, layer: (inputShape: number[]) => tf.layers.Layer): Network {
  const shape = [draw(1, 4), draw(1, 5)];
  return layers(normal(samplesInAll, ...shape), tf.layers.inputLayer({inputShape: shape}), layer(shape));
}

const kinds: Record<string, (draw: Draw) => Network> = {
  Dense: (draw) => {
    const inputs = draw(1, 9);
    return layers(
      normal(samplesInAll, inputs),
      tf.layers.dense({units: draw(1, 9), inputShape: [inputs], activation: 'tanh'}),
    );
  },
  Conv1D: (draw) => {
    const inputShape = [draw(4, 9), draw(1, 5)];
    const config = {filters: draw(1, 9), kernelSize: draw(1, 4), strides: draw(1, 2), padding: paddings[draw(0, 1)]};
    return layers(normal(samplesInAll, ...inputShape), tf.layers.conv1d({...config, inputShape, activation: 'relu'}));
  },
  Conv2D: (draw) => {
    const inputShape = [draw(4, 8), draw(4, 8), draw(1, 5)];
    const kernelSize: [number, number] = [draw(1, 4), draw(1, 4)];
    const config = {filters: draw(1, 9), kernelSize, strides: draw(1, 2), padding: paddings[draw(0, 1)]};
    return layers(normal(samplesInAll, ...inputShape), tf.layers.conv2d({...config, inputShape, activation: 'relu'}));
  },
  Conv3D: (draw) => {
    const inputShape = [draw(2, 5), draw(2, 5), draw(2, 5), draw(1, 4)];
    const kernelSize: [number, number, number] = [draw(1, 2), draw(1, 2), draw(1, 2)];
    const config = {filters: draw(1, 5), kernelSize, strides: draw(1, 2), padding: paddings[draw(0, 1)]};
    return layers(normal(samplesInAll, ...inputShape), tf.layers.conv3d({...config, inputShape, activation: 'relu'}));
  },
  Conv2DTranspose: (draw) => {
    const inputShape = [draw(2, 4), draw(2, 4), draw(1, 4)];
    const config = {filters: draw(1, 4), kernelSize: draw(1, 3), strides: draw(1, 2), padding: paddings[draw(0, 1)]};
    return layers(normal(samplesInAll, ...inputShape), tf.layers.conv2dTranspose({...config, inputShape}));
  },
  DepthwiseConv2D: (draw) => {
    const inputShape = [draw(4, 8), draw(4, 8), draw(1, 5)];
    const config = {
      kernelSize: draw(1, 3),
      strides: draw(1, 2),
      depthMultiplier: draw(1, 3),
      padding: paddings[draw(0, 1)],
    };
    return layers(normal(samplesInAll, ...inputShape), tf.layers.depthwiseConv2d({...config, inputShape}));
  },
  SeparableConv2D: (draw) => {
    const inputShape = [draw(4, 7), draw(4, 7), draw(1, 4)];
    const config = {
      filters: draw(1, 5),
      kernelSize: draw(1, 3),
      depthMultiplier: draw(1, 2),
      padding: paddings[draw(0, 1)],
    };
    return layers(normal(samplesInAll, ...inputShape), tf.layers.separableConv2d({...config, inputShape}));
  },
  Embedding: (draw) => {
    const [length, inputDim] = [draw(1, 6), draw(2, 9)];
    return layers(
      words(length, inputDim),
      tf.layers.embedding({inputDim, outputDim: draw(1, 6), inputLength: length}),
      tf.layers.activation({activation: 'tanh'}),
    );
  },
  LSTM: (draw) => sequence(draw, () => recurrent('lstm', draw)),
  GRU: (draw) => sequence(draw, () => recurrent('gru', draw)),
  SimpleRNN: (draw) => sequence(draw, () => recurrent('simpleRNN', draw)),
  Bidirectional: (draw) =>
    sequence(draw, () =>
      tf.layers.bidirectional({layer: recurrent((['lstm', 'gru'] as const)[draw(0, 1)], draw), mergeMode: 'concat'}),
    ),
  TimeDistributed: (draw) =>
    sequence(draw, () => tf.layers.timeDistributed({layer: tf.layers.dense({units: draw(1, 5), activation: 'tanh'})})),
  LayerNormalization: (draw) => sequence(draw, () => tf.layers.layerNormalization({epsilon: 0.1})),
  BatchNormalization: (draw) => sequence(draw, () => tf.layers.batchNormalization()),
  PReLU: (draw) => sequence(draw, () => tf.layers.prelu()),
  'attention with learned positions': (draw) => {
    const [length, width, inner] = [draw(1, 4), draw(1, 4), draw(1, 5)];
    const names = [variable(width, inner), variable(width, inner), variable(width, inner), variable(length + 2, width)];
    const [query, key, value, positions] = names;
    const forward = (x: tf.Tensor) => {
      const placed = tf.add(x, tf.slice(positions, [0, 0], [length, width]));
      const project = (w: tf.Tensor) => {
        const rows = tf.matMul(tf.reshape(placed, [-1, width]) as tf.Tensor2D, w as tf.Tensor2D);
        return tf.reshape(rows, [-1, length, inner]);
      };
      const weights = tf.softmax(tf.matMul(project(query), project(key), false, true));
      return tf.matMul(weights, project(value));
    };
    return {forward, variables: names, samples: normal(samplesInAll, length, width)};
  },
  'a layer used twice': (draw) => {
    const width = draw(1, 6);
    const shared = tf.layers.dense({units: width, activation: 'tanh'});
    const input = tf.input({shape: [width]});
    const outputs = shared.apply(shared.apply(input)) as tf.SymbolicTensor;
    return model(normal(samplesInAll, width), tf.model({inputs: input, outputs}));
  },
  'a tied embedding and projection': (draw) => {
    const [length, vocabulary, width] = [draw(1, 5), draw(2, 8), draw(1, 5)];
    const table = variable(vocabulary, width);
    const forward = (x: tf.Tensor) => {
      const hidden = tf.tanh(tf.sum(tf.gather(table, tf.cast(x, 'int32')), 1));
      return tf.matMul(hidden as tf.Tensor2D, table as unknown as tf.Tensor2D, false, true);
    };
    return {forward, variables: [table], samples: words(length, vocabulary)};
  },
  'weights computed from weights, in plain code': (draw) => {
    const [inputs, units] = [draw(1, 5), draw(1, 5)];
    const [direction, gain, shift] = [variable(inputs, units), variable(units), variable(units)];
    const forward = (x: tf.Tensor) => {
      const w = tf.mul(tf.div(direction, tf.norm(direction, 2, 0)), gain) as tf.Tensor2D;
      return tf.add(tf.matMul(x as tf.Tensor2D, w), shift);
    };
    return {forward, variables: [direction, gain, shift], samples: normal(samplesInAll, inputs)};
  },
};

describeEngine(`layers on ${engineName}`, () => {
  it.each(Object.keys(kinds))('%s', async (kind) => {
    const property = fc.asyncProperty(fc.gen(), async (gen) => {
      const network = kinds[kind]((min, max) => gen(fc.integer, {min, max}));
      const {forward, variables, samples} = network;
      const expected = await batchOfOne(forward, variables, samples);
      const plain = {forward: (x: tf.Tensor | tf.Tensor[]) => forward(x as tf.Tensor), variables};
      const {importance, report} = await estimateImportance(plain, samples, {batchSize: 4, output: 'output'});
      for (const [name, omega] of expected) {
        const values = await importance.get(name)!.data();
        // A floor of 1e-2: the definition itself, in 32 bits, keeps no five digits of what a cancellation leaves.
        expect(deviation(values, omega, 1e-2), name).toBeLessThanOrEqual(exactness);
      }
      for (const {rule, fallback} of report.parameters)
        expect({rule, fallback}).toEqual({rule: expect.any(String), fallback: null});
      tf.dispose([samples, ...variables, ...importance.values()]);
    });
    // Every new size is a new pipeline, which a software GPU takes its time to compile.
    const numRuns = engineName === 'webgpu' ? 2 : 12;
    await fc.assert(property, {numRuns, seed: Number(process.env.ENGRAM_SEED ?? 1)});
  });
});
