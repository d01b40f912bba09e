/**
 * Kernels on tensors of tfjs' `webgpu` backend: the tensors' own GPU buffers, in tfjs' own command stream. No copy, no
 * submit of its own for a kernel, no readback.
 */
import * as tf from '@tensorflow/tfjs-core';
import {EngramError} from '../errors.js';
import {checkCall, checkTensorType} from './check.js';
import type {Buffers} from './engine.js';
import type {Precision, PrecisionOption} from './precision.js';
import {type BufferSpec, buffersOf, type KernelName, type Params} from './table.js';
import type {Cell, OutputShapes, StepInputs, TensorEngine, TensorInputs, TensorOutputs} from './tensor-engine.js';
import {TfjsStream, type WebGpuBackendLike} from './tfjs-webgpu.js';
import {type GpuMemory, type GpuRange, WebGpuEngine} from './webgpu.js';
import {DeviceHealth} from './webgpu-health.js';
import {type TuneOptions, type Tuning, tune, tuningOf, useTuning} from './webgpu-tune.js';

class WebGpuCell implements Cell {
  private buffer: GPUBuffer | null;
  private disposed = false;

  constructor(
    readonly engine: WebGpuEngine,
    readonly size: number,
    private readonly dtype: 'f32' | 'u32',
    contents?: Float32Array,
  ) {
    this.buffer = size > 0 ? engine.allocate(size, contents) : null;
  }
  /** The GPU buffer, for this file only: null for a cell of no elements. */
  get memory(): GPUBuffer | null {
    if (this.disposed) throw disposedError('a cell');
    return this.buffer;
  }
  async read(): Promise<Float32Array | Uint32Array> {
    const {memory} = this;
    if (memory) return this.engine.read(memory, this.size, this.dtype);
    return this.dtype === 'f32' ? new Float32Array(0) : new Uint32Array(0);
  }
  dispose(): void {
    this.disposed = true;
    if (!this.buffer) return;
    this.engine.stream.submit(); // a queued kernel may use it, and a destroyed buffer voids the whole submission
    this.buffer.destroy();
    this.buffer = null;
  }
}

type Given = Readonly<Record<string, tf.Tensor | Cell | null>>;

/** Kernels that can write a moment instead of adding to it. */
type GradientKernel = 'grad_moment' | 'grad_moment_dense' | 'grad_moment_depthwise';

export class WebGpuTensorEngine implements TensorEngine {
  readonly name = 'webgpu';
  private readonly engine: WebGpuEngine;

  constructor(private readonly backend: WebGpuBackendLike) {
    this.engine = new WebGpuEngine(backend.device, new TfjsStream(backend));
  }

  cell(size: number, dtype: 'f32' | 'u32' = 'f32'): WebGpuCell {
    return new WebGpuCell(this.engine, size, dtype);
  }

  cellOf(values: Float32Array): WebGpuCell {
    return new WebGpuCell(this.engine, values.length, 'f32', values);
  }

  run<K extends KernelName>(
    kernel: K,
    params: Params<K>,
    inputs: TensorInputs<K>,
    outputs: OutputShapes<K>,
    {precision = 'f32'}: PrecisionOption = {},
  ): TensorOutputs<K> {
    this.checkPrecision(precision);
    const specs = buffersOf(kernel);
    const given = inputs as Given;
    const shapes = outputs as Readonly<Record<string, number[]>>;
    const lengths = this.lengthsOf(kernel, params, given, (name) => tf.util.sizeFromShape(shapes[name]));
    const ranges: Record<string, GpuRange | null> = {};
    const made: Record<string, tf.Tensor> = {};
    try {
      for (const [name, {access}] of specs) {
        if (access === 'write') made[name] = this.output(shapes[name]);
        ranges[name] = this.memoryOf(made[name] ?? given[name], lengths[name]);
      }
      this.engine.runChecked(kernel, params, ranges, {precision});
    } catch (error) {
      for (const tensor of Object.values(made)) tensor.dispose();
      throw error;
    }
    return made as TensorOutputs<K>;
  }

  step(params: Params<'penalized_step'>, variable: tf.Variable, inputs: StepInputs): void {
    const {dataId, shape} = variable;
    const data = this.backend.tensorMap.get(dataId);
    // Clones, reshaped views, anchors and what a gradient saves share the data and are counted.
    const shared = data.refCount > 1 || data.external || (this.backend.readings?.has(dataId) ?? true);
    if (shared || variable.size === 0) {
      const {next} = this.run('penalized_step', params, {theta: variable, ...inputs}, {next: shape});
      variable.assign(next);
      next.dispose();
      return;
    }
    const given: Given = {...inputs, theta: variable};
    const lengths = this.lengthsOf('penalized_step', params, given, () => variable.size);
    const ranges: Record<string, GpuRange | null> = {theta: null, next: this.rangeOf(variable, variable.size)};
    for (const name of Object.keys(inputs)) ranges[name] = this.memoryOf(given[name], lengths[name]);
    this.engine.runChecked('penalized_step', params, ranges, {inPlace: true});
    data.values = null; // of before, where they were read
  }

