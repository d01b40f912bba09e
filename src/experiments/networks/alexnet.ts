/** AlexNet as torchvision defines it, with its weights from a safetensors file. */
import * as tf from '@tensorflow/tfjs-core';
import * as layers from '@tensorflow/tfjs-layers';
import {EngramError} from '../../errors.js';
import {naming, readNamed} from '../../memory/named.js';
import {floatsOf, type RawTensor, readSafetensors, type SafetensorsFile} from '../../memory/safetensors.js';
import {SeededDropout} from './dropout.js';
import type {ImageShape} from './image.js';

/** What an AlexNet is made of besides its architecture. */
export interface AlexNetSettings {
  /**
   * Path of a safetensors file, or its bytes: the `state_dict` of torchvision's `alexnet` under its names and in its
   * layouts, F32; other tensors are not read. Left out, weights are drawn from the seed.
   */
  readonly weights?: string | Uint8Array | undefined;
  /** Appends torchvision's last layer: the outputs are then the logits `[B, 1000]` of the ImageNet classes. */
  readonly classifier?: boolean | undefined;
}

/** A layer with weights: its name here and in torchvision, and torchvision's shape `[out, in, ...kernel]`. */
interface Weighted {
  readonly name: string;
  readonly torch: string;
  readonly shape: readonly number[];
}

const weighted: readonly Weighted[] = [
  {name: 'conv1', torch: 'features.0', shape: [64, 3, 11, 11]},
  {name: 'conv2', torch: 'features.3', shape: [192, 64, 5, 5]},
  {name: 'conv3', torch: 'features.6', shape: [384, 192, 3, 3]},
  {name: 'conv4', torch: 'features.8', shape: [256, 384, 3, 3]},
  {name: 'conv5', torch: 'features.10', shape: [256, 256, 3, 3]},
  {name: 'fc6', torch: 'classifier.1', shape: [4096, 9216]},
  {name: 'fc7', torch: 'classifier.4', shape: [4096, 4096]},
  {name: 'fc8', torch: 'classifier.6', shape: [1000, 4096]},
];

const pixels = 224;
const remedy = "Save the state_dict of torchvision's alexnet in float32 with safetensors.torch.save_file.";

/**
 * AlexNet (Krizhevsky, "One weird trick", 2014, without its parallel halves) as `torchvision.models.alexnet` has it, from
 * the image `[B, 224, 224, 3]` to features `[B, 4096]`: layers `conv1` to `conv5`, `fc6` and `fc7`, all ReLU, with dropout
 * of one half before the dense ones while it is trained. Given the same weights, outputs are torchvision's; images must
 * be normalised as those weights expect them.
 *
 * @param image 224x224 pixels and three channels: at this size torchvision's adaptive pooling to 6x6 does nothing
 * @param seed decides weights that come from no file (He et al. 2015; layer i, counted from 0, has the seed
 * `seed * 100 + i`; biases are 0), and the masks of dropout
 * @throws EngramError ARGUMENT for other images; DATA_FILE, with file and tensor, for a file that cannot be read or lacks
 * a tensor, or has it in another shape or type or with a value that is not finite. No tensor is leaked.
 */
export async function alexnet(
  image: ImageShape,
  {weights, classifier = false}: AlexNetSettings,
  seed: number,
): Promise<layers.LayersModel> {
  const {height, width, channels} = image;
  if (height !== pixels || width !== pixels || channels !== 3) {
    throw new EngramError('ARGUMENT', {
      expected: `images of ${pixels}x${pixels} pixels and 3 channels for AlexNet`,
      received: `height ${height}, width ${width}, channels ${channels}`,
      remedy: 'Resize the images, or take another network.',
    });
  }
  const used = classifier ? weighted : weighted.slice(0, -1);
  if (weights === undefined) return makeNetwork(used, seed, false);
  const file =
    typeof weights === 'string'
      ? await readNamed(weights, readSafetensors, remedy)
      : naming('the weights', () => readSafetensors(weights), remedy);
  const name = typeof weights === 'string' ? weights : 'the weights';
  naming(name, () => checkTensors(file, used), remedy);
  const network = makeNetwork(used, seed, true);
  try {
    naming(name, () => load(network, file, used), remedy);
    return network;
  } catch (error) {
    network.dispose();
    throw error;
  }
}

