/** Sums over samples of phi of per-sample gradients, held on the device as compensated pairs of 32-bit floats. */
import type * as tf from '@tensorflow/tfjs-core';
import {EngramError} from '../errors.js';
import type {Precision} from '../kernels/precision.js';
import type {Params} from '../kernels/table.js';
import type {Cell, TensorEngine} from '../kernels/tensor-engine.js';
import {tensorEngine} from '../kernels/tensors.js';
import {type BatchRecord, eachCall, type OperandRecord} from '../tape/index.js';
import {nonfiniteIn} from './nonfinite.js';

/** What is summed: the magnitude of a sample's gradient (MAS), its square (Fisher information), or itself. */
export type Phi = Params<'grad_moment'>['phi'];

/** The pair of one variable on the host; the sum is hi + lo. */
export interface HostSum {
  readonly hi: Float32Array;
  readonly lo: Float32Array;
}

/**
 * Additions in plain float32 before they are folded into the pair. The first one is exact and each of the other 15
 * rounds by at most 2^-24 of the sum, so that all of them together stay below 1e-6.
 */
const foldEvery = 16;

interface Sum {
  readonly shape: number[];
  readonly hi: Cell;
  readonly lo: Cell;
  /** What is not folded yet; there while anything is added, so that a finished sum takes two floats a parameter. */
  batch: Cell | undefined;
  /** Additions to `batch` since it was folded. */
  additions: number;
}

function free({batch, hi, lo}: Sum): void {
  for (const cell of [batch, hi, lo]) cell?.dispose();
}

/**
 * Per variable sum_b phi(g_b) as hi + lo, within 1e-6 of the exact sum of its batches for any number of them. Only
 * variables that were reached have a sum: a head that took no part costs nothing.
 */
export class Sums {
  private readonly sums = new Map<string, Sum>();
  private readonly engine: TensorEngine = tensorEngine();

  /**
   * @param shapes of all variables that may be reached, by name
   * @param precision of the products of `add`
   * @throws EngramError BACKEND or DEVICE for a precision that the engine cannot compute in
   */
  constructor(
    private readonly shapes: ReadonlyMap<string, readonly number[]>,
    private readonly phi: Phi,
    private readonly precision: Precision = 'f32',
  ) {
    this.engine.checkPrecision(precision);
  }

  /** Sums that were read before, such as those of a file. */
  static of(shapes: ReadonlyMap<string, readonly number[]>, phi: Phi, values: ReadonlyMap<string, HostSum>): Sums {
    const sums = new Sums(shapes, phi);
    const {engine} = sums;
    for (const [name, {hi, lo}] of values) {
      const shape = [...shapes.get(name)!];
      sums.sums.set(name, {shape, hi: engine.cellOf(hi), lo: engine.cellOf(lo), batch: undefined, additions: 0});
    }
    return sums;
  }

  /** Adds the per-sample gradients of a recorded batch, for the variables that have operands. */
  add({operands}: Pick<BatchRecord, 'operands'>): void {
    for (const [name, found] of operands) {
      eachCall(found, (operand) => this.addTo(this.sumOf(name), (batch) => this.addOperand(operand, batch)));
    }
  }

  /** Adds phi of one gradient of one variable: a sample of the batch-of-one fallback. */
  addGradient(name: string, gradient: tf.Tensor): void {
    this.addTo(this.sumOf(name), (batch) => this.addValues(this.phi, gradient, batch));
  }

  /**
   * Adds all sums of another one, which keeps its own.
   *
   * @param names this one's name of each of the other's variables; left out, they are the same
   * @throws EngramError BACKEND for sums on another device
   */
  merge(other: Sums, names?: ReadonlyMap<string, string>): void {
    if (other.engine !== this.engine) {
      throw new EngramError('BACKEND', {
        expected: `sums on the ${this.engine.name} engine`,
        received: `sums on the ${other.engine.name} engine, or of another device`,
        remedy: 'Accumulate on one TensorFlow.js backend, or save one accumulation and load it on that of the other.',
      });
    }
    other.fold();
    this.fold();
    for (const [name, {hi, lo}] of other.sums) {
      const sum = this.sumOf(names?.get(name) ?? name);
      for (const part of [hi, lo]) {
        this.addTo(sum, (batch) => this.addValues('identity', part, batch)); // exact: batch is 0
        this.foldOne(sum);
      }
    }
  }

