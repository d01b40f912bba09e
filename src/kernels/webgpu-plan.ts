/**
 * What a kernel call becomes on a GPU: which shaders run, with which constants, on how many workgroups.
 *
 * Plain arithmetic on the sizes of the call, so that a plan can be tested without a GPU. The cost rules below are sized
 * for a big GPU (NVIDIA H200 class: 132 processors of 4 x 32 lanes); a small one only gets finer slices than it needs.
 */
import {EngramError} from '../errors.js';
import {paramValue} from './check.js';
import {type ShaderName, shaders} from './shaders.gen.js';
import {buffersOf, type KernelName, kernelNames, type Params, paramsOf, row} from './table.js';
import {
  bestTiling,
  fits,
  fullGpu,
  isMomentKernel,
  type MomentKernel,
  momentShape,
  scratchLimit,
  type Tiling,
  type TilingLimits,
  tilingsOf,
  warp,
} from './webgpu-tilings.js';

/** One binding of a stage: a buffer of the row, the scratch buffer, the scalars, or nothing (a dummy is bound). */
export interface Binding {
  readonly from: string | typeof scratch | typeof scalars | typeof nothing;
  readonly access: 'read' | 'read_write' | 'uniform';
}
/** One dispatch. */
export interface Stage {
  readonly shader: ShaderName;
  readonly constants: Readonly<Record<string, number>>;
  readonly workgroups: readonly [number, number, number];
  readonly bindings: readonly Binding[];
}
export interface Plan {
  readonly stages: readonly Stage[];
  /** 32-bit elements of scratch memory that the stages share. */
  readonly scratchLength: number;
}
/** What a plan may be told besides the sizes of the call. */
export interface PlanChoices {
  readonly tiling?: Tiling | undefined;
  readonly overwrite?: boolean;
  readonly inPlace?: boolean;
}
/** The limits of a device that a plan depends on; a `GPUDevice`'s limits fit. */
export interface PlanLimits extends TilingLimits {
  readonly maxComputeWorkgroupsPerDimension: number;
}

export const scratch = '#scratch';
export const scalars = '#scalars';
export const nothing = '#nothing';

const flat = 256; // threads of the elementwise shaders
const nothingToDo: Plan = {stages: [], scratchLength: 0};

export type Numbers = Readonly<Record<string, number>>;

const namesOf = (wanted: (kind: string) => boolean) =>
  new Map(
    kernelNames.map((kernel) => [kernel, paramsOf(kernel).flatMap(([name, {kind}]) => (wanted(kind) ? name : []))]),
  );
const scalarNames = namesOf((kind) => kind === 'scalar');
const constantNames = namesOf((kind) => kind !== 'scalar');

/** The same for calls of the same plan, and for them alone. */
export function planKey<K extends KernelName>(kernel: K, params: Params<K>): string {
  let key: string = kernel;
  for (const name of constantNames.get(kernel)!) key += `,${(params as Readonly<Record<string, unknown>>)[name]}`;
  return key;
}

/**
 * The call of a key that {@link planKey} made for a moment kernel.
 *
 * @throws EngramError ARGUMENT for anything else
 */
export function callOf(key: string): {kernel: MomentKernel; params: Params<MomentKernel>} {
  const [kernel, ...values] = key.split(',');
  const names = isMomentKernel(kernel) ? constantNames.get(kernel)! : [];
  if (!isMomentKernel(kernel) || values.length !== names.length) {
    throw new EngramError('ARGUMENT', {
      expected: 'the key of a call of grad_moment or grad_moment_dense',
      received: JSON.stringify(key),
      remedy: 'Pass what tuningOf() gave, unchanged.',
    });
  }
  const spec = row(kernel).params;
  const params = Object.fromEntries(
    names.map((name, i) => [name, spec[name].kind === 'choice' ? values[i] : Number(values[i])]),
  );
  return {kernel, params: params as unknown as Params<MomentKernel>};
}

/** All tilings of a call that fit the device, the one that should be fastest first. */
export function candidateTilings<K extends MomentKernel>(kernel: K, params: Params<K>, limits: TilingLimits): Tiling[] {
  return tilingsOf(momentShape(kernel, constantsOf(kernel, params)), limits);
}

/** @throws EngramError ARGUMENT for a tiling that the call or the device cannot have */
export function checkTiling<K extends MomentKernel>(
  kernel: K,
  params: Params<K>,
  tiling: Tiling,
  limits: TilingLimits,
): void {
  if (fits(tiling, momentShape(kernel, constantsOf(kernel, params)), limits)) return;
  throw new EngramError('ARGUMENT', {
    expected: `a tiling of ${kernel} within the limits of the GPU device`,
    received: JSON.stringify(tiling),
    remedy: 'Take one that was measured for this call on this adapter.',
  });
}