/** @param empty whether weights stay 0, as they are about to be loaded */
function makeNetwork(used: readonly Weighted[], seed: number, empty: boolean): layers.LayersModel {
  const initial = (at: number) =>
    empty ? layers.initializers.zeros() : layers.initializers.heUniform({seed: seed * 100 + at});
  const convolution = (at: number, options: object = {padding: 'same'}) => {
    const {name, shape} = used[at];
    const [filters, , ...kernelSize] = shape as [number, number, number, number];
    const kernelInitializer = initial(at);
    return layers.layers.conv2d({name, filters, kernelSize, activation: 'relu', kernelInitializer, ...options});
  };
  const dense = (at: number, activation: 'relu' | 'linear' = 'relu') =>
    layers.layers.dense({name: used[at].name, units: used[at].shape[0], activation, kernelInitializer: initial(at)});
  const pooling = (name: string) => layers.layers.maxPooling2d({name, poolSize: 3, strides: 2});
  const dropout = (name: string) => new SeededDropout(name, 0.5, `${seed}/${name}`);
  return layers.sequential({
    name: 'alexnet',
    layers: [
      // Two pixels on every side: 'same' would put them elsewhere at a stride of 4.
      layers.layers.zeroPadding2d({
        name: 'pad1',
        inputShape: [pixels, pixels, 3],
        padding: [
          [2, 2],
          [2, 2],
        ],
      }),
      convolution(0, {strides: 4}),
      pooling('pool1'),
      convolution(1),
      pooling('pool2'),
      convolution(2),
      convolution(3),
      convolution(4),
      pooling('pool5'),
      // torchvision flattens [channels, height, width].
      layers.layers.permute({name: 'channels_first', dims: [3, 1, 2]}),
      layers.layers.flatten({name: 'flatten'}),
      dropout('drop6'),
      dense(5),
      dropout('drop7'),
      dense(6),
      ...(used.length > 7 ? [dense(7, 'linear')] : []),
    ],
  });
}

/** Names, shapes and types of all tensors, before anything large is made. */
function checkTensors(file: SafetensorsFile, used: readonly Weighted[]): void {
  for (const {torch, shape} of used) {
    tensorOf(file, `${torch}.weight`, shape);
    tensorOf(file, `${torch}.bias`, shape.slice(0, 1));
  }
}

function tensorOf({tensors}: SafetensorsFile, name: string, shape: readonly number[]): RawTensor {
  const tensor = tensors.get(name);
  if (!tensor) throw refused(`a tensor "${name}"`, `${tensors.size} others`);
  if (tensor.shape.join() !== shape.join()) throw refused(`"${name}" of shape [${shape}]`, `[${tensor.shape}]`);
  if (tensor.dtype !== 'F32') throw refused(`"${name}" to be of dtype F32`, tensor.dtype);
  return tensor;
}

/** Kernels go from PyTorch's `[out, in, ...kernel]` to TensorFlow's `[...kernel, in, out]`. */
function load(network: layers.LayersModel, file: SafetensorsFile, used: readonly Weighted[]): void {
  for (const {name, torch, shape} of used) {
    const floats = (kind: string, of: readonly number[]) =>
      tf.tensor(finite(`${torch}.${kind}`, tensorOf(file, `${torch}.${kind}`, of)), [...of]);
    tf.tidy(() => {
      const kernel = tf.transpose(floats('weight', shape), shape.length === 4 ? [2, 3, 1, 0] : [1, 0]);
      network.getLayer(name).setWeights([kernel, floats('bias', shape.slice(0, 1))]);
    });
  }
}

function finite(name: string, tensor: RawTensor): Float32Array {
  const values = floatsOf(name, tensor);
  for (const value of values) if (!Number.isFinite(value)) throw refused(`"${name}" to be finite`, String(value));
  return values;
}

function refused(expected: string, received: string): EngramError {
  return new EngramError('DATA_FILE', {expected, received, remedy});
}
