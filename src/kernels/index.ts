/** `engram/kernels`: the kernels themselves, on typed arrays, without TensorFlow.js. */
export {EngramError, type ErrorCode} from '../errors.js';
export type {Buffers, Engine, EngineName, HostArray, HostInput, RunOptions} from './engine.js';
export {hostEngine} from './host.js';
export type {CallOptions, Precision, PrecisionOption} from './precision.js';
export {referenceEngine} from './reference/engine.js';
export {
  type BufferName,
  flatDepth,
  type KernelName,
  type KernelSpec,
  kernelNames,
  type Params,
  table,
} from './table.js';
export {type CommandStream, type GpuMemory, type GpuRange, WebGpuEngine} from './webgpu.js';
export type {MomentKernel, Tiling} from './webgpu-tilings.js';
export {TimedStream} from './webgpu-timing.js';
export {type TuneOptions, type TuneResult, type Tuning, tune, tuningOf, useTuning} from './webgpu-tune.js';
