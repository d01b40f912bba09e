/**
 * Is the network really sample-wise here, and do the operands' rows belong to the samples we think?
 *
 * (a) Seeding one sample alone must leave the operands of every other sample without effect: A or D exactly 0. The slots
 *     of all samples add up to that sample's whole gradient, so zeros elsewhere prove that its own slot is all of it.
 *     A variable that fails (time-major rows, say) takes the fallback.
 * (b) F(batch)[k] must be F(x_k). Where it is not, samples are coupled, perhaps on a path without gradients, and every
 *     variable takes the fallback. That is no repair but the definition: importance is that of F(x_k) alone.
 *
 * (a) is checked for the first and the last sample, with made-up seeds that are never 0, so that outputs that happen to
 * be 0 hide nothing. (b) is checked for up to 16 samples: coupling without gradients, say by a maximum over the batch,
 * may leave many samples as they are. Neither can rule out a network that couples samples only in a later batch.
 */
import * as tf from '@tensorflow/tfjs-core';
import {EngramError} from '../errors.js';
import {type Graph, inputsOf} from './graph.js';
import type {OperandRecord} from './record.js';
import {disposeAll, type TapeNode} from './tfjs.js';
import type {Trace} from './trace.js';
import {disposeOperands, walk} from './walk.js';

/** Largest |F(batch)[k] - F(x_k)| that counts as rounding, in parts of max|F|. */
const tolerance = 1e-4;

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
 * What two tapes have in common when they differ in B alone: kernels, permutations, connections, and
 * shapes per sample.
 *
 * Tensors that depend on the data count by elements per sample, all others by shape. Where that still differs, a
 * second certificate is taken: time lost, nothing else.
 */
export function signature(trace: Trace, graph: Graph, samples: number): string {
  const ordinals = new Map<number, number>();
  const shapeOf = ({id, shape, size}: tf.Tensor) =>
    graph.data.has(id) ? `${shape.length}:${size / samples}` : shape.join('x');
  const lines = leadingTo(trace).map((node) => {
    const inputs = inputsOf(node).map((input) => `${ordinals.get(input.id) ?? ''}[${shapeOf(input)}]`);
    for (const output of node.outputs) ordinals.set(output.id, ordinals.size);
    const perm = trace.permutations.get(node.outputs[0].id) ?? '';
    return `${node.kernelName}${perm}(${inputs})=${node.outputs.map(shapeOf)}`;
  });
  return [...lines, ...trace.outputs.map(({id, shape}) => `${ordinals.get(id)}:${shape.slice(1)}`)].join(';');
}

/** The nodes behind the outputs; tfjs also tapes the clones that it saves, which lead nowhere. */
function leadingTo({nodes, outputs}: Trace): TapeNode[] {
  const wanted = new Set(outputs.map(({id}) => id));
  const leading = nodes.toReversed().filter((node) => {
    const leads = node.outputs.some(({id}) => wanted.has(id));
    if (leads) for (const {id} of inputsOf(node)) wanted.add(id);
    return leads;
  });
  return leading.reverse();
}

/**
 * Takes the certificate of a batch of two or more samples. All work is launched at once, the answers are then read back.
 *
 * @param single records the network on sample k alone; the trace is disposed here
 * @throws EngramError NOT_SAMPLEWISE when the network refuses a single sample
 */
export async function certify(
  trace: Trace,
  graph: Graph,
  samples: number,
  single: (k: number) => Trace,
): Promise<Verdict> {
  const leaks = new Map<string, string>();
  const odd = trace.outputs.find(({shape}) => shape[0] !== samples);
  if (odd) return {coupled: `an output of shape [${odd.shape}] has no axis of ${samples} samples`, leaks};
  const {outputs, effects} = await launch(trace, graph, samples, single);
  for (const {k, names, table} of effects) {
    names.forEach((name, i) => {
      const row = table.subarray(i * samples, (i + 1) * samples);
      // Written so that NaN counts as a leak.
      if (row.every((effect, b) => b === k || effect === 0)) return;
      leaks.set(name, 'the rows of its operands are not sorted by sample');
    });
  }
  const alike = outputs.every(([batch, alone]) => sameValues(batch, alone));
  return {coupled: alike ? null : 'the outputs for one sample depend on the other samples of the batch', leaks};
}

