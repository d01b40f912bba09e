/** Engram: continual learning for TensorFlow.js with exact per-sample importance. */
export {EngramError, type ErrorCode} from './errors.js';
export {Accumulation, type AccumulationLoadOptions} from './memory/accumulation.js';
export type {AttachReport} from './memory/attach.js';
export type {BatchLike, Inputs, Samples} from './memory/batches.js';
export {type EstimateSettings, estimateImportance} from './memory/estimate.js';
export type {VariableNames} from './memory/match.js';
export type {AccumulationSettings, Measure} from './memory/measure.js';
export {type Entry, Memory, type MergeRule} from './memory/memory.js';
export type {MemorySettings} from './memory/memory-file.js';
export type {EstimateOptions, Progress} from './memory/options.js';
export type {OutputChoice} from './memory/outputs.js';
export type {LoadReport} from './memory/persist.js';
export type {ByteStore, MemoryStorage} from './memory/storage.js';
export type {Phi} from './memory/sums.js';
export type {ImportanceReport, ParameterReport} from './memory/tally.js';
export {normalize} from './memory/task.js';
export type {ConsolidationCallback} from './methods/callback.js';
export {
  type AttachOptions,
  type ConsolidateOptions,
  MemoryAwareSynapses,
  type MemoryAwareSynapsesOptions,
  type VariableFilter,
} from './methods/mas.js';
export {AdamW} from './optimizers/adamw.js';
export type {OptimizerConfig} from './optimizers/make.js';
export type {PenalizedOptimizer, PenaltyOptions} from './optimizers/penalized.js';
export type {Network, NetworkLike, Seed} from './tape/index.js';
