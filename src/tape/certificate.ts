/**
 * Is the network really sample-wise here, and do the operands' rows belong to the samples we think?
 *
 * (a) Seeding one sample alone must leave the operands of every other sample without effect: A or D exactly 0. The slots
 *     of all samples add up to that sample's whole gradient, so zeros elsewhere prove that its own slot is all of it.
 *     Checked for the first and the last sample.
 * (b) F(batch)[k] must be F(x_k), for up to 16 samples: coupling without gradients, say by a maximum over the batch, may
 *     leave many samples as they are.
 * (c) The operands in slot k must be those of x_k alone, for the same samples: a dead ReLU can hide from (a) that rows
 *     are not sorted by sample, but not from this.
 *
 * Where (b) fails, samples are coupled and every variable takes the fallback. That is no repair but the definition:
 * importance is that of F(x_k) alone. Where (a) or (c) fails, the variable in question takes it. Seeds are made up and
 * never 0, so that outputs that happen to be 0 hide nothing. None of this can rule out a network that couples samples
 * only in a later batch.
 */
import * as tf from '@tensorflow/tfjs-core';
import {EngramError} from '../errors.js';
import type {Recording} from './graph.js';
import {type UseOperands, usesOf, type VariableRecord} from './record.js';
import {disposeAll} from './tfjs.js';
import {disposeOperands, type Operands, walk} from './walk.js';

/** Largest |F(batch)[k] - F(x_k)| that counts as rounding, in parts of max|F|. */
const outputTolerance = 1e-4;
/** The same for A and D, which may have been through more cancellation. Rows of other samples differ by far more. */
const operandTolerance = 1e-3;

/** Samples of a batch that are also run alone. */
const alones = 16;

/** What a certificate found. It holds for every tape that differs in B alone. */
export interface Verdict {
  /** Why no variable can be trusted, or null. */
  readonly coupled: string | null;
  /** Variables whose rows are not the samples', and why. */
  readonly leaks: ReadonlyMap<string, string>;
}

/**
 * Takes the certificate of a batch of two or more samples. All work is launched at once, the answers are then read back.
 *
 * @param single records the network on sample k alone; its trace is disposed here
 * @throws EngramError NOT_SAMPLEWISE when the network refuses a single sample
 */
export async function certify(recording: Recording, single: (k: number) => Recording): Promise<Verdict> {
  const {trace, samples} = recording;
  const leaks = new Map<string, string>();
  const odd = trace.outputs.find(({shape}) => shape[0] !== samples);
  if (odd) return {coupled: `an output of shape [${odd.shape}] has no axis of ${samples} samples`, leaks};
  const {outputs, slots, effects} = await launch(recording, single);
  if (!outputs.every(([batch, alone]) => sameValues(batch, alone))) {
    return {coupled: 'the outputs for one sample depend on the other samples of the batch', leaks};
  }
  for (const {names, table, mayDiffer} of [slots, ...effects]) {
    const width = table.length / names.length;
    names.forEach((name, i) => {
      const row = table.subarray(i * width, (i + 1) * width);
      // Written so that NaN counts as a leak.
      if (row.every((finding, b) => finding === 0 || b === mayDiffer)) return;
      leaks.set(name, 'the rows of its operands are not sorted by sample');
    });
  }
  return {coupled: null, leaks};
}

/** A row of numbers for every variable that has operands; all are to be 0 but perhaps the one in column `mayDiffer`. */
interface Table<Values> {
  names: string[];
  table: Values;
  mayDiffer?: number;
}

/** What a certificate looks at, on the device or read back. */
interface Findings<Values> {
  /** For every output, F(batch) and F(x_k) of the samples that were run alone. */
  outputs: [batch: Values, alone: Values][];
  /** Elements of A and D in the slots of those samples that are not what they are alone. */
  slots: Table<Values>;
  /** When sample k alone is seeded: what effect each sample's operands have. */
  effects: Table<Values>[];
}

async function launch(recording: Recording, single: (k: number) => Recording): Promise<Findings<Float32Array>> {
  const findings = (): Findings<tf.Tensor> => ({
    ...compareAlone(recording, spread(recording.samples), single),
    effects: [0, recording.samples - 1].map((k) => seedAlone(recording, k)),
  });
  const {outputs, slots, effects} = tf.tidy(findings as never) as unknown as Findings<tf.Tensor>;
  const readTable = async (table: Table<tf.Tensor>) => ({...table, table: await read(table.table)});
  try {
    return {
      outputs: await Promise.all(outputs.map(([batch, alone]) => Promise.all([read(batch), read(alone)]))),
      slots: await readTable(slots),
      effects: await Promise.all(effects.map(readTable)),
    };
  } finally {
    disposeAll([...outputs.flat(), slots.table, ...effects.map(({table}) => table)]);
  }
}

/** Up to 16 samples, the first and the last among them. */
function spread(samples: number): number[] {
  const count = Math.min(samples, alones);
  return Array.from({length: count}, (_, i) => Math.round((i * (samples - 1)) / (count - 1)));
}

