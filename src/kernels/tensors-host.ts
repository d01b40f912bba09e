/** Kernels on tensors that live in host memory: tfjs `cpu` and Engram's `native` without a copy, others by `dataSync()`. */
import * as tf from '@tensorflow/tfjs-core';
import {EngramError} from '../errors.js';
import {bufferLength, checkTensorType} from './check.js';
import type {Buffers, Engine, EngineName, HostArray} from './engine.js';
import {hostEngine} from './host.js';
import {checkHostPrecision, type Precision, type PrecisionOption} from './precision.js';
import {type BufferSpec, type KernelName, type Params, row} from './table.js';
import type {Cell, OutputShapes, StepInputs, TensorEngine, TensorInputs, TensorOutputs} from './tensor-engine.js';

/** The part of tfjs' CPU backend that gives a tensor's live array, and of Engram's that uses memory of results again. */
export interface HostBackend {
  readonly data?: {get(dataId: object): {values?: unknown}};
  /** Memory for a result, with any contents. */
  allocate?(shape: readonly number[]): Float32Array;
  /** A tensor on that memory, which is the backend's from then on. */
  wrap?(values: Float32Array, shape: number[]): tf.TensorInfo;
}

const empty = new Float32Array(0);

class HostCell implements Cell {
  private array: HostArray | null;
  constructor(
    readonly size: number,
    dtype: 'f32' | 'u32',
  ) {
    this.array = dtype === 'f32' ? new Float32Array(size) : new Uint32Array(size);
  }
  /** The live memory. For this folder only: whoever holds it could watch it change. */
  get values(): HostArray {
    if (!this.array) {
      throw new EngramError('DISPOSED', {
        expected: 'memory in use',
        received: 'memory that was disposed',
        remedy: 'Do not use an object after its dispose().',
      });
    }
    return this.array;
  }
  async read(): Promise<HostArray> {
    return this.values.slice();
  }
  dispose(): void {
    this.array = null;
  }
}

export class HostTensorEngine implements TensorEngine {
  private readonly engine: Engine<HostArray> = hostEngine();

  constructor(private readonly backend: HostBackend) {}

  get name(): EngineName {
    return this.engine.name;
  }

  cell(size: number, dtype: 'f32' | 'u32' = 'f32'): HostCell {
    return new HostCell(size, dtype);
  }

  cellOf(values: Float32Array): HostCell {
    const cell = new HostCell(values.length, 'f32');
    cell.values.set(values);
    return cell;
  }

  /** They are there. */
  async keepOnHost(): Promise<void> {}

  run<K extends KernelName>(
    kernel: K,
    params: Params<K>,
    inputs: TensorInputs<K>,
    outputs: OutputShapes<K>,
    {precision = 'f32'}: PrecisionOption = {},
  ): TensorOutputs<K> {
    this.checkPrecision(precision);
    const arrays: Record<string, HostArray> = {};
    const written: [string, number[]][] = [];
    for (const [name, spec] of Object.entries(row(kernel).buffers)) {
      if (spec.access === 'write') {
        const shape = (outputs as Record<string, number[]>)[name];
        arrays[name] = this.backend.allocate?.(shape) ?? new Float32Array(bufferLength(spec, params));
        written.push([name, shape]);
      } else {
        arrays[name] = this.arrayOf(kernel, name, spec, (inputs as Record<string, tf.Tensor | Cell | null>)[name]);
      }
    }
    this.engine.run(kernel, params, arrays as Buffers<K, HostArray>);
    return Object.fromEntries(
      written.map(([name, shape]) => [name, this.tensorOn(arrays[name] as Float32Array, shape)]),
    ) as unknown as TensorOutputs<K>;
  }

  checkPrecision(precision: Precision): void {
    checkHostPrecision(precision, this.name);
  }

  /** In fresh memory: a variable may have been made from a user's array, and then it is that array. */
  step(params: Params<'penalized_step'>, variable: tf.Variable, inputs: StepInputs): void {
    const {next} = this.run('penalized_step', params, {theta: variable, ...inputs}, {next: variable.shape});
    variable.assign(next);
    next.dispose();
  }

  private tensorOn(values: Float32Array, shape: number[]): tf.Tensor {
    const info = this.backend.wrap?.(values, shape);
    return info ? tf.engine().makeTensorFromTensorInfo(info) : tf.tensor(values, shape, 'float32');
  }

  private arrayOf(kernel: string, name: string, spec: BufferSpec, input: tf.Tensor | Cell | null): HostArray {
    if (input === null) return empty;
    if (input instanceof HostCell) return input.values;
    if (!(input instanceof tf.Tensor)) {
      throw new EngramError('BACKEND', {
        expected: `${kernel}.${name} in host memory`,
        received: 'memory of another engine',
        remedy: 'Keep one TensorFlow.js backend for the life of a memory and its optimizer.',
      });
    }
    checkTensorType(kernel, name, spec, input.dtype);
    // The live array, without the copy that read() makes; other backends (wasm, webgl) hand out a copy.
    const live = this.backend.data?.get(input.dataId)?.values;
    return live instanceof Float32Array ? live : (input.dataSync() as Float32Array);
  }
}
