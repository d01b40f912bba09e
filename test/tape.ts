/** For the tests of the tape: a batch measured through records and fallback, and the definition to compare it with. */
import * as tf from '@tensorflow/tfjs';
import {expect} from 'vitest';
import {bodies} from '../dist/kernels/reference/engine.js';
import {asNetwork, eachCall, type NetworkLike, type OperandRecord, SampleTape} from '../dist/tape/index.js';

export type Tensors = tf.Tensor | tf.Tensor[];
/** Sum over samples of |gradient|, by variable name. */
export type Sums = Map<string, Float64Array>;

export const twice = (F: tf.Tensor): tf.Tensor => tf.mul(F, 2);
/** Exactness of native and reference, from the issue: max |a-b| / max(|b|, 1e-4 max|b|). */
export const exact = 1e-5;

export interface Measured {
  sums: Sums;
  rules: Record<string, string>;
  fallback: Record<string, string>;
  unreached: string[];
}

/** Records batches and adds up |g_b|: operands through the reference kernels, the rest through the loop. */
export async function measure(tape: SampleTape, batches: Tensors[]): Promise<Measured> {
  const sums: Sums = new Map();
  const sumOf = (name: string, size: number) => {
    if (!sums.has(name)) sums.set(name, new Float64Array(size));
    return sums.get(name)!;
  };
  let last: Omit<Measured, 'sums'> = {rules: {}, fallback: {}, unreached: []};
  for (const x of batches) {
    const record = await tape.record(x);
    for (const [name, found] of record.operands) {
      eachCall(found, (operand) => addMoment(operand, (size) => sumOf(name, size)));
    }
    last = {
      rules: Object.fromEntries([...record.operands].map(([name, {rule}]) => [name, rule])),
      fallback: Object.fromEntries(record.fallback),
      unreached: [...record.unreached],
    };
    await tape.eachSample(x, record.fallback.keys(), (name, gradient) => {
      const sum = sumOf(name, gradient.size);
      for (const [i, g] of gradient.dataSync().entries()) sum[i] += Math.abs(g);
    });
    record.dispose();
  }
  return {sums, ...last};
}

function addMoment(operand: OperandRecord, sumOf: (size: number) => Float64Array): void {
  const activations = (operand.activations?.dataSync() ?? new Float32Array(0)) as Float32Array;
  const deltas = operand.deltas.dataSync() as Float32Array;
  const {kernel, params} = operand;
  if (kernel === 'grad_moment') {
    const taps = params.filterDepth * params.filterHeight * params.filterWidth;
    const moment = sumOf(taps * params.inChannels * params.fanOut);
    bodies.grad_moment({phi: 'abs', ...params}, {activations, deltas, moment});
  } else if (kernel === 'grad_moment_dense') {
    const moment = sumOf(params.fanIn * params.fanOut);
    bodies.grad_moment_dense({phi: 'abs', ...params}, {activations, deltas, moment});
  } else if (kernel === 'grad_moment_gather') {
    const ids = operand.activations!.dataSync() as Int32Array;
    bodies.grad_moment_gather({phi: 'abs', ...params}, {ids, deltas, moment: sumOf(params.rows * params.fanOut)});
  } else if (kernel === 'grad_moment_depthwise') {
    const moment = sumOf(params.filterHeight * params.filterWidth * params.inChannels * params.multiplier);
    bodies.grad_moment_depthwise({phi: 'abs', ...params}, {activations, deltas, moment});
  } else {
    bodies.grad_moment_sum({phi: 'abs', ...params}, {activations, deltas, moment: sumOf(params.fanOut)});
  }
}

/** Sample b as a batch of one. */
export const sampleOf = (x: Tensors, b: number): Tensors =>
  Array.isArray(x) ? x.map((one) => tf.slice(one, [b], [1])) : tf.slice(x, [b], [1]);

/** The definition, independent of the tape: tf.variableGrads of ||F(x_b)||^2 for one sample after the other. */
export function definition(forward: (x: Tensors) => Tensors, variables: tf.Variable[], batches: Tensors[]): Sums {
  const sums: Sums = new Map();
  for (const x of batches) {
    const samples = (Array.isArray(x) ? x[0] : x).shape[0];
    for (let b = 0; b < samples; b++) {
      tf.tidy(() => {
        const one = sampleOf(x, b);
        const norm = () => {
          const outputs = forward(one);
          return tf.addN((Array.isArray(outputs) ? outputs : [outputs]).map((F) => tf.sum(tf.square(F)))) as tf.Scalar;
        };
        for (const [name, gradient] of Object.entries(tf.variableGrads(norm, variables).grads)) {
          if (!sums.has(name)) sums.set(name, new Float64Array(gradient.size));
          for (const [i, g] of gradient.dataSync().entries()) sums.get(name)![i] += Math.abs(g);
        }
      });
    }
  }
  return sums;
}