/** What a certificate looks at, on the device or read back. */
interface Findings<Values> {
  /** For every output, F(batch) and F(x_k) of the samples that were run alone. */
  outputs: [batch: Values, alone: Values][];
  /** When sample k alone is seeded: [names, B], 0 where a sample's operands are without effect. */
  effects: {k: number; names: string[]; table: Values}[];
}

async function launch(
  trace: Trace,
  graph: Graph,
  samples: number,
  single: (k: number) => Trace,
): Promise<Findings<Float32Array>> {
  const {outputs, effects} = tf.tidy(() => ({
    outputs: compareAlone(trace, spread(samples), single),
    effects: [0, samples - 1].map((k) => ({k, ...seedAlone(trace, graph, samples, k)})),
  })) as Findings<tf.Tensor>;
  try {
    return {
      outputs: await Promise.all(outputs.map(([batch, alone]) => Promise.all([read(batch), read(alone)]))),
      effects: await Promise.all(effects.map(async (effect) => ({...effect, table: await read(effect.table)}))),
    };
  } finally {
    disposeAll([...outputs.flat(), ...effects.map(({table}) => table)]);
  }
}

/** Up to 16 samples, the first and the last among them. */
function spread(samples: number): number[] {
  const count = Math.min(samples, alones);
  return Array.from({length: count}, (_, i) => Math.round((i * (samples - 1)) / (count - 1)));
}

function compareAlone(trace: Trace, ks: number[], single: (k: number) => Trace): [tf.Tensor, tf.Tensor][] {
  // Flat, so that outputs whose shape depends on B are told apart instead of refused.
  const flat = (x: tf.Tensor) => tf.reshape(x, [-1]);
  const alone = ks.map((k) => {
    const recorded = refusable(() => single(k));
    const outputs = recorded.outputs.map(flat);
    recorded.dispose();
    return outputs;
  });
  return trace.outputs.map((y, i) => [
    tf.concat(ks.map((k) => flat(tf.slice(y, [k], [1])))),
    tf.concat(alone.map((outputs) => outputs[i])),
  ]);
}

function seedAlone(trace: Trace, graph: Graph, samples: number, k: number): {names: string[]; table: tf.Tensor} {
  const operands = walk(
    trace,
    graph,
    samples,
    trace.outputs.map(({shape}) => probe(shape, k)),
    false,
  );
  const records = [...operands].filter((entry): entry is [string, OperandRecord] => typeof entry[1] !== 'string');
  const table = tf.concat([tf.zeros([0]), ...records.map(([, record]) => effect(record, samples))]);
  disposeOperands(operands);
  return {names: records.map(([name]) => name), table};
}

async function read(x: tf.Tensor): Promise<Float32Array> {
  return (await x.data()) as Float32Array;
}

function refusable(single: () => Trace): Trace {
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

/** A seed that is 0 for all samples but k, and nowhere 0 there. */
function probe(shape: number[], k: number): tf.Tensor {
  const size = tf.util.sizeFromShape(shape.slice(1));
  const values = new Float32Array(tf.util.sizeFromShape(shape));
  // Multiples of the golden ratio: spread over [0.5, 1.5), the same in every run.
  for (let i = 0; i < size; i++) values[k * size + i] = 0.5 + ((i * 0.618034) % 1);
  return tf.tensor(values, shape);
}

/**
 * Per sample, 0 exactly when at every position all of its A or all of its D are 0 and none is NaN. Position by position,
 * because a use through a transpose has A and D the other way round. Counted, so that nothing underflows.
 *
 * @returns [B]
 */
function effect({activations, deltas}: OperandRecord, samples: number): tf.Tensor {
  const positions = deltas.shape[1]!;
  const count = (mask: tf.Tensor) => tf.sum(tf.reshape(tf.cast(mask, 'float32'), [samples, positions, -1]), 2);
  const nans = count(tf.isNaN(deltas));
  const live = count(tf.notEqual(deltas, 0));
  if (!activations) return tf.sum(tf.add(live, nans), 1);
  const products = tf.mul(live, count(tf.notEqual(activations, 0)));
  return tf.sum(tf.addN([products, nans, count(tf.isNaN(activations))]), 1);
}

/** Written so that NaN is not the same as anything. */
function sameValues(a: Float32Array, b: Float32Array): boolean {
  if (a.length !== b.length) return false;
  const largest = [...a, ...b].reduce((max, value) => Math.max(max, Math.abs(value)), 0);
  return a.every((value, i) => Math.abs(value - b[i]) <= tolerance * largest);
}
