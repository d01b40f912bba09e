/** From a network and unlabelled samples to the importance of every parameter, with a report of how it was found. */
import * as tf from '@tensorflow/tfjs-core';
import {EngramError} from '../errors.js';
import type {Params} from '../kernels/table.js';
import type {Cell} from '../kernels/tensor-engine.js';
import {tensorEngine} from '../kernels/tensors.js';
import {asNetwork, type NetworkLike, refuseNestedTape, SampleTape, type Seed} from '../tape/index.js';
import {Accumulation} from './accumulate.js';
import {type Batch, batches, type Samples, totalSamples} from './batches.js';

export interface Progress {
  /** Samples done. */
  samples: number;
  /** Samples in all, where the data tells before it is read. */
  total: number | undefined;
  /** Seconds since the start. */
  seconds: number;
  /** Seconds to go at the pace so far, where the total is known. */
  secondsLeft: number | undefined;
}

export interface EstimateOptions {
  /** Samples per batch; the result does not depend on it. Default 64. */
  batchSize?: number;
  /** Stops between batches; the promise rejects with the signal's reason and nothing is changed. */
  signal?: AbortSignal;
  /** Called after every batch. */
  onProgress?: (progress: Progress) => void;
}

export interface EstimateSettings extends EstimateOptions {
  /** Variables whose importance is estimated. Default: all trainable ones. */
  variables?: tf.Variable[];
  /** The function that is differentiated: the logits (before a final softmax or sigmoid), or the output as it is. */
  output?: 'logits' | 'output';
  /** dS/dF; default 2F, the gradient of ||F||^2 (MAS paper, section 4.1). */
  seed?: Seed;
  /** phi of the sum over samples; default `abs`. */
  phi?: Params<'grad_moment'>['phi'];
}

export interface ParameterReport {
  name: string;
  shape: number[];
  /** The rule that gave exact per-sample gradients from one backward pass, or null. */
  rule: string | null;
  /** Why the batch-of-one loop was used, or null. */
  fallback: string | null;
}

export interface ImportanceReport {
  samples: number;
  batches: number;
  /** Wall time of everything, certificate and finish included. */
  seconds: number;
  samplesPerSecond: number;
  /** Forward passes over a batch, or over a single sample in certificate and fallback. */
  forwardPasses: number;
  /** Time spent proving that the network treats samples one by one. */
  certificateSeconds: number;
  /** Time spent turning sums into importance. */
  finishSeconds: number;
  /** One row for every variable that was asked for; neither rule nor fallback: not on the path to the outputs. */
  parameters: ParameterReport[];
}

/** Milliseconds after which the event loop gets a turn between two batches. */
const yieldEvery = 20;

/** The seed of MAS: with S = sum_b ||F(x_b)||^2, dS/dF = 2F. */
const squaredNormSeed: Seed = (outputs) => {
  const samples = outputs.shape[0];
  const {norms, seed} = tensorEngine().run(
    'output_norm',
    {samples, outputs: outputs.size / Math.max(samples, 1)},
    {outputs},
    {norms: [samples], seed: outputs.shape},
  );
  norms.dispose();
  return seed;
};

/**
 * Omega[p] = (1/N) sum_b phi(dS_b/dtheta_p), exact per sample, whatever the batch size (MAS paper, equation 2).
 *
 * @returns new tensors by variable name, owned by the caller; variables not on the path to the outputs are absent
 * @throws EngramError SHAPE, DTYPE, EMPTY_DATA, NON_FINITE, NESTED_TAPE, NO_GRADIENTS, CHANGED; the signal's reason
 */
