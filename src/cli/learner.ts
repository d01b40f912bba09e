/** Memory Aware Synapses as a method of the scenarios, with the importance that the figures show. */
import type * as tf from '@tensorflow/tfjs-core';
import type {ImportanceReport} from '../memory/tally.js';
import {MemoryAwareSynapses} from '../methods/mas.js';
import type {LayerImportance, PixelImportance} from '../report/importance.js';
import type {LearningNetwork, Method} from '../scenarios/run.js';

/** Where a network's weights are, and which layer sees the input. */
const KERNEL = /^([^/]+)\/kernel/;

/** Wires MAS into `learnSequence` and remembers what it measured. */
export class MasLearner {
  /** One report for each task consolidated. */
  readonly reports: ImportanceReport[] = [];
  /** Omega of the first layer summed over its units, after each task: `[inputs]`. */
  private readonly inputs: Float32Array[] = [];
  private mas: MemoryAwareSynapses | undefined;

  constructor(private readonly lambda: number) {}

  /** For `learnSequence`. A learner serves one sequence. */
  readonly method = (network: LearningNetwork): Method => {
    const plain = 'forward' in network ? {...network, variables: [...network.variables]} : network;
    const mas = new MemoryAwareSynapses(plain, {lambda: this.lambda});
    this.mas = mas;
    return {
      optimizer: (base) => mas.optimizer(base),
      afterTask: async (inputs: tf.Tensor2D, signal) => {
        this.reports.push(await mas.consolidate(inputs, signal ? {signal} : {}));
        const [first] = await this.layers();
        this.inputs.push(sumOverUnits(first));
      },
    };
  };

  /** Omega of every kernel, from input to output. */
  async layers(): Promise<LayerImportance[]> {
    const layers: LayerImportance[] = [];
    for (const [variable, omega] of this.mas?.importance ?? []) {
      const name = KERNEL.exec(variable)?.[1];
      if (name) layers.push({name, shape: omega.shape, values: (await omega.data()) as Float32Array});
    }
    return layers;
  }

  pixels(height: number, width: number): PixelImportance {
    return {height, width, after: this.inputs};
  }

  dispose(): void {
    this.mas?.dispose();
  }
}

function sumOverUnits({shape, values}: LayerImportance): Float32Array {
  const units = shape.at(-1) ?? 1;
  const sums = new Float32Array(values.length / units);
  values.forEach((value, i) => {
    sums[Math.floor(i / units)] += value;
  });
  return sums;
}
