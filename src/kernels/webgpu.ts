/**
 * The WebGPU engine: runs the shaders of the kernel table on GPU buffers of one device. Knows neither TensorFlow.js nor
 * Node, so callers with their own `GPUDevice` can use it anywhere.
 */
import {EngramError} from '../errors.js';
import {checkCall} from './check.js';
import type {Buffers, Engine, HostArray, HostInput, RunOptions} from './engine.js';
import {type ShaderName, shaders} from './shaders.gen.js';
import {type BufferSpec, type KernelName, type Params, row} from './table.js';
import {runOnArrays} from './webgpu-arrays.js';
import {DeviceHealth} from './webgpu-health.js';
import {ScalarRing, Scratch, usage} from './webgpu-memory.js';
import {
  type Binding,
  constantsOf,
  makePlan,
  nothing,
  type Plan,
  type Stage,
  scalars,
  scalarValues,
  scratch,
} from './webgpu-plan.js';
import {type CommandStream, OwnStream} from './webgpu-stream.js';

export type {CommandStream} from './webgpu-stream.js';

/** The first `length` elements of a GPU buffer. */
export interface GpuRange {
  readonly buffer: GPUBuffer;
  readonly length: number;
}
/** What the engine works on: a whole GPU buffer, the beginning of one, or null for a buffer of length 0. */
export type GpuMemory = GPUBuffer | GpuRange | null;

interface Compiled {
  readonly stage: Stage;
  readonly pipeline: GPUComputePipeline;
  readonly layout: GPUBindGroupLayout;
  /** Names the layout: two kernels may bind the same buffers differently. */
  readonly layoutKey: string;
}
interface CompiledPlan {
  readonly stages: readonly Compiled[];
  readonly scratchLength: number;
}

const keptBindGroups = 1024;

