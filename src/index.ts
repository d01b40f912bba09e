/** Engram: continual learning for TensorFlow.js with exact per-sample importance. */
export {EngramError, type ErrorCode} from './errors.js';
export type {AttachReport} from './memory/attach.js';
export type {BatchLike, Inputs, Samples} from './memory/batches.js';
export {
  type EstimateOptions,
  type EstimateSettings,
  estimateImportance,
  type ImportanceReport,
  type ParameterReport,
  type Progress,
} from './memory/estimate.js';
export type {MemorySettings} from './memory/file.js';
export type {VariableNames} from './memory/match.js';
export type {MergeRule} from './memory/memory.js';
export type {LoadReport} from './memory/persist.js';
export type {ByteStore, MemoryStorage} from './memory/storage.js';
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
