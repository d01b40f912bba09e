/**
 * The WebGPU engine: runs the shaders of the kernel table on GPU buffers of one device. Knows neither TensorFlow.js nor
 * Node, so callers with their own `GPUDevice` can use it anywhere.
 */
import {EngramError} from '../errors.js';
import {bufferLength, checkCall} from './check.js';
import type {Buffers, Engine, HostArray, HostInput, RunOptions} from './engine.js';
import {type CallOptions, checkPrecision, noMatrices, type Precision} from './precision.js';
import {buffersOf, type KernelName, type Params} from './table.js';
import {runOnArrays} from './webgpu-arrays.js';
import {BindGroups, type GpuRange} from './webgpu-bindings.js';
import {DeviceHealth} from './webgpu-health.js';
import {ScalarRing, Scratch, usage} from './webgpu-memory.js';
import {Pipelines} from './webgpu-pipelines.js';
import {type Binding, checkTiling, scalarValues, scratch} from './webgpu-plan.js';
import {type CommandStream, OwnStream} from './webgpu-stream.js';
import type {MomentKernel, Tiling} from './webgpu-tilings.js';
import {windowAlignment, windowsOf} from './webgpu-windows.js';

export type {GpuRange} from './webgpu-bindings.js';
export type {CommandStream} from './webgpu-stream.js';

/** What the engine works on: a whole GPU buffer, a range of one, or null for a buffer of length 0. */
export type GpuMemory = GPUBuffer | GpuRange | null;

type Ranges = Record<string, GpuRange | null>;

const noOffsets: readonly number[] = [];

export class WebGpuEngine implements Engine<GpuMemory> {
  readonly name = 'webgpu';
  private readonly health: DeviceHealth;
  private readonly ring: ScalarRing;
  private readonly scratch: Scratch;
  /** Bound in the place of buffers of length 0. */
  private readonly dummies: {read: GpuRange; read_write: GpuRange};
  private readonly scalarRange: GpuRange;
  private readonly pipelines: Pipelines;
  private readonly bindGroups: BindGroups;

  /**
   * @param device buffers of calls must belong to it; its limits decide what fits
   * @param stream where kernels are encoded; without one, every call is submitted by itself
   */
  constructor(
    readonly device: GPUDevice,
    readonly stream: CommandStream = new OwnStream(device),
  ) {
    this.health = DeviceHealth.of(device);
    this.ring = new ScalarRing(device, stream);
    this.scratch = new Scratch(device, stream);
    this.pipelines = new Pipelines(device);
    this.bindGroups = new BindGroups(device);
    this.scalarRange = {buffer: this.ring.buffer, length: ScalarRing.bindingSize / 4};
    const dummy = () => ({
      buffer: device.createBuffer({label: 'engram empty', size: 16, usage: usage.storage}),
      length: 4,
    });
    this.dummies = {read: dummy(), read_write: dummy()};
  }

  /** Pipelines made so far: what a shape costs the first time. */
  get pipelineCount(): number {
    return this.pipelines.count;
  }

  /** Tilings that were set by {@link useTiling}, by the key of their call. */
  get tilings(): ReadonlyMap<string, Tiling> {
    return this.pipelines.tilings;
  }

  /** Calls of moment kernels that were run so far, each once. */
  get momentCalls(): {kernel: MomentKernel; params: Params<MomentKernel>}[] {
    return [...this.pipelines.momentCalls.values()];
  }

  /**
   * Cuts calls of these sizes so from now on, instead of by the cost rule; see `tune`, which measures.
   *
   * @param tiling undefined: by the cost rule again
   * @throws EngramError ARGUMENT for one that the call or the device cannot have
   */
  useTiling<K extends MomentKernel>(kernel: K, params: Params<K>, tiling: Tiling | undefined): void {
    if (tiling) checkTiling(kernel, params, tiling, this.device.limits);
    this.pipelines.useTiling(kernel, params, tiling);
  }

  /** @throws EngramError ARGUMENT for what is no precision, DEVICE for one that this device cannot compute in */
  checkPrecision(precision: Precision): void {
    checkPrecision(precision);
    if (precision !== 'auto' && precision !== 'f32' && !this.pipelines.matrices) throw noMatrices(precision);
  }