/** Scalars of a call in the order of the shader's struct: the row's, then what must be derived in float64. */
export function scalarValues<K extends KernelName>(kernel: K, params: Params<K>): number[] {
  const values = scalarNames.get(kernel)!.map((name) => (params as unknown as Numbers)[name]);
  if (kernel === 'penalized_step') {
    const p = params as Params<'penalized_step'>;
    const steadyStep = p.rule === 'momentum' ? p.learningRate / (1 - p.momentum) : p.learningRate;
    values.push(1 - p.beta1, 1 - p.beta2, steadyStep, 1 - p.learningRate * p.weightDecay);
  }
  return values;
}

/** Sizes and choices of a call as the numbers that become override constants. */
export function constantsOf<K extends KernelName>(kernel: K, params: Params<K>): Record<string, number> {
  const spec = row(kernel);
  const values = params as Readonly<Record<string, unknown>>;
  return Object.fromEntries(constantNames.get(kernel)!.map((name) => [name, paramValue(spec, name, values[name])]));
}

/**
 * The dispatches of a call with these constants; none where no output element depends on the inputs.
 *
 * @param choices.tiling of grad_moment and grad_moment_dense; by default the one that costs least
 * @param choices.overwrite a moment is written, not added to
 * @param choices.inPlace penalized_step finds theta in `next`
 */
export function makePlan(
  kernel: KernelName,
  constants: Numbers,
  limits: PlanLimits,
  {tiling, overwrite = false, inPlace = false}: PlanChoices = {},
): Plan {
  const c = constants;
  switch (kernel) {
    case 'grad_moment':
    case 'grad_moment_dense':
      return momentPlan(kernel, c, limits, tiling, overwrite);
    case 'grad_moment_sum':
      return lanesPlan(
        kernel,
        c,
        limits,
        {
          size: c.fanOut,
          positions: c.positions,
          activations: read(c.scaled ? 'activations' : nothing),
        },
        overwrite,
      );
    case 'grad_moment_depthwise':
      return lanesPlan(
        kernel,
        c,
        limits,
        {
          size: c.filterHeight * c.filterWidth * c.inChannels * c.multiplier,
          positions: c.inHeight * c.inWidth === 0 ? 0 : c.uses * c.outHeight * c.outWidth,
          activations: read('activations'),
        },
        overwrite,
      );
    case 'grad_moment_gather': {
      if (c.samples * c.positions * c.rows * c.fanOut === 0) return nothingToDo;
      // A workgroup for each id, of which those stay that are the first of their row; a lane for each column.
      const threads = Math.max(warp, Math.min(256, limits.maxComputeInvocationsPerWorkgroup, powerOfTwo(c.fanOut)));
      const workgroups = spread(c.samples * c.positions, Math.ceil(c.fanOut / threads), limits);
      const bindings = rowBindings(kernel, false);
      return {stages: [{shader: kernel, constants: {...c, threads}, workgroups, bindings}], scratchLength: 0};
    }
    case 'output_norm':
      return onePass(kernel, c, c.samples, limits);
    case 'count_nonfinite': {
      const groupsTotal = Math.min(Math.ceil(c.size / flat), fullGpu);
      return onePass(kernel, {...c, groupsTotal}, groupsTotal, limits);
    }
    case 'penalty_value': {
      const groupsTotal = Math.min(Math.ceil(c.size / flat), fullGpu);
      const bindings = rowBindings(kernel, false).map((b) => (b.from === 'value' ? {...b, from: scratch} : b));
      const total: Stage = {
        shader: 'penalty_value.total',
        constants: {parts: groupsTotal},
        workgroups: [1, 1, 1],
        bindings: [read(scratch), readWrite('value'), uniform],
      };
      if (groupsTotal === 0) return {stages: [total], scratchLength: 1};
      const workgroups = spread(groupsTotal, 1, limits);
      const parts: Stage = {shader: kernel, constants: {...c, groupsTotal}, workgroups, bindings};
      return {stages: [parts, total], scratchLength: groupsTotal};
    }
    case 'penalized_step': {
      const {stages} = elementwise(kernel, {...c, inPlace: Number(inPlace)}, limits);
      const bound = (binding: Binding) => (inPlace && binding.from === 'theta' ? read(nothing) : binding);
      return {stages: stages.map((stage) => ({...stage, bindings: stage.bindings.map(bound)})), scratchLength: 0};
    }
    default:
      return elementwise(kernel, c, limits);
  }
}

/** One element or four a thread. */
function elementwise(kernel: KernelName, c: Numbers, limits: PlanLimits): Plan {
  const width = c.size % 4 === 0 ? 4 : 1;
  return onePass(kernel, {...c, width}, Math.ceil(c.size / width / flat), limits);
}

/** The shader of a stage: its file, with vectors of four where the stage has that width. */
export function shaderText({shader, constants}: Stage): string {
  const text = shaders[shader];
  return constants.width === 4 ? text.replace('alias Value = f32;', 'alias Value = vec4f;') : text;
}

