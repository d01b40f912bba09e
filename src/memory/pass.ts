/** One pass over samples: batch after batch through the tape into sums, with progress, abort and checks between them. */
import * as tf from '@tensorflow/tfjs-core';
import {EngramError} from '../errors.js';
import type {Cell} from '../kernels/tensor-engine.js';
import {tensorEngine} from '../kernels/tensors.js';
import type {NetworkLike, SampleTape} from '../tape/index.js';
import {type Batch, batches, type Samples, totalSamples} from './batches.js';
import type {EstimateOptions, Progress} from './options.js';
import type {Sums} from './sums.js';
import type {Tally} from './tally.js';

/** Milliseconds after which the event loop gets a turn between two batches or two functions of the seed. */
const yieldEvery = 20;

/** Batches between two looks at what the check of the input has counted. */
const lookEvery = 64;

export interface Pass {
  readonly network: NetworkLike;
  readonly tape: SampleTape;
  readonly sums: Sums;
  readonly tally: Tally;
  /** Runs after every batch; what it throws ends the pass. */
  readonly check: () => Promise<void>;
}

/**
 * Adds all samples to `sums` and `tally`, which are of no use after a throw.
 *
 * @throws EngramError SHAPE, DTYPE, EMPTY_DATA, NON_FINITE, ARGUMENT, DISPOSED; the signal's reason; what the network,
 * the data and `check` throw
 */
export async function runPass(pass: Pass, data: Samples, options: EstimateOptions): Promise<void> {
  const {network, tape, tally, check} = pass;
  const {batchSize = 64, signal, onProgress} = options;
  const inputCheck = new InputCheck();
  const total = totalSamples(data);
  const started = performance.now();
  const before = {passes: tape.forwardPasses, certificates: tape.certificates.milliseconds};
  const pause = pauses(signal);
  try {
    signal?.throwIfAborted();
    for await (const batch of batches(data, batchSize, inputShapes(network), inputNames(network))) {
      try {
        inputCheck.add(batch);
        await addBatch(pass, batch, pause, signal);
      } finally {
        batch.dispose();
      }
      tally.batches++;
      onProgress?.(progressOf(tally.samples, total, started));
      if (tally.batches % lookEvery === 0) await inputCheck.throwIfNonfinite();
      await pause();
      await check();
    }
    if (tally.samples === 0) throw noSamples();
    await inputCheck.throwIfNonfinite();
    tally.forwardPasses = tape.forwardPasses - before.passes;
    tally.certificateSeconds = (tape.certificates.milliseconds - before.certificates) / 1000;
    tally.seconds = (performance.now() - started) / 1000;
  } finally {
    inputCheck.dispose();
  }
}

export function noSamples(): EngramError {
  return new EngramError('EMPTY_DATA', {
    expected: 'at least one sample',
    received: 'none',
    remedy: 'Pass samples of what the network has learned; labels are not needed.',
  });
}

/** Gives the event loop its turn where it is due, and looks at the signal. */
function pauses(signal: AbortSignal | undefined): () => Promise<void> {
  let yielded = performance.now();
  return async () => {
    if (performance.now() - yielded > yieldEvery) {
      await tf.nextFrame();
      yielded = performance.now();
    }
    signal?.throwIfAborted();
  };
}

async function addBatch(
  pass: Pass,
  batch: Batch,
  pause: () => Promise<void>,
  signal: AbortSignal | undefined,
): Promise<void> {
  const {tape, sums, tally} = pass;
  const record = await tape.record(batch.x);
  try {
    sums.add(record);
    while (record.advance()) {
      sums.add(record);
      await pause();
    }
    tally.samples += record.samples;
    for (const [name, {rule}] of record.operands) tally.note(name, {rule});
    for (const [name, fallback] of record.fallback) tally.note(name, {fallback});
    if (record.fallback.size > 0) {
      const visit = (name: string, gradient: tf.Tensor) => sums.addGradient(name, gradient);
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
