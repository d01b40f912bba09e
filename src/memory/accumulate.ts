/** An unfinished importance: per parameter a compensated sum of per-sample gradient magnitudes, and a sample count. */
import type * as tf from '@tensorflow/tfjs-core';
import {EngramError} from '../errors.js';
import type {Params} from '../kernels/table.js';
import type {Cell, TensorEngine} from '../kernels/tensor-engine.js';
import {tensorEngine} from '../kernels/tensors.js';
import {type BatchRecord, eachCall, type OperandRecord} from '../tape/index.js';

/** Batches summed in plain float32 before the sum is folded into the compensated pair. */
const foldEvery = 64;

interface Sum {
  readonly shape: number[];
  readonly batch: Cell;
  readonly hi: Cell;
  readonly lo: Cell;
}

function free({batch, hi, lo}: Sum): void {
  for (const cell of [batch, hi, lo]) cell.dispose();
}

/**
 * Sum over samples of phi(g_b) per parameter, held on the device as (batch, hi, lo): three floats a parameter.
 * Sums exist only for the variables that were reached, so a head that took no part costs nothing.
 */
export class Accumulation {
  private readonly sums = new Map<string, Sum>();
  private readonly engine: TensorEngine = tensorEngine();
  private batchesSinceFold = 0;
  private count = 0;

  /**
   * @param variables those whose importance is accumulated
   * @param phi `abs` for MAS, `square` for Fisher information
   */
  constructor(
    private readonly variables: ReadonlyMap<string, tf.Variable>,
    private readonly phi: Params<'grad_moment'>['phi'] = 'abs',
  ) {}

  /** Samples accumulated so far. */
  get samples(): number {
    return this.count;
  }

  /** Adds the per-sample gradients of a recorded batch, for the variables that have operands. */
  add(record: BatchRecord): void {
    for (const [name, found] of record.operands) {
      const moment = this.sumOf(name).batch;
      eachCall(found, (operand) => this.addOperand(operand, moment));
    }
    this.count += record.samples;
    if (++this.batchesSinceFold === foldEvery) this.fold();
  }

  /** Adds phi of one sample's gradient of one variable: the batch-of-one fallback. Samples are counted by {@link add}. */
  addGradient(name: string, gradient: tf.Tensor): void {
    this.engine.run(
      'grad_moment_sum',
      {phi: this.phi, samples: 1, positions: 1, fanOut: gradient.size, scaled: 0},
      {activations: null, deltas: gradient, moment: this.sumOf(name).batch},
      {},
    );
  }

  /**
   * Omega = (hi + lo) / samples per reached variable, as new tensors; the sums are freed.
   *
   * @throws EngramError EMPTY_DATA without samples, NON_FINITE if any importance is NaN or Infinity
   */
  async finish(): Promise<Map<string, tf.Tensor>> {
    if (this.count === 0) {
      this.dispose();
      throw new EngramError('EMPTY_DATA', {
        expected: 'at least one sample',
        received: 'none',
        remedy: 'Pass samples of what the network has learned; labels are not needed.',
      });
    }
    this.fold();
    const importance = new Map<string, tf.Tensor>();
    const nonfinite: [string, Cell][] = [];
    try {
      const weight = 1 / this.count;
      for (const [name, sum] of this.sums) {
        const {shape, hi, lo} = sum;
        const size = hi.size;
        const {merged} = this.engine.run(
          'merge',
          {rule: 'linear', size, storedWeight: weight, incomingWeight: weight},
          {stored: hi, incoming: lo},
          {merged: shape},
        );
        importance.set(name, merged);
        free(sum); // at once, so that the result needs no memory beyond that of the sums
        const count = this.engine.cell(1, 'u32');
        nonfinite.push([name, count]);
        this.engine.run('count_nonfinite', {size}, {values: merged, count}, {});
      }
      const bad: string[] = [];
      for (const [name, count] of nonfinite) if ((await count.read())[0] > 0) bad.push(name);
      if (bad.length > 0) {
        throw new EngramError('NON_FINITE', {
          expected: 'finite importance',
          received: `NaN or Infinity in ${bad.join(', ')}`,
          remedy: 'Look for NaN in the data and the weights, or for outputs too large to square in 32 bits.',
        });
      }
      return importance;
    } catch (error) {
      for (const tensor of importance.values()) tensor.dispose();
      throw error;
    } finally {
      for (const [, count] of nonfinite) count.dispose();
      this.dispose();
    }
  }

  /** Frees the device memory; a second call does nothing. */
  dispose(): void {
    for (const sum of this.sums.values()) free(sum);
    this.sums.clear();
  }

  private addOperand(operand: OperandRecord, moment: Cell): void {
    const {activations, deltas} = operand;
    const {phi} = this;
    switch (operand.kernel) {
      case 'grad_moment':
        this.engine.run('grad_moment', {phi, ...operand.params}, {activations, deltas, moment}, {});
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

  private fold(): void {
    for (const {batch, hi, lo} of this.sums.values()) {
      this.engine.run('fold', {size: batch.size}, {batch, hi, lo}, {});
    }
    this.batchesSinceFold = 0;
  }

  private sumOf(name: string): Sum {
    let sum = this.sums.get(name);
    if (!sum) {
      const {shape, size} = this.variables.get(name)!;
      sum = {shape, batch: this.engine.cell(size), hi: this.engine.cell(size), lo: this.engine.cell(size)};
      this.sums.set(name, sum);
    }
    return sum;
  }
}