/**
 * Worst max |a-b| / max(|b|, 1e-4 max|b|) over all variables; infinite when they are not the same variables.
 *
 * @param noise sums up to here may be rounding errors of 0
 * @param floor in the place of 1e-4
 */
export function deviation(actual: Sums, expected: Sums, noise = 0, floor = 1e-4): number {
  if (String([...actual.keys()].sort()) !== String([...expected.keys()].sort())) return Number.POSITIVE_INFINITY;
  let worst = 0;
  for (const [name, b] of expected) {
    const a = actual.get(name)!;
    const least = floor * b.reduce((max, value) => Math.max(max, Math.abs(value)), 0);
    for (const [i, value] of b.entries()) {
      const scale = Math.max(Math.abs(value), least, noise);
      const error = scale === 0 ? Math.abs(a[i]) : Math.abs(a[i] - value) / scale;
      if (!(error <= worst)) worst = error;
    }
  }
  return worst;
}

export const normal = (shape: number[], seed: number): tf.Tensor => tf.randomNormal(shape, 0, 1, 'float32', seed);

/** Gives every weight of a model fixed values; variances stay positive. */
export function fill<M extends tf.LayersModel>(model: M): M {
  model.weights.forEach((weight, i) => {
    tf.tidy(() => {
      const values = tf.mul(normal(weight.shape as number[], 100 + i), 0.5);
      weight.write(weight.name.includes('variance') ? tf.add(tf.abs(values), 0.5) : values);
    });
  });
  return model;
}

export const tapeOf = (network: NetworkLike, output: 'logits' | 'output' = 'logits', seed = twice): SampleTape =>
  new SampleTape(asNetwork(network), {variables: asNetwork(network).variables, seed, output});

/** Without the number that tfjs appends to a name that is taken. */
export const plainNames = (named: Record<string, string>): Record<string, string> =>
  Object.fromEntries(Object.entries(named).map(([name, text]) => [name.replace(/_\d+$/, ''), text]));

/** Counts the kernels that really run during `body`. */
export async function countKernels(body: () => Promise<unknown>): Promise<Record<string, number>> {
  const counts: Record<string, number> = {};
  const engine = tf.engine();
  const run = engine.runKernel;
  engine.runKernel = function (this: typeof engine, name: string, ...rest: [tf.NamedTensorMap]) {
    counts[name] = (counts[name] ?? 0) + 1;
    return run.call(this, name, ...rest);
  } as typeof run;
  try {
    await body();
  } finally {
    delete (engine as Partial<typeof engine>).runKernel;
  }
  return counts;
}

export type PlainNetwork = {forward: (x: Tensors) => Tensors; variables: tf.Variable[]};

/** A tf.layers model with fixed weights, as a plain network. */
export function plainModel(model: tf.LayersModel): PlainNetwork {
  const variables = fill(model).trainableWeights.map((weight) => weight.read() as tf.Variable);
  return {forward: (x) => model.apply(x, {training: false}) as Tensors, variables};
}

let made = 0;
/** Variables of these shapes by name, and a forward function that is given them. */
export function plainCode<Names extends string>(
  shapes: Record<Names, number[]>,
  forward: (x: tf.Tensor, variables: Record<Names, tf.Variable>) => Tensors,
): PlainNetwork {
  const entries = Object.entries<number[]>(shapes).map(([name, shape]) => {
    made++;
    return [name, tf.variable(normal(shape, 7 + made), true, `${name}_${made}`)] as const;
  });
  const byName = Object.fromEntries(entries) as Record<Names, tf.Variable>;
  return {forward: (x) => forward(x as tf.Tensor, byName), variables: Object.values(byName)};
}

/**
 * Holds a network to the definition with batches of 1, 7, all 13 and a ragged end, and its parameters to these rules;
 * without rules, for random networks, to any, and to a floor of 1e-2: there the definition itself, which adds up uses in
 * 32 bits, keeps no five digits of what little a cancellation leaves. What is given is disposed.
 */
export async function expectExact(network: PlainNetwork, data: tf.Tensor, rules?: object): Promise<void> {
  const part = (from: number, size: number) => tf.slice(data, [from], [size]);
  const tape = tapeOf(network, 'output');
  for (const batches of [[part(4, 1)], [part(3, 7)], [data], [part(0, 5), part(5, 5), part(10, 3)]]) {
    const measured = await measure(tape, batches);
    const expected = definition(network.forward, network.variables, batches);
    expect(deviation(measured.sums, expected, 0, rules ? 1e-4 : 1e-2)).toBeLessThanOrEqual(exact);
    expect(measured.fallback).toEqual({});
    if (rules) expect(plainNames(measured.rules)).toEqual(rules);
  }
  expect(tape.certificates.count, 'batches that differ in size alone share a certificate').toBe(1);
  tf.dispose([data, ...network.variables]);
}