  /**
   * Encodes one kernel into the stream.
   *
   * @param options.precision of the products of `grad_moment`; all other kernels compute in f32. Default `f32`
   * @throws EngramError ARGUMENT, SHAPE, or DEVICE for a buffer beyond the device's limits, before anything is changed;
   *   DEVICE if the device was lost or refused earlier work
   */
  run<K extends KernelName>(
    kernel: K,
    params: Params<K>,
    buffers: Buffers<K, GpuMemory>,
    options: CallOptions = {},
  ): void {
    this.health.check();
    this.checkPrecision(options.precision ?? 'f32');
    const ranges: Ranges = {};
    const lengths: Record<string, number> = {};
    for (const [name] of buffersOf(kernel)) {
      const memory = (buffers as Record<string, GpuMemory | undefined>)[name];
      if (memory === undefined) continue; // checkCall names it
      const range = memory && 'length' in memory ? memory : memory && {buffer: memory, length: memory.size / 4};
      if (range) checkRange(`${kernel}.${name}`, range);
      lengths[name] = range?.length ?? 0;
      ranges[name] = lengths[name] === 0 ? null : range;
    }
    checkCall(kernel, params, lengths);
    this.runChecked(kernel, params, ranges, options);
  }

  /**
   * {@link run} for callers that called `checkCall` themselves.
   *
   * @param ranges of every buffer of the row; null for one of length 0
   * @internal
   */
  runChecked<K extends KernelName>(kernel: K, params: Params<K>, ranges: Readonly<Ranges>, options: CallOptions): void {
    this.checkSharing(kernel, ranges);
    const largest = Math.floor(this.device.limits.maxStorageBufferBindingSize / 4);
    const tooLarge = buffersOf(kernel).find(([name]) => (ranges[name]?.length ?? 0) > largest);
    if (tooLarge) this.runWindows(kernel, params, ranges, options, tooLarge[0]);
    else this.encode(kernel, params, ranges, options);
    this.stream.encoded();
  }

  /** Uploads the arrays, runs, and reads the result back: for small work; keep data in GPU buffers for anything else. */
  async runAsync<K extends KernelName>(
    kernel: K,
    params: Params<K>,
    arrays: Buffers<K, HostInput>,
    options?: RunOptions,
  ): Promise<void> {
    await runOnArrays(this, kernel, params, arrays, options);
  }

  /** A new buffer on the device, zeroed or filled with `contents`. The caller destroys it. */
  allocate(length: number, contents?: HostInput): GPUBuffer {
    const size = 4 * length;
    if (size > this.device.limits.maxBufferSize) {
      throw this.tooLarge('a buffer', size, 'maxBufferSize', this.device.limits.maxBufferSize);
    }
    const flags = usage.storage | usage.copySrc | usage.copyDst;
    const buffer = this.health.guard(`${size} bytes of memory`, () => this.device.createBuffer({size, usage: flags}));
    if (contents) this.device.queue.writeBuffer(buffer, 0, contents as Float32Array<ArrayBuffer>);
    return buffer;
  }

  /**
   * Copies the first `length` elements of a buffer to the host, after everything encoded so far.
   *
   * @throws EngramError DEVICE if the device was lost or refused any work: never zeros in its place
   */
  async read(buffer: GPUBuffer, length: number, dtype: 'f32' | 'u32' = 'f32'): Promise<HostArray> {
    this.health.check();
    const size = 4 * length;
    const staging = this.health.guard(`${size} bytes to read back`, () =>
      this.device.createBuffer({size, usage: usage.mapRead | usage.copyDst}),
    );
    this.stream.encoder().copyBufferToBuffer(buffer, 0, staging, 0, size);
    this.stream.submit();
    try {
      await staging.mapAsync(1 /* GPUMapMode.READ */).catch(async (error: unknown) => {
        await this.health.settled();
        throw error;
      });
      await this.health.settled();
      const bytes = staging.getMappedRange().slice(0);
      return dtype === 'f32' ? new Float32Array(bytes) : new Uint32Array(bytes);
    } finally {
      staging.destroy();
    }
  }

  /** Frees the engine's own memory; buffers of callers stay. */
  dispose(): void {
    this.stream.submit();
    this.scratch.dispose();
    for (const {buffer} of [this.scalarRange, this.dummies.read, this.dummies.read_write]) buffer.destroy();
    this.bindGroups.clear();
  }

