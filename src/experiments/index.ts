/** `engram/experiments`: data sets, sequences of tasks, networks, metrics, and experiments as files. For Node. */
export {EngramError, type ErrorCode} from '../errors.js';
export type {OptimizerConfig} from '../optimizers/make.js';
export {limit, onlyClasses} from '../scenarios/choose.js';
export {loadDigits} from '../scenarios/digits.js';
export {type EightTasksOptions, eightTasks} from '../scenarios/eight-tasks.js';
export {loadFashionMnist} from '../scenarios/fashion-mnist.js';
export {type ImageFiles, type ImageFolderOptions, loadImageFolder} from '../scenarios/folders.js';
export {framed} from '../scenarios/frame.js';
export {type GlyphJitter, type GlyphOptions, type Glyphs, loadGlyphs} from '../scenarios/glyphs.js';
export {
  type IdxFile,
  type IdxFiles,
  type IdxSet,
  type IdxSetOptions,
  loadIdxSet,
  type TrainAndTest,
} from '../scenarios/idx-sets.js';
export {type ImagesInMemory, imagesInMemory, type LabelledImages} from '../scenarios/images.js';
export {channelStatistics, materialise, materialiseSequence, normalised} from '../scenarios/in-memory.js';
export {
  type BySeed,
  type Estimate,
  estimate,
  type Interval,
  isGreater,
  pairedDifference,
  type Verdict,
} from '../scenarios/intervals.js';
export {
  type AccuracyMatrix,
  averageAccuracy,
  backwardTransfer,
  forgetting,
  forgettingOf,
  forwardTransfer,
  intransigence,
  intransigenceOf,
  learningAccuracy,
} from '../scenarios/metrics.js';
export {type EmnistSplit, loadEmnist, loadMnist} from '../scenarios/mnist.js';
export type {FontPackage, Script, ScriptName} from '../scenarios/scripts.js';
export {type DataSet, type SequenceOfOptions, sequenceOf} from '../scenarios/sequence-of.js';
export {
  allOf,
  type ImagesToSplit,
  inputsOf,
  labelsOf,
  permutedTasks,
  rotatedTasks,
  type Samples,
  type Scenario,
  splitTasks,
  type Task,
  type TaskSequence,
} from '../scenarios/sequences.js';
export {type ChannelStatistics, type ImageSize, permutedView, rotatedView, type View} from '../scenarios/views.js';
export type {BackendName} from './backend.js';
export type {Cell} from './cell.js';
export type {Checkpoint, Seconds, SequenceResult} from './checkpoint.js';
export {
  type ExperimentOptions,
  runExperiment,
  type SelectedMethod,
  type Selection,
  selectSettings,
} from './experiment.js';
export {type Claim, type Experiment, type MeasureName, readExperiment} from './file.js';
export {
  learnSequence,
  type MakeBackbone,
  type SequenceOptions,
  type SequenceProgress,
  type TrainingSettings,
} from './learn.js';
export type {MethodSpec} from './methods.js';
export {type AlexNetSettings, alexnet} from './networks/alexnet.js';
export {cnn} from './networks/cnn.js';
export type {ImageShape} from './networks/image.js';
export {type MlpSettings, mlp} from './networks/mlp.js';
export type {PoolOptions} from './pool.js';
export type {RunResult} from './store.js';