export async function estimateImportance(
  networkLike: NetworkLike,
  data: Samples,
  settings: EstimateSettings = {},
): Promise<{importance: Map<string, tf.Tensor>; report: ImportanceReport}> {
  const {batchSize = 64, signal, onProgress, output = 'logits', seed = squaredNormSeed, phi = 'abs'} = settings;
  refuseNestedTape();
  const network = asNetwork(networkLike);
  const variables = settings.variables ?? network.variables;
  const byName = new Map(variables.map((variable) => [variable.name, variable]));
  const before = variables.map((variable) => variable.dataId);
  const tape = new SampleTape(network, {variables, seed, output});
  const accumulation = new Accumulation(byName, phi);
  const inputCheck = new InputCheck();
  const parameters = new Map<string, ParameterReport>(
    variables.map(({name, shape}) => [name, {name, shape, rule: null, fallback: null}]),
  );
  const total = totalSamples(data);
  const started = performance.now();
  let yielded = started;
  let count = 0;
  try {
    signal?.throwIfAborted();
    for await (const batch of batches(data, batchSize, inputShapes(networkLike), inputNames(networkLike))) {
      try {
        inputCheck.add(batch);
        await addBatch(tape, batch, accumulation, parameters, signal);
      } finally {
        batch.dispose();
      }
      onProgress?.(progressOf(accumulation.samples, total, started));
      if (++count % 64 === 0) await inputCheck.throwIfNonfinite();
      if (performance.now() - yielded > yieldEvery) {
        await tf.nextFrame();
        yielded = performance.now();
      }
      signal?.throwIfAborted();
    }
    await inputCheck.throwIfNonfinite();
    const samples = accumulation.samples;
    const finishing = performance.now();
    const importance = await accumulation.finish();
    // Only now: finishing waits for the device, and the anchor is taken from what the parameters are after it.
    if (variables.some((variable, i) => variable.dataId !== before[i])) {
      tf.dispose([...importance.values()]);
      throw new EngramError('CHANGED', {
        expected: 'the same parameters from the first batch to the result',
        received: 'parameters that were trained or assigned meanwhile',
        remedy: 'Await consolidation before training goes on.',
      });
    }
    const done = performance.now();
    const seconds = (done - started) / 1000;
    return {
      importance,
      report: {
        samples,
        batches: count,
        seconds,
        samplesPerSecond: samples / seconds,
        forwardPasses: tape.forwardPasses,
        certificateSeconds: tape.certificates.milliseconds / 1000,
        finishSeconds: (done - finishing) / 1000,
        parameters: [...parameters.values()],
      },
    };
  } finally {
    accumulation.dispose();
    inputCheck.dispose();
  }
}

async function addBatch(
  tape: SampleTape,
  batch: Batch,
  accumulation: Accumulation,
  parameters: Map<string, ParameterReport>,
  signal: AbortSignal | undefined,
): Promise<void> {
  const record = await tape.record(batch.x);
  try {
    accumulation.add(record);
    for (const [name, {rule}] of record.operands) parameters.get(name)!.rule = rule;
    for (const [name, why] of record.fallback) parameters.get(name)!.fallback = why;
    if (record.fallback.size > 0) {
      const visit = (name: string, gradient: tf.Tensor) => accumulation.addGradient(name, gradient);
      await tape.eachSample(batch.x, record.fallback.keys(), visit, signal);
    }
  } finally {
    record.dispose();
  }
}

function progressOf(samples: number, total: number | undefined, started: number): Progress {
  const seconds = (performance.now() - started) / 1000;
  const secondsLeft = total === undefined ? undefined : (seconds / Math.max(samples, 1)) * (total - samples);
  return {samples, total, seconds, secondsLeft};
}

/** Input shapes of a LayersModel, `null` for the batch axis; undefined for a plain function, which checks for itself. */
function inputShapes(network: NetworkLike): (number | null)[][] | undefined {
  const inputs = (network as {inputs?: {shape: (number | null)[]}[]}).inputs;
  return Array.isArray(inputs) ? inputs.map((input) => input.shape) : undefined;
}

function inputNames(network: NetworkLike): string[] | undefined {
  const {inputNames} = network as {inputNames?: string[]};
  return Array.isArray(inputNames) ? inputNames : undefined;
}

/** Counts NaN and Infinity in the data by their bits; a network may hide them (relu(NaN) can be 0 on a GPU). */
class InputCheck {
  private readonly engine = tensorEngine();
  private readonly count: Cell = this.engine.cell(1, 'u32');

  add({x}: Batch): void {
    for (const values of Array.isArray(x) ? x : [x]) {
      if (values.dtype !== 'float32') continue;
      this.engine.run('count_nonfinite', {size: values.size}, {values, count: this.count}, {});
    }
  }

  async throwIfNonfinite(): Promise<void> {
    const [found] = await this.count.read();
    if (found > 0) {
      throw new EngramError('NON_FINITE', {
        expected: 'finite samples',
        received: `${found} NaN or Infinity`,
        remedy: 'Clean the data first, for example with tf.where(tf.isFinite(x), x, 0).',
      });
    }
  }

  dispose(): void {
    this.count.dispose();
  }
}