  /**
   * Omega = (hi + lo) / samples per reached variable, as new tensors; the sums stay as they are.
   *
   * @throws EngramError NON_FINITE if any importance is NaN or Infinity
   */
  async finish(samples: number): Promise<Map<string, tf.Tensor>> {
    this.fold();
    const importance = new Map<string, tf.Tensor>();
    try {
      const weight = 1 / samples;
      for (const [name, sum] of this.sums) {
        const {shape, hi, lo} = sum;
        // Before the result is made, so that it needs no memory beyond that of the sums.
        sum.batch?.dispose();
        sum.batch = undefined;
        const {merged} = this.engine.run(
          'merge',
          {rule: 'linear', size: hi.size, storedWeight: weight, incomingWeight: weight},
          {stored: hi, incoming: lo},
          {merged: shape},
        );
        importance.set(name, merged);
      }
      refuseNonfinite(await nonfiniteIn(importance));
      return importance;
    } catch (error) {
      for (const tensor of importance.values()) tensor.dispose();
      throw error;
    }
  }

  /** @throws EngramError NON_FINITE if any sum is NaN or Infinity */
  async throwIfNonfinite(): Promise<void> {
    this.fold();
    const parts = [...this.sums].flatMap(([name, {hi, lo}]) => [[name, hi] as const, [name, lo] as const]);
    refuseNonfinite(await nonfiniteIn(parts));
  }

  /**
   * The pairs on the host, by variable name.
   *
   * @throws EngramError NON_FINITE if any sum is NaN or Infinity
   */
  async read(): Promise<Map<string, HostSum>> {
    await this.throwIfNonfinite();
    const values = new Map<string, HostSum>();
    for (const [name, {hi, lo}] of this.sums) {
      values.set(name, {hi: (await hi.read()) as Float32Array, lo: (await lo.read()) as Float32Array});
    }
    return values;
  }

  /** Frees the device memory; a second call does nothing. */
  dispose(): void {
    for (const sum of this.sums.values()) free(sum);
    this.sums.clear();
  }

  private sumOf(name: string): Sum {
    let sum = this.sums.get(name);
    if (!sum) {
      const shape = [...this.shapes.get(name)!];
      const size = shape.reduce((product, axis) => product * axis, 1);
      sum = {shape, hi: this.engine.cell(size), lo: this.engine.cell(size), batch: undefined, additions: 0};
      this.sums.set(name, sum);
    }
    return sum;
  }

  private addTo(sum: Sum, add: (batch: Cell) => void): void {
    sum.batch ??= this.engine.cell(sum.hi.size);
    add(sum.batch);
    if (++sum.additions === foldEvery) this.foldOne(sum);
  }

  private fold(): void {
    for (const sum of this.sums.values()) this.foldOne(sum);
  }

  private foldOne(sum: Sum): void {
    const {batch, hi, lo} = sum;
    if (batch && sum.additions > 0) this.engine.run('fold', {size: hi.size}, {batch, hi, lo}, {});
    sum.additions = 0;
  }

  private addValues(phi: Phi, values: tf.Tensor | Cell, moment: Cell): void {
    this.engine.run(
      'grad_moment_sum',
      {phi, samples: 1, positions: 1, fanOut: values.size, scaled: 0},
      {activations: null, deltas: values, moment},
      {},
    );
  }

  private addOperand(operand: OperandRecord, moment: Cell): void {
    const {activations, deltas} = operand;
    const {phi, precision} = this;
    switch (operand.kernel) {
      case 'grad_moment':
        this.engine.run('grad_moment', {phi, ...operand.params}, {activations, deltas, moment}, {}, {precision});
        break;
      case 'grad_moment_dense':
        this.engine.run('grad_moment_dense', {phi, ...operand.params}, {activations, deltas, moment}, {});
        break;
      case 'grad_moment_sum':
        this.engine.run('grad_moment_sum', {phi, ...operand.params}, {activations, deltas, moment}, {});
        break;
      case 'grad_moment_gather':
        this.engine.run('grad_moment_gather', {phi, ...operand.params}, {ids: activations, deltas, moment}, {});
        break;
      case 'grad_moment_depthwise':
        this.engine.run('grad_moment_depthwise', {phi, ...operand.params}, {activations, deltas, moment}, {});
        break;
    }
  }
}

function refuseNonfinite(names: readonly string[]): void {
  if (names.length === 0) return;
  throw new EngramError('NON_FINITE', {
    expected: 'finite importance',
    received: `NaN or Infinity in ${names.join(', ')}`,
    remedy: 'Look for NaN in the data and the weights, or for outputs too large to square in 32 bits.',
  });
}