export class WebGpuEngine implements Engine<GpuMemory> {
  readonly name = 'webgpu';
  private readonly health: DeviceHealth;
  private readonly ring: ScalarRing;
  private readonly scratch: Scratch;
  private readonly dummies: {read: GPUBuffer; read_write: GPUBuffer};
  private readonly plans = new Map<string, CompiledPlan>();
  private readonly pipelines = new Map<string, GPUComputePipeline>();
  private readonly layouts = new Map<string, GPUBindGroupLayout>();
  private readonly modules = new Map<ShaderName, GPUShaderModule>();
  private readonly bindGroups = new Map<string, GPUBindGroup>();
  private readonly bufferIds = new WeakMap<GPUBuffer, number>();
  private nextBufferId = 0;

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
    const dummy = () => device.createBuffer({label: 'engram empty', size: 16, usage: usage.storage});
    this.dummies = {read: dummy(), read_write: dummy()};
  }

  /** Pipelines made so far: what a shape costs the first time. */
  get pipelineCount(): number {
    return this.pipelines.size;
  }

  /**
   * Encodes one kernel into the stream.
   *
   * @throws EngramError ARGUMENT, SHAPE, or DEVICE for a buffer beyond the device's limits, before anything is changed;
   *   DEVICE if the device was lost or refused earlier work
   */
  run<K extends KernelName>(kernel: K, params: Params<K>, buffers: Buffers<K, GpuMemory>): void {
    this.health.check();
    const ranges = new Map<string, GpuRange | null>();
    const lengths: Record<string, number> = {};
    for (const name of Object.keys(row(kernel).buffers)) {
      const memory = (buffers as Record<string, GpuMemory | undefined>)[name];
      if (memory === undefined) continue; // checkCall names it
      const range = memory && 'length' in memory ? memory : memory && {buffer: memory, length: memory.size / 4};
      lengths[name] = range?.length ?? 0;
      ranges.set(name, lengths[name] === 0 ? null : range);
    }
    checkCall(kernel, params, lengths);
    this.checkMemory(kernel, ranges);

    const plan = this.planOf(kernel, params);
    if (plan.stages.length === 0) return;
    const room = plan.scratchLength > 0 ? this.scratch.atLeast(plan.scratchLength) : undefined;
    const values = scalarValues(kernel, params);
    const offset = values.length > 0 ? [this.ring.slot(values)] : [];
    for (const compiled of plan.stages) {
      const entries = compiled.stage.bindings.map((binding) => this.entry(binding, ranges, room, plan.scratchLength));
      const bindGroup = this.bindGroup(compiled, entries);
      const pass = this.stream.pass();
      pass.setPipeline(compiled.pipeline);
      pass.setBindGroup(0, bindGroup, compiled.stage.bindings.some((b) => b.access === 'uniform') ? offset : []);
      pass.dispatchWorkgroups(...compiled.stage.workgroups);
    }
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

  /** Zeroes a buffer, in order with the kernels around it. */
  clear({buffer, length}: GpuRange): void {
    this.health.check();
    if (length > 0) this.stream.encoder().clearBuffer(buffer, 0, 4 * length);
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
    for (const buffer of [this.ring.buffer, this.dummies.read, this.dummies.read_write]) buffer.destroy();
    this.bindGroups.clear();
  }

  private checkMemory(kernel: KernelName, ranges: ReadonlyMap<string, GpuRange | null>): void {
    const largest = this.device.limits.maxStorageBufferBindingSize;
    for (const [name, spec] of Object.entries(row(kernel).buffers) as [string, BufferSpec][]) {
      const range = ranges.get(name);
      if (!range) continue;
      const size = 4 * range.length;
      if (size > largest) throw this.tooLarge(`${kernel}.${name}`, size, 'maxStorageBufferBindingSize', largest);
      if (spec.access === 'read') continue;
      for (const [other, otherRange] of ranges) {
        if (other !== name && otherRange?.buffer === range.buffer) {
          throw new EngramError('ARGUMENT', {
            expected: `${kernel}.${name}, which is written, in a GPU buffer of its own`,
            received: `the same GPU buffer as ${other}`,
            remedy: 'Give every buffer that a kernel writes memory that no other buffer of the call uses.',
          });
        }
      }
    }
  }

  private tooLarge(what: string, size: number, limit: string, allowed: number): EngramError {
    return new EngramError('DEVICE', {
      expected: `${what} of at most ${allowed} bytes, the ${limit} of this GPU device`,
      received: `${size} bytes`,
      remedy: 'Use a smaller batch, or request the device with a higher limit (engram/webgpu asks for the highest).',
    });
  }

  private planOf<K extends KernelName>(kernel: K, params: Params<K>): CompiledPlan {
    const constants = constantsOf(kernel, params);
    const key = `${kernel},${Object.values(constants).join()}`;
    let compiled = this.plans.get(key);
    if (!compiled) {
      const plan: Plan = makePlan(kernel, constants, this.device.limits);
      compiled = {scratchLength: plan.scratchLength, stages: plan.stages.map((stage) => this.compile(stage))};
      this.plans.set(key, compiled);
    }
    return compiled;
  }

  /** Compiles synchronously: the call is encoded now, in order with the work around it. */
  private compile(stage: Stage): Compiled {
    const layoutKey = stage.bindings.map(({access}) => access).join();
    const layout = this.layoutOf(layoutKey, stage.bindings);
    const key = `${stage.shader},${Object.values(stage.constants).join()}`;
    let pipeline = this.pipelines.get(key);
    if (!pipeline) {
      pipeline = this.health.guard(`the shader ${stage.shader}`, () => {
        let module = this.modules.get(stage.shader);
        if (!module) {
          module = this.device.createShaderModule({label: stage.shader, code: shaders[stage.shader]});
          this.modules.set(stage.shader, module);
        }
        return this.device.createComputePipeline({
          label: stage.shader,
          layout: this.device.createPipelineLayout({bindGroupLayouts: [layout]}),
          compute: {module, entryPoint: 'main', constants: stage.constants},
        });
      });
      this.pipelines.set(key, pipeline);
    }
    return {stage, pipeline, layout, layoutKey};
  }

  private layoutOf(key: string, bindings: readonly Binding[]): GPUBindGroupLayout {
    let layout = this.layouts.get(key);
    if (!layout) {
      const types = {read: 'read-only-storage', read_write: 'storage', uniform: 'uniform'} as const;
      layout = this.device.createBindGroupLayout({
        entries: bindings.map(({access}, binding) => ({
          binding,
          visibility: 0x4 /* GPUShaderStage.COMPUTE */,
          buffer: {type: types[access], hasDynamicOffset: access === 'uniform'},
        })),
      });
      this.layouts.set(key, layout);
    }
    return layout;
  }

  private entry(
    binding: Binding,
    ranges: ReadonlyMap<string, GpuRange | null>,
    room: GPUBuffer | undefined,
    scratchLength: number,
  ): GPUBufferBinding {
    if (binding.access === 'uniform') return {buffer: this.ring.buffer, size: ScalarRing.bindingSize};
    if (binding.from === scratch) return {buffer: room!, size: 4 * scratchLength};
    const range = binding.from === nothing || binding.from === scalars ? null : ranges.get(binding.from);
    return range ? {buffer: range.buffer, size: 4 * range.length} : {buffer: this.dummies[binding.access]};
  }

  /** Bind groups are kept by the buffers they bind: training meets the same ones at every step. */
  private bindGroup({layout, layoutKey}: Compiled, entries: readonly GPUBufferBinding[]): GPUBindGroup {
    let key = layoutKey;
    for (const {buffer, size} of entries) {
      let id = this.bufferIds.get(buffer);
      if (id === undefined) {
        id = this.nextBufferId++;
        this.bufferIds.set(buffer, id);
      }
      key += `,${id}:${size ?? ''}`;
    }
    const groups = this.bindGroups;
    let group = groups.get(key);
    if (!group) {
      group = this.device.createBindGroup({
        layout,
        entries: entries.map((resource, binding) => ({binding, resource})),
      });
      // A bind group keeps its buffers alive: the oldest goes first.
      if (groups.size >= keptBindGroups) groups.delete(groups.keys().next().value!);
      groups.set(key, group);
    }
    return group;
  }
}