  private checkSharing(kernel: KernelName, ranges: Readonly<Ranges>): void {
    const specs = buffersOf(kernel);
    for (const [name, {access}] of specs) {
      const range = access === 'read' ? null : ranges[name];
      if (!range) continue;
      for (const [other] of specs) {
        if (other === name || ranges[other]?.buffer !== range.buffer) continue;
        throw new EngramError('ARGUMENT', {
          expected: `${kernel}.${name}, which is written, in a GPU buffer of its own`,
          received: `the same GPU buffer as ${other}`,
          remedy: 'Give every buffer that a kernel writes memory that no other buffer of the call uses.',
        });
      }
    }
  }

  /** Runs a call whose buffer `name` is beyond what can be bound, window by window. */
  private runWindows<K extends KernelName>(
    kernel: K,
    params: Params<K>,
    ranges: Readonly<Ranges>,
    options: CallOptions,
    name: string,
  ): void {
    const largest = Math.floor(this.device.limits.maxStorageBufferBindingSize / 4);
    const lengths = Object.fromEntries(Object.entries(ranges).map(([each, range]) => [each, range?.length ?? 0]));
    const windows = windowsOf(kernel, params, lengths, largest);
    if (!windows)
      throw this.tooLarge(`${kernel}.${name}`, 4 * lengths[name], 'maxStorageBufferBindingSize', 4 * largest);
    for (const [i, {params: part, offsets}] of windows.entries()) {
      const cut: Ranges = {...ranges};
      for (const [each, spec] of buffersOf(kernel)) {
        const range = ranges[each];
        if (!range || !(each in offsets)) continue;
        cut[each] = {
          buffer: range.buffer,
          length: bufferLength(spec, part),
          offset: (range.offset ?? 0) + offsets[each],
        };
      }
      this.encode(kernel, part, cut, {...options, overwrite: options.overwrite && i === 0});
    }
  }

  private encode<K extends KernelName>(
    kernel: K,
    params: Params<K>,
    ranges: Readonly<Ranges>,
    options: CallOptions,
  ): void {
    const {stages, scratchLength} = this.pipelines.planOf(kernel, params, options);
    if (stages.length === 0) return;
    const room = scratchLength > 0 ? {buffer: this.scratch.atLeast(scratchLength), length: scratchLength} : undefined;
    const values = scalarValues(kernel, params);
    const offset = values.length > 0 ? [this.ring.slot(values)] : noOffsets;
    for (const {stage, pipeline, layout, hasScalars} of stages) {
      const bound = stage.bindings.map((binding) => this.bound(binding, ranges, room));
      const bindGroup = this.bindGroups.of(layout, bound);
      const pass = this.stream.pass();
      pass.setPipeline(pipeline);
      pass.setBindGroup(0, bindGroup, hasScalars ? offset : noOffsets);
      pass.dispatchWorkgroups(...stage.workgroups);
    }
  }

  private tooLarge(what: string, size: number, limit: string, allowed: number): EngramError {
    return new EngramError('DEVICE', {
      expected: `${what} of at most ${allowed} bytes, the ${limit} of this GPU device`,
      received: `${size} bytes`,
      remedy: 'Use a smaller batch, or request the device with a higher limit (engram/webgpu asks for the highest).',
    });
  }

  private bound({from, access}: Binding, ranges: Readonly<Ranges>, room: GpuRange | undefined): GpuRange {
    if (access === 'uniform') return this.scalarRange;
    if (from === scratch) return room!;
    return ranges[from] ?? this.dummies[access];
  }
}

/** @throws EngramError ARGUMENT or SHAPE for a range that its buffer does not have */
function checkRange(name: string, {buffer, length, offset = 0}: GpuRange): void {
  if (!(Number.isInteger(offset) && offset >= 0 && offset % windowAlignment === 0)) {
    throw new EngramError('ARGUMENT', {
      expected: `${name} to begin at a multiple of ${windowAlignment} elements`,
      received: `${offset}`,
      remedy: 'Bindings begin at multiples of 256 bytes: lay the buffer out so, or copy the range to one of its own.',
    });
  }
  if (4 * (offset + length) <= buffer.size) return;
  throw new EngramError('SHAPE', {
    expected: `${name} within its GPU buffer of ${buffer.size} bytes`,
    received: `${length} elements of 4 bytes from element ${offset} on`,
    remedy: 'Check length and offset of the range.',
  });
}