  async keepOnHost(tensors: readonly tf.Tensor[]): Promise<void> {
    const kept = tensors.map(async ({dataId, size}) => {
      const data = this.backend.tensorMap.get(dataId);
      if (size === 0 || (data.values && data.resource)) return;
      // tfjs lets go of the host's values when it uploads them, and never once they are there beside the GPU's.
      const onHost = data.values;
      this.backend.uploadToGPU(dataId);
      const read = () => this.engine.read(data.resource!, size);
      data.values = onHost ?? (await (this.backend.readings?.during(dataId, read) ?? read()));
    });
    await Promise.all(kept);
  }

  checkPrecision(precision: Precision): void {
    this.engine.checkPrecision(precision);
  }

  /**
   * A moment by itself: a new tensor for a kernel of tfjs', which looks after its memory.
   *
   * @throws EngramError DEVICE
   */
  moment<K extends GradientKernel>(
    kernel: K,
    params: Params<K>,
    inputs: {activations: tf.TensorInfo; deltas: tf.TensorInfo},
    shape: number[],
  ): tf.TensorInfo {
    const result = this.backend.makeTensorInfo(shape, 'float32');
    const length = tf.util.sizeFromShape(shape);
    const {activations, deltas} = inputs;
    if (length === 0 || tf.util.sizeFromShape(activations.shape) * tf.util.sizeFromShape(deltas.shape) === 0) {
      this.backend.tensorMap.get(result.dataId).values = new Float32Array(length);
      return result;
    }
    try {
      const range = (tensor: tf.TensorInfo) => this.rangeOf(tensor, tf.util.sizeFromShape(tensor.shape));
      const memory = {activations: range(activations), deltas: range(deltas), moment: range(result)};
      this.engine.run(kernel, params, memory as Buffers<K, GpuMemory>, {overwrite: true});
    } catch (error) {
      this.backend.disposeData(result.dataId);
      throw error;
    }
    return result;
  }

  /**
   * Measures every call of a moment kernel that was run so far, and uses what is fastest from now on.
   *
   * @returns all that is tuned, for {@link useTuning}
   * @throws EngramError ARGUMENT, DEVICE
   */
  async tune(options?: TuneOptions): Promise<Tuning> {
    for (const {kernel, params} of this.engine.momentCalls) await tune(this.engine, kernel, params, options);
    return tuningOf(this.engine);
  }

  /** Uses what was tuned before. @throws EngramError ARGUMENT for another adapter */
  useTuning(tuning: Tuning): void {
    useTuning(this.engine, tuning);
  }

  /** Elements of every buffer, checked against the row; nothing is uploaded yet. */
  private lengthsOf<K extends KernelName>(
    kernel: K,
    params: Params<K>,
    given: Given,
    written: (name: string) => number,
  ): Record<string, number> {
    DeviceHealth.of(this.backend.device).check();
    const lengths: Record<string, number> = {};
    for (const [name, spec] of buffersOf(kernel)) {
      lengths[name] = spec.access === 'write' ? written(name) : this.check(kernel, name, spec, given[name]);
    }
    checkCall(kernel, params, lengths);
    return lengths;
  }

  /** Length of an input, or an error. */
  private check(kernel: string, name: string, spec: BufferSpec, input: tf.Tensor | Cell | null): number {
    if (input === null) return 0;
    if (input instanceof WebGpuCell && input.engine === this.engine) {
      void input.memory; // throws if it was disposed
      return input.size;
    }
    if (!(input instanceof tf.Tensor)) {
      throw new EngramError('BACKEND', {
        expected: `${kernel}.${name} on this WebGPU device`,
        received: 'memory of another engine',
        remedy: 'Keep one TensorFlow.js backend for the life of a memory and its optimizer.',
      });
    }
    if (input.isDisposed) throw disposedError(`the tensor for ${kernel}.${name}`);
    checkTensorType(kernel, name, spec, input.dtype);
    return input.size;
  }

  private memoryOf(input: tf.Tensor | Cell | null, length: number): GpuRange | null {
    if (input === null || length === 0) return null;
    if (input instanceof WebGpuCell) return {buffer: input.memory!, length};
    return this.rangeOf(input as tf.Tensor, length);
  }

  private rangeOf({dataId}: tf.TensorInfo, length: number): GpuRange {
    const data = this.backend.tensorMap.get(dataId);
    this.backend.uploadToGPU(dataId); // small tensors may still be on the CPU
    // tfjs gives a buffer to the next tensor as soon as this one is disposed, unless the queue owns it.
    this.backend.commandQueueOwnedIds.add(dataId);
    return {buffer: data.resource!, length};
  }

  private output(shape: number[]): tf.Tensor {
    const info = this.backend.makeTensorInfo(shape, 'float32');
    if (tf.util.sizeFromShape(shape) === 0) this.backend.tensorMap.get(info.dataId).values = new Float32Array(0);
    return tf.engine().makeTensorFromTensorInfo(info);
  }
}

function disposedError(what: string): EngramError {
  return new EngramError('DISPOSED', {
    expected: `${what} in use`,
    received: 'one that was disposed',
    remedy: 'Do not use an object after its dispose().',
  });
}

const engines = new WeakMap<WebGpuBackendLike, WebGpuTensorEngine>();

/** The engine of a backend, one for all who ask: they share its pipelines. */
export function webGpuTensorEngine(backend: WebGpuBackendLike): WebGpuTensorEngine {
  let engine = engines.get(backend);
  if (!engine) {
    engine = new WebGpuTensorEngine(backend);
    engines.set(backend, engine);
  }
  return engine;
}
