/** Engram: continual learning for TensorFlow.js with exact per-sample importance. */
export {EngramError, type ErrorCode} from './errors.js';
export type {Precision} from './kernels/precision.js';
export {Accumulation, type AccumulationLoadOptions} from './memory/accumulation.js';
export type {AttachReport} from './memory/attach.js';
export type {BatchLike, Inputs, Samples} from './memory/batches.js';
export {type EstimateSettings, estimateImportance} from './memory/estimate.js';
export type {VariableNames} from './memory/match.js';
export type {AccumulationSettings, Measure} from './memory/measure.js';
export {type DecayedSum, type Entry, Memory, type MergeRule} from './memory/memory.js';
export type {MemorySettings} from './memory/memory-file.js';
export type {EstimateOptions, Progress} from './memory/options.js';
export type {OutputChoice} from './memory/outputs.js';
export type {LoadReport} from './memory/persist.js';
export type {ByteStore, MemoryStorage} from './memory/storage.js';
export type {Phi} from './memory/sums.js';
export type {ImportanceReport, ParameterReport} from './memory/tally.js';
export {normalize} from './memory/task.js';
export {
  type BatchImportanceOptions,
  BatchMasMethod,
  type BatchMasOptions,
  estimateBatchImportance,
} from './methods/batch-importance.js';
export type {ConsolidationCallback} from './methods/callback.js';
export {
  ElasticWeightConsolidation,
  type ElasticWeightConsolidationOptions,
} from './methods/elastic-weight-consolidation.js';
export {
  EncoderBasedLifelongLearning,
  type EncoderBasedLifelongLearningOptions,
} from './methods/encoder-based.js';
export {ExperienceReplay, type ExperienceReplayOptions} from './methods/experience-replay.js';
export {fineTuning, jointTraining} from './methods/fine-tuning.js';
export {
  estimateFisher,
  type FisherKind,
  type FisherOptions,
  type LabelledBatch,
  type Likelihood,
} from './methods/fisher.js';
export {
  IncrementalMomentMatching,
  type IncrementalMomentMatchingOptions,
} from './methods/incremental-moment-matching.js';
export {
  LearningWithoutForgetting,
  type LearningWithoutForgettingOptions,
} from './methods/learning-without-forgetting.js';
export {estimateLocalImportance, type LocalImportanceOptions, LocalMasMethod} from './methods/local-mas.js';
export {MemoryAwareSynapses} from './methods/mas.js';
export type {AttachOptions, ConsolidateOptions, MemoryAwareSynapsesOptions} from './methods/mas-options.js';
export {type BatchConvention, type MasPreset, masPresets} from './methods/mas-presets.js';
export {MasMethod, VectorMasMethod} from './methods/memory-aware.js';
export type {Batch, LearningTask, Method, MethodState, Rehearsal} from './methods/method.js';
export {type Importance, PenaltyMethod, type PenaltyMethodOptions} from './methods/penalty-method.js';
export {RiemannianWalk, type RiemannianWalkOptions} from './methods/riemannian-walk.js';
export {SynapticIntelligence, type SynapticIntelligenceOptions} from './methods/synaptic-intelligence.js';
export type {VariableFilter} from './methods/variables.js';
export {estimateVectorImportance} from './methods/vector-importance.js';
export {AdamW} from './optimizers/adamw.js';
export type {OptimizerConfig} from './optimizers/make.js';
export type {PenalizedOptimizer, PenaltyOptions} from './optimizers/penalized.js';
export type {NamedGradients} from './optimizers/wrapping.js';
export type {Network, NetworkLike, Seed} from './tape/index.js';
