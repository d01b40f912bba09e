/** The tape: batches in, operands of per-sample gradients out; what it cannot take apart goes through one by one. */
import * as tf from '@tensorflow/tfjs-core';
import {EngramError} from '../errors.js';
import {certify, type Verdict} from './certificate.js';
import {eachSample} from './fallback.js';
import {graphOf, type Recording} from './graph.js';
import {forwardOutputs, type OutputKind} from './logits.js';
import {checkVariables, describe, type Network, type Tensors} from './network.js';
import type {BatchRecord} from './record.js';
import type {Seed} from './seed.js';
import {selfTest, valueTest} from './self-test.js';
import {signature} from './signature.js';
import {refuseNestedTape} from './tfjs.js';
import {trace} from './trace.js';
import {WalkedBatch} from './walked-batch.js';

export interface SampleTapeOptions {
  /** The variables whose gradients are wanted. */
  variables: tf.Variable[];
  /** Which functions of the outputs are differentiated. */
  seed: Seed;
  /** F: the output itself, or its logits where it ends in a softmax or sigmoid. */
  output: OutputKind;
}

export class SampleTape {
  /** Passes through the network so far; single samples, in certificate and fallback, count as one each. */
  forwardPasses = 0;
  /** Certificates taken so far, and their time. */
  readonly certificates = {count: 0, milliseconds: 0};
  private readonly verdicts = new Map<string, Verdict>();

  /** @throws EngramError ARGUMENT, DTYPE or DISPOSED for what is no list of live variables */
  constructor(
    private readonly network: Network,
    private readonly options: SampleTapeOptions,
  ) {
    checkVariables(options.variables);
  }

  /**
   * Records one batch: one forward pass, and one backward pass for each function of the seed, once the
   * certificate of this shape of tape is known.
   *
   * @param x [B, ...], or one such tensor for every input
   * @throws EngramError NESTED_TAPE, NO_GRADIENTS, SHAPE, EMPTY_DATA, ARGUMENT or DTYPE (what forward returns),
   *   NOT_SAMPLEWISE (a network that refuses single samples); whatever the network throws
   */
  async record(x: Tensors): Promise<BatchRecord> {
    refuseNestedTape();
    const samples = sampleCount(x);
    const distrust = selfTest() ?? (await valueTest());
    if (distrust !== null) return this.withoutOperands(samples, `the tape cannot be trusted: ${distrust}`, new Set());
    const recording = this.recordingOf(x, samples);
    const {trace, graph} = recording;
    let record: BatchRecord | undefined;
    try {
      const verdict = samples === 1 ? undefined : await this.verdict(recording, x);
      if (verdict?.coupled) return this.withoutOperands(samples, verdict.coupled, graph.unreached);
      record = new WalkedBatch(recording, this.options.seed, verdict?.leaks ?? new Map());
      return record;
    } catch (error) {
      if (error instanceof EngramError) throw error;
      // If tfjs cannot differentiate the network either, the fallback will say so in tfjs' own words.
      const why = error instanceof Error ? error.message : String(error);
      return this.withoutOperands(samples, `the backward pass failed: ${why}`, graph.unreached);
    } finally {
      if (!record) trace.dispose();
    }
  }

  /**
   * The definition: the gradient of each sample on its own.
   *
   * @param names the variables wanted
   * @param visit called per sample, function of the seed and variable, not for variables that the sample does not reach. The gradient is
   *   disposed afterwards: clone it to keep it
   * @throws the signal's reason
   */
  async eachSample(
    x: Tensors,
    names: Iterable<string>,
    visit: (name: string, gradient: tf.Tensor) => void,
    signal?: AbortSignal,
  ): Promise<void> {
    refuseNestedTape();
    const wanted = new Set(names);
    const variables = this.options.variables.filter(({name}) => wanted.delete(name));
    if (wanted.size > 0) {
      throw new EngramError('UNKNOWN_VARIABLE', {
        expected: 'names of variables of this tape',
        received: [...wanted].join(', '),
        remedy: `It has ${this.options.variables.map(({name}) => name).join(', ')}.`,
      });
    }
    if (variables.length === 0) return;
    const forward = (b: number) => this.forward(sampleOf(x, b), 1);
    await eachSample(sampleCount(x), forward, this.options.seed, variables, visit, signal);
  }

  private forward(x: Tensors, samples: number): tf.Tensor[] {
    this.forwardPasses++;
    return forwardOutputs(this.network, x, this.options.output, samples);
  }

  private recordingOf(x: Tensors, samples: number): Recording {
    const recorded = trace(() => this.forward(x, samples));
    const {variables} = this.options;
    return {trace: recorded, graph: graphOf(recorded, x, variables, samples), samples, variables};
  }

  private async verdict(recording: Recording, x: Tensors): Promise<Verdict> {
    const key = signature(recording);
    let verdict = this.verdicts.get(key);
    if (!verdict) {
      const started = performance.now();
      verdict = await certify(recording, (k) => this.recordingOf(sampleOf(x, k), 1));
      this.verdicts.set(key, verdict);
      this.certificates.count++;
      this.certificates.milliseconds += performance.now() - started;
    }
    return verdict;
  }

  private withoutOperands(samples: number, reason: string, unreached: ReadonlySet<string>): BatchRecord {
    const names = this.options.variables.map(({name}) => name).filter((name) => !unreached.has(name));
    const fallback = new Map(names.map((name) => [name, reason]));
    return {samples, operands: new Map(), fallback, unreached, advance: () => false, dispose() {}};
  }
}

/** Sample b as a batch of one, of every input; tensors of the current scope. */
function sampleOf(x: Tensors, b: number): Tensors {
  const one = (values: tf.Tensor) => tf.slice(values, [b], [1]);
  return Array.isArray(x) ? x.map(one) : one(x);
}

/** B, the first length of every input. */
function sampleCount(x: Tensors): number {
  const inputs = Array.isArray(x) ? x : [x];
  const stranger = inputs.find((values) => !(values instanceof tf.Tensor));
  if (inputs.length === 0 || stranger !== undefined) {
    throw new EngramError('ARGUMENT', {
      expected: 'a batch as a tensor, or an array of tensors for a network with several inputs',
      received: inputs.length === 0 ? 'an empty array' : describe(stranger),
      remedy: 'Convert arrays with tf.tensor() first.',
    });
  }
  const [samples] = inputs[0].shape;
  if (inputs.some(({shape}) => shape[0] !== samples || shape.length === 0)) {
    throw new EngramError('SHAPE', {
      expected: 'the same number of samples on axis 0 of every input',
      received: inputs.map(({shape}) => `[${shape}]`).join(' and '),
      remedy: 'Give a single sample an axis of length 1 with tf.expandDims(x).',
    });
  }
  if (samples === 0) {
    throw new EngramError('EMPTY_DATA', {
      expected: 'a batch with samples',
      received: `a tensor of shape [${inputs[0].shape}]`,
      remedy: 'Leave empty batches out.',
    });
  }
  return samples;
}
