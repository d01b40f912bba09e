/** Compiled plans: what a call runs, made at the first call of its kind and kept. */
import {type CallOptions, matrixPrecision} from './precision.js';
import type {KernelName, Params} from './table.js';
import {DeviceHealth} from './webgpu-health.js';
import {hasMatrices} from './webgpu-matrices.js';
import {matrixPlan} from './webgpu-matrix-plan.js';
import {constantsOf, makePlan, planKey, type Stage, shaderText} from './webgpu-plan.js';
import {isMomentKernel, type MomentKernel, type Tiling} from './webgpu-tilings.js';

/** A layout of bind groups; `key` is the same for equal ones. */
export interface Layout {
  readonly key: string;
  readonly layout: GPUBindGroupLayout;
}
/** One dispatch, ready to be encoded. */
export interface CompiledStage {
  readonly stage: Stage;
  readonly pipeline: GPUComputePipeline;
  readonly layout: Layout;
  readonly hasScalars: boolean;
}
export interface CompiledPlan {
  readonly stages: readonly CompiledStage[];
  readonly scratchLength: number;
}

export class Pipelines {
  private readonly plans = new Map<string, CompiledPlan>();
  private readonly pipelines = new Map<string, GPUComputePipeline>();
  private readonly layouts = new Map<string, Layout>();
  private readonly modules = new Map<string, GPUShaderModule>();

  /** Whether the device has tensor cores that the shaders can use. */
  readonly matrices: boolean;

  constructor(private readonly device: GPUDevice) {
    this.matrices = hasMatrices(device);
  }

  /** Pipelines made so far. */
  get count(): number {
    return this.pipelines.size;
  }

  /** Tilings that were set, by the key of their call. */
  readonly tilings = new Map<string, Tiling>();
  /** Moment kernels met so far, by key: what there is to tune. */
  readonly momentCalls = new Map<string, {kernel: MomentKernel; params: Params<MomentKernel>}>();

  /** Plans a call by this tiling from now on; by the cost rule without one. */
  useTiling<K extends MomentKernel>(kernel: K, params: Params<K>, tiling: Tiling | undefined): void {
    const key = planKey(kernel, params);
    if (tiling) this.tilings.set(key, tiling);
    else this.tilings.delete(key);
    this.plans.delete(key);
  }

  /** The plan of a call of these sizes and choices. */
  planOf<K extends KernelName>(
    kernel: K,
    params: Params<K>,
    {precision = 'f32', overwrite = false, inPlace = false}: CallOptions,
  ): CompiledPlan {
    const matrices = kernel === 'grad_moment' && this.matrices ? matrixPrecision(precision) : undefined;
    const call = planKey(kernel, params);
    const key = matrices || overwrite || inPlace ? `${call},${matrices},${overwrite},${inPlace}` : call;
    let compiled = this.plans.get(key);
    if (!compiled) {
      const {limits} = this.device;
      const constants = constantsOf(kernel, params);
      const plan =
        (matrices && matrixPlan(matrices, constants, limits, {overwrite})) ??
        makePlan(kernel, constants, limits, {tiling: this.tilings.get(call), overwrite, inPlace});
      if (isMomentKernel(kernel) && plan.stages.length > 0) {
        this.momentCalls.set(call, {kernel, params: params as Params<MomentKernel>});
      }
      compiled = {scratchLength: plan.scratchLength, stages: plan.stages.map((stage) => this.compile(stage))};
      this.plans.set(key, compiled);
    }
    return compiled;
  }

  /** Compiles synchronously: the call is encoded now, in order with the work around it. */
  private compile(stage: Stage): CompiledStage {
    const layout = this.layoutOf(stage);
    const key = `${stage.shader},${Object.values(stage.constants).join()}`;
    let pipeline = this.pipelines.get(key);
    if (!pipeline) {
      pipeline = DeviceHealth.of(this.device).guard(`the shader ${stage.shader}`, () =>
        this.device.createComputePipeline({
          label: stage.shader,
          layout: this.device.createPipelineLayout({bindGroupLayouts: [layout.layout]}),
          compute: {module: this.moduleOf(stage), entryPoint: 'main', constants: stage.constants},
        }),
      );
      this.pipelines.set(key, pipeline);
    }
    return {stage, pipeline, layout, hasScalars: stage.bindings.some(({access}) => access === 'uniform')};
  }

  private moduleOf(stage: Stage): GPUShaderModule {
    const code = shaderText(stage);
    let module = this.modules.get(code);
    if (!module) {
      module = this.device.createShaderModule({label: stage.shader, code});
      this.modules.set(code, module);
    }
    return module;
  }

  private layoutOf({bindings}: Stage): Layout {
    const key = bindings.map(({access}) => access).join();
    let layout = this.layouts.get(key);
    if (!layout) {
      const types = {read: 'read-only-storage', read_write: 'storage', uniform: 'uniform'} as const;
      layout = {
        key,
        layout: this.device.createBindGroupLayout({
          entries: bindings.map(({access}, binding) => ({
            binding,
            visibility: 0x4 /* GPUShaderStage.COMPUTE */,
            buffer: {type: types[access], hasDynamicOffset: access === 'uniform'},
          })),
        }),
      };
      this.layouts.set(key, layout);
    }
    return layout;
  }
}
