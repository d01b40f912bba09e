/** Momentum and Adam's moments of every variable: memory of the engine, and its way out to named tensors and back. */
import * as tf from '@tensorflow/tfjs-core';
import {EngramError} from '../errors.js';
import type {Cell} from '../kernels/tensor-engine.js';
import {tensorEngine} from '../kernels/tensors.js';
import type {NamedTensor} from './penalized.js';

interface Slot {
  readonly shape: number[];
  /** All slots of the variable, one after the other: `[slotCount, size]`. */
  readonly cell: Cell;
}

export class Slots {
  private slots = new Map<string, Slot>();
  /** Restored, and not yet seen together with the variables that they belong to. */
  private restored = false;

  /** @param suffixes what tfjs appends to a variable's name for each slot: `momentum`, or `m` and `v` */
  constructor(private readonly suffixes: readonly string[]) {}

  /** Slots of a variable. */
  get count(): number {
    return this.suffixes.length;
  }

  /** The memory of a variable's slots, zero at first; null for a rule that needs none. */
  of(variable: tf.Variable): Cell | null {
    if (this.count === 0) return null;
    let slot = this.slots.get(variable.name);
    if (!slot) {
      slot = {shape: variable.shape, cell: tensorEngine().cell(this.count * variable.size)};
      this.slots.set(variable.name, slot);
    }
    return slot.cell;
  }

  /**
   * Gives restored slots to the variables of the first step after it: by name if every name is known, else by position,
   * as tfjs does (it numbers variables anew in every process), else to those whose names are known.
   *
   * @throws EngramError UNKNOWN_VARIABLE, SHAPE; nothing is changed then
   */
  match(variables: readonly tf.Variable[]): void {
    if (!this.restored) return;
    const known = variables.filter(({name}) => this.slots.has(name)).length;
    let slots = this.slots;
    if (known < variables.length && variables.length === slots.size) {
      slots = new Map([...slots.values()].map((slot, i) => [variables[i].name, slot]));
    } else if (known === 0 && variables.length > 0) {
      throw new EngramError('UNKNOWN_VARIABLE', {
        expected: `a step on the ${slots.size} variables of the restored state: ${[...slots.keys()].join(', ')}`,
        received: variables.map(({name}) => name).join(', '),
        remedy: 'Restore the optimizer of the same network, or call reset() to begin without state.',
      });
    }
    for (const {name, shape} of variables) {
      const slot = slots.get(name);
      if (!slot || tf.util.arraysEqual(slot.shape, shape)) continue;
      throw new EngramError('SHAPE', {
        expected: `state of shape [${shape.join(', ')}] for "${name}"`,
        received: `[${slot.shape.join(', ')}]`,
        remedy: 'Restore the optimizer of the same network, or call reset() to begin without state.',
      });
    }
    this.slots = slots;
    this.restored = false;
  }

  /** Copies as tfjs orders them: the first slot of all variables, then the second. All as of the call. */
  async weights(): Promise<NamedTensor[]> {
    const entries = [...this.slots];
    const values = await Promise.all(entries.map(([, {cell}]) => cell.read())); // every read begins now
    return this.suffixes.flatMap((suffix, s) =>
      entries.map(([name, {shape}], i) => {
        const size = values[i].length / this.count;
        const own = values[i].slice(s * size, (s + 1) * size) as Float32Array;
        return {name: `${name}/${suffix}`, tensor: tf.tensor(own, shape, 'float32')};
      }),
    );
  }

  /**
   * Replaces everything by copies of named tensors in the order of {@link weights}.
   *
   * @throws EngramError ARGUMENT, SHAPE, DTYPE; nothing is changed then
   */
  async restore(weights: readonly NamedTensor[]): Promise<void> {
    const variables = this.count === 0 ? 0 : weights.length / this.count;
    if (!Number.isInteger(variables) || (this.count === 0 && weights.length > 0)) {
      throw new EngramError('ARGUMENT', {
        expected: `${this.count} tensors a variable after the iterations (${this.suffixes.join(', ') || 'none for SGD'})`,
        received: `${weights.length} tensors`,
        remedy: 'Pass what getWeights() of an optimizer with the same base gave.',
      });
    }
    for (const [i, {name, tensor}] of weights.entries()) {
      const {shape} = weights[i % variables].tensor;
      if (!tf.util.arraysEqual(tensor.shape, shape)) {
        throw new EngramError('SHAPE', {
          expected: `"${name}" of shape [${shape.join(', ')}]`,
          received: `[${tensor.shape.join(', ')}]`,
          remedy: 'Pass what getWeights() gave, in its order.',
        });
      }
      if (tensor.dtype !== 'float32') {
        throw new EngramError('DTYPE', {
          expected: `"${name}" to be float32`,
          received: tensor.dtype,
          remedy: 'Pass what getWeights() gave.',
        });
      }
    }
    const values = await Promise.all(weights.map(({tensor}) => tensor.data() as Promise<Float32Array>));
    const slots = new Map<string, Slot>();
    for (let i = 0; i < variables; i++) {
      const {name, tensor} = weights[i];
      const all = new Float32Array(this.count * tensor.size);
      for (let s = 0; s < this.count; s++) all.set(values[s * variables + i], s * tensor.size);
      slots.set(this.variableName(name), {shape: tensor.shape, cell: tensorEngine().cellOf(all)});
    }
    this.clear();
    this.slots = slots;
    this.restored = slots.size > 0;
  }

  /** Forgets all state and frees its memory. */
  clear(): void {
    for (const {cell} of this.slots.values()) cell.dispose();
    this.slots = new Map();
    this.restored = false;
  }

  private variableName(name: string): string {
    const end = `/${this.suffixes[0]}`;
    return name.endsWith(end) ? name.slice(0, -end.length) : name;
  }
}
