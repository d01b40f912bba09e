/** The tape: per-sample gradient operands from one forward and one backward pass of a TensorFlow.js network. */
import type * as tf from '@tensorflow/tfjs-core';
import type {Network, Tensors} from './network.js';
import type {BatchRecord} from './record.js';

export {asNetwork, type Network, type NetworkLike, type Tensors} from './network.js';
export type {BatchRecord, MomentKernel, OperandRecord} from './record.js';

/** dS/dF for a batch: same shape as F [B, ...]. MAS passes 2F. */
export type Seed = (outputs: tf.Tensor) => tf.Tensor;

export interface SampleTapeOptions {
  variables: tf.Variable[];
  seed: Seed;
  output: 'logits' | 'output';
}

export declare class SampleTape {
  constructor(network: Network, options: SampleTapeOptions);
  readonly forwardPasses: number;
  readonly certificates: {count: number; milliseconds: number};
  record(x: Tensors): Promise<BatchRecord>;
  eachSample(
    x: Tensors,
    names: Iterable<string>,
    visit: (name: string, gradient: tf.Tensor) => void,
    signal?: AbortSignal,
  ): Promise<void>;
}

export declare function selfTest(): string | null;