/** (b) and (c): the samples `ks` in the batch and alone. */
function compareAlone(
  recording: Recording,
  ks: number[],
  single: (k: number) => Recording,
): Pick<Findings<tf.Tensor>, 'outputs' | 'slots'> {
  // Flat, so that outputs whose shape depends on B are told apart instead of refused.
  const flat = (x: tf.Tensor) => tf.reshape(x, [-1]);
  const walked: Operands[] = [];
  const outputsAlone = (k: number) => {
    const recorded = refusable(() => single(k));
    try {
      walked.push(walk(recorded, probes(recorded), true));
      return recorded.trace.outputs.map(flat);
    } finally {
      recorded.trace.dispose();
    }
  };
  try {
    const alone = ks.map(outputsAlone);
    const together = walk(recording, probes(recording), false);
    walked.unshift(together);
    // A rule may apply to a batch and not to a batch of one, where tfjs sums nothing: then (a) must do.
    const names = [...together.keys()].filter((name) => walked.every((operands) => isRecord(operands.get(name))));
    const rows = names.map((name) => {
      const [batch, ...singles] = walked.map((operands) => tensorsOf(operands.get(name) as VariableRecord));
      const differences = batch.map((x, i) =>
        slotDifferences(
          x,
          singles.map((tensors) => tensors[i]),
          ks,
        ),
      );
      return flat(tf.addN(differences));
    });
    return {
      outputs: recording.trace.outputs.map((y, i) => [
        tf.concat(ks.map((k) => flat(tf.slice(y, [k], [1])))),
        tf.concat(alone.map((outputs) => outputs[i])),
      ]),
      slots: {names, table: tf.concat([tf.zeros([0]), ...rows])},
    };
  } finally {
    for (const operands of walked) disposeOperands(operands);
  }
}

function tensorsOf(record: VariableRecord): tf.Tensor[] {
  return usesOf(record).flatMap(({activations, deltas}) => (activations ? [deltas, activations] : [deltas]));
}

/** How many elements of slots `ks` of a batch's A or D are not those of the samples alone. A scalar. */
function slotDifferences(batch: tf.Tensor, alone: tf.Tensor[], ks: number[]): tf.Tensor {
  const perSample = batch.size / batch.shape[0];
  if (alone.some((x) => x?.size !== perSample)) return tf.scalar(1);
  const inBatch = tf.gather(tf.reshape(batch, [-1, perSample]), tf.tensor1d(ks, 'int32'));
  const apart = tf.concat(alone.map((x) => tf.reshape(x, [1, perSample])));
  // Ids are the same or they are not: two of them are no less apart for being large.
  if (batch.dtype === 'int32') return tf.sum(tf.cast(tf.notEqual(inBatch, apart), 'float32'));
  const scale = tf.max(tf.maximum(tf.abs(inBatch), tf.abs(apart)));
  // Written so that NaN counts as different.
  const same = tf.lessEqual(tf.abs(tf.sub(inBatch, apart)), tf.mul(scale, operandTolerance));
  return tf.sum(tf.cast(tf.logicalNot(same), 'float32'));
}

/** (a): sample k alone is seeded. */
function seedAlone(recording: Recording, k: number): Table<tf.Tensor> {
  const operands = walk(recording, probes(recording, k), false);
  const records = [...operands].filter((entry): entry is [string, VariableRecord] => isRecord(entry[1]));
  const effects = records.map(([, record]) => tf.addN(usesOf(record).map((use) => effect(use, recording.samples))));
  const table = tf.concat([tf.zeros([0]), ...effects]);
  disposeOperands(operands);
  return {names: records.map(([name]) => name), table, mayDiffer: k};
}

function isRecord(found: VariableRecord | string | undefined): found is VariableRecord {
  return typeof found === 'object';
}

async function read(x: tf.Tensor): Promise<Float32Array> {
  return (await x.data()) as Float32Array;
}

function refusable(single: () => Recording): Recording {
  try {
    return single();
  } catch (cause) {
    throw new EngramError('NOT_SAMPLEWISE', {
      expected: 'a network that accepts a batch of one sample',
      received: cause instanceof Error ? cause.message : String(cause),
      remedy: 'Leave the batch size open (no batchInputShape, no constant first length in a reshape).',
      cause,
    });
  }
}

/** Seeds that are the same for every sample and nowhere 0; or that are 0 for all samples but k. */
function probes({trace}: Recording, k?: number): tf.Tensor[] {
  return trace.outputs.map(({shape}) => {
    const size = tf.util.sizeFromShape(shape.slice(1));
    const values = new Float32Array(tf.util.sizeFromShape(shape));
    for (let b = 0; b < shape[0]; b++) {
      if (k !== undefined && b !== k) continue;
      // Multiples of the golden ratio: spread over [0.5, 1.5), the same in every run.
      for (let i = 0; i < size; i++) values[b * size + i] = 0.5 + ((i * 0.618034) % 1);
    }
    return tf.tensor(values, shape);
  });
}

/**
 * Per sample, 0 exactly when at every position all of its A or all of its D are 0 and none is NaN. Position by position,
 * because a use through a transpose has A and D the other way round. Counted, so that nothing underflows.
 *
 * @returns [B]
 */
function effect({activations, deltas}: UseOperands, samples: number): tf.Tensor {
  const positions = deltas.shape[1]!;
  const count = (mask: tf.Tensor) => tf.sum(tf.reshape(tf.cast(mask, 'float32'), [samples, positions, -1]), 2);
  const nans = count(tf.isNaN(deltas));
  const live = count(tf.notEqual(deltas, 0));
  // Where ids are in the place of A, every D has an effect.
  if (!activations || activations.dtype === 'int32') return tf.sum(tf.add(live, nans), 1);
  const products = tf.mul(live, count(tf.notEqual(activations, 0)));
  return tf.sum(tf.addN([products, nans, count(tf.isNaN(activations))]), 1);
}

/** Written so that NaN is not the same as anything. */
function sameValues(a: Float32Array, b: Float32Array): boolean {
  if (a.length !== b.length) return false;
  const largest = [...a, ...b].reduce((max, value) => Math.max(max, Math.abs(value)), 0);
  return a.every((value, i) => Math.abs(value - b[i]) <= outputTolerance * largest);
}