/** grad_moment and grad_moment_dense: a tile of M for a workgroup, slices of the samples for the z axis. */
function momentPlan(
  kernel: MomentKernel,
  c: Numbers,
  limits: PlanLimits,
  tiling: Tiling | undefined,
  overwrite: boolean,
): Plan {
  const shape = momentShape(kernel, c);
  if (shape.fanIn * shape.fanOut * shape.positions * shape.samples === 0) return nothingToDo;
  const chosen = tiling ?? bestTiling(shape, limits);
  const {fanIn, fanOut, vectorA, vectorD} = shape;
  const slices = Math.ceil(shape.samples / chosen.samplesPerSlice);
  const stage: Stage = {
    shader: kernel,
    constants: {
      ...c,
      ...chosen,
      accumulate: Number(slices === 1 && !overwrite),
      vectorA: Number(vectorA),
      vectorD: Number(vectorD),
    },
    workgroups: spread(Math.ceil(fanIn / chosen.tileP) * Math.ceil(fanOut / chosen.tileQ), slices, limits),
    bindings: [
      read('activations'),
      read('deltas'),
      readWrite(slices === 1 ? 'moment' : scratch),
      read(vectorA ? 'activations' : nothing),
      read(vectorD ? 'deltas' : nothing),
    ],
  };
  return withReduction(stage, fanIn * fanOut, slices, limits, overwrite);
}

/**
 * grad_moment_sum and grad_moment_depthwise: 256 threads as elements of M x positions x samples. A lane takes at least
 * four positions; what is left of the threads takes further samples, and slices of the samples go to further workgroups
 * until the GPU is full.
 */
function lanesPlan(
  kernel: 'grad_moment_sum' | 'grad_moment_depthwise',
  c: Numbers,
  limits: PlanLimits,
  shape: {size: number; positions: number; activations: Binding},
  overwrite: boolean,
): Plan {
  const {size, positions, activations} = shape;
  if (size * positions * c.samples === 0) return nothingToDo;
  const threads = Math.min(256, limits.maxComputeInvocationsPerWorkgroup);
  const lanesQ = Math.min(64, powerOfTwo(size));
  const lanesL = Math.min(threads / lanesQ, powerOfTwo(Math.ceil(positions / 4)));
  const tiles = Math.ceil(size / lanesQ);
  const freeLanes = threads / (lanesQ * lanesL);
  const wanted = Math.ceil((2 * fullGpu * warp) / (threads * tiles));
  const most = Math.max(1, Math.min(wanted, Math.floor(c.samples / freeLanes), Math.floor(scratchLimit / size)));
  const samplesPerSlice = Math.ceil(c.samples / most);
  const slices = Math.ceil(c.samples / samplesPerSlice);
  const lanesB = Math.min(freeLanes, powerOfTwo(samplesPerSlice));
  const stage: Stage = {
    shader: kernel,
    constants: {...c, lanesQ, lanesL, lanesB, samplesPerSlice, accumulate: Number(slices === 1 && !overwrite)},
    workgroups: spread(tiles, slices, limits),
    bindings: [activations, read('deltas'), readWrite(slices === 1 ? 'moment' : scratch)],
  };
  return withReduction(stage, size, slices, limits, overwrite);
}

/** Adds the joining of slices behind a stage that wrote partial sums to the scratch buffer. */
function withReduction(stage: Stage, size: number, slices: number, limits: PlanLimits, overwrite: boolean): Plan {
  if (slices === 1) return {stages: [stage], scratchLength: 0};
  const reduce: Stage = {
    shader: 'grad_moment.reduce',
    constants: {size, slices, accumulate: Number(!overwrite)},
    workgroups: spread(Math.ceil(size / flat), 1, limits),
    bindings: [read(scratch), readWrite('moment')],
  };
  return {stages: [stage, reduce], scratchLength: size * slices};
}

/** A kernel that is one dispatch of one shader on the row's buffers. */
function onePass(kernel: KernelName, constants: Numbers, groups: number, limits: PlanLimits): Plan {
  if (groups === 0) return nothingToDo;
  const hasScalars = scalarNames.get(kernel)!.length > 0;
  const bindings = rowBindings(kernel, hasScalars);
  return {stages: [{shader: kernel, constants, workgroups: spread(groups, 1, limits), bindings}], scratchLength: 0};
}

function rowBindings(kernel: KernelName, hasScalars: boolean): Binding[] {
  const bindings = buffersOf(kernel).map(([name, {access}]) => (access === 'read' ? read(name) : readWrite(name)));
  return hasScalars ? [...bindings, uniform] : bindings;
}

/** Workgroups as x, y, z: a dimension holds 65535, so more are laid out in two; the shaders skip the surplus. */
export function spread(groups: number, slices: number, limits: PlanLimits): [number, number, number] {
  const y = Math.ceil(groups / limits.maxComputeWorkgroupsPerDimension);
  return [Math.ceil(groups / y), y, slices];
}

export const read = (from: string): Binding => ({from, access: 'read'});
export const readWrite = (from: string): Binding => ({from, access: 'read_write'});
const uniform: Binding = {from: scalars, access: 'uniform'};
/** The smallest power of two that is not below n. */
const powerOfTwo = (n: number): number => 2 ** Math.ceil(Math.log2(n));
