/** Memory Aware Synapses (Aljundi et al., ECCV 2018): learn, consolidate from unlabelled samples, learn on. */
import * as tf from '@tensorflow/tfjs-core';
import {EngramError} from '../errors.js';
import {deviceLost, renewDevice, tensorEngine} from '../kernels/tensors.js';
import {Accumulation} from '../memory/accumulation.js';
import {type AttachReport, attachMemory} from '../memory/attach.js';
import type {Samples} from '../memory/batches.js';
import {identify, type VariableId} from '../memory/match.js';
import {Memory} from '../memory/memory.js';
import type {MemorySettings} from '../memory/memory-file.js';
import {checkChoice} from '../memory/options.js';
import {type LoadReport, memoryFromBytes, memoryToBytes} from '../memory/persist.js';
import {fetchBytes, type MemoryStorage, storeBytes} from '../memory/storage.js';
import type {ImportanceReport} from '../memory/tally.js';
import {normalize} from '../memory/task.js';
import {type OptimizerConfig, penalizedOptimizer} from '../optimizers/make.js';
import type {PenalizedOptimizer, PenaltyOptions} from '../optimizers/penalized.js';
import {penalty} from '../optimizers/penalty.js';
import {asNetwork, type NetworkLike} from '../tape/index.js';
import {ConsolidationCallback} from './callback.js';
import {refuseUnfit} from './fit.js';
import {
  type AttachOptions,
  type ConsolidateOptions,
  checkOptions,
  type MemoryAwareSynapsesOptions,
} from './mas-options.js';
import {chooseVariables} from './variables.js';

/**
 * Holds each parameter of a network in proportion to how much the network's function depends on it.
 *
 * ```ts
 * const mas = new MemoryAwareSynapses(model, {lambda: 1});
 * model.compile({optimizer: mas.optimizer(tf.train.adam(1e-3)), loss: 'categoricalCrossentropy'});
 * await model.fit(digits.x, digits.y);
 * await mas.consolidate(digits.x);
 * await model.fit(letters.x, letters.y);
 * ```
 */
export class MemoryAwareSynapses {
  private variables: tf.Variable[];
  /** Names and shapes of `variables`, in order; and of all that this memory ever was about in this process. */
  private ids: VariableId[];
  private readonly knownIds = new Map<string, VariableId>();
  private readonly options: Readonly<MemoryAwareSynapsesOptions>;
  private readonly memory = new Memory();
  private readonly optimizers: PenalizedOptimizer[] = [];
  private consolidating = false;
  /** Samples measured over all tasks, for the file. */
  private samples = 0;

  /**
   * @param networkLike a `tf.LayersModel`, or `{forward, variables}` for plain tfjs-core code
   * @throws EngramError ARGUMENT, UNKNOWN_VARIABLE
   */
  constructor(
    private networkLike: NetworkLike,
    options: MemoryAwareSynapsesOptions,
  ) {
    checkOptions(options);
    this.options = {...options};
    this.variables = chooseVariables(asNetwork(networkLike).variables, options.include, options.exclude);
    this.ids = identify(networkLike, this.variables);
    for (const id of this.ids) this.knownIds.set(id.name, id);
  }

  /** Omega by variable name: mean per-sample |gradient|, in units of ||F||^2 per unit of the parameter. */
  get importance(): ReadonlyMap<string, tf.Tensor> {
    return this.memory.importance;
  }

  /** theta* by variable name: the parameters as they were when last consolidated. */
  get anchor(): ReadonlyMap<string, tf.Tensor> {
    return this.memory.anchor;
  }

  /** Tasks consolidated, by variable name. */
  get tasks(): ReadonlyMap<string, number> {
    return this.memory.tasks;
  }

  /**
   * Measures what the network now does on `data` and holds it from here on. Labels are not needed, and the data need
   * not be the training data. This object's optimizers begin anew unless `resetOptimizer` is false.
   *
   * Samples that come as a stream, in shards or from other processes are accumulated first: see {@link accumulation}.
   * An accumulation is not used up by this; its samples count in every memory that it is consolidated into.
   *
   * @param data samples: a tensor `[N, ...]`, nested array, `tf.data.Dataset` of batches or iterable of batches; or an
   * {@link Accumulation} of this network's variables, which must have the values that they had when it was taken
   * @returns what was measured, and by which rule for each parameter
   * @throws EngramError SHAPE, DTYPE, EMPTY_DATA, NON_FINITE, BUSY, CHANGED, NESTED_TAPE, NO_GRADIENTS, DISPOSED,
   * ARGUMENT (also for an accumulation with other settings or variables); BACKEND or DEVICE for a precision that is not
   * to be had; or the signal's reason. The memory is then as it was.
   */
  async consolidate(data: Samples | Accumulation, options: ConsolidateOptions = {}): Promise<ImportanceReport> {
    this.refuseIfBusy();
    this.consolidating = true;
    try {
      void this.memory.importance; // throws DISPOSED before any work is done
      if (deviceLost()) await renewDevice();
      if (data instanceof Accumulation) {
        refuseUnfit(data, this.accumulation(), options);
        return await this.hold(data, options);
      }
      const accumulation = this.accumulation(options);
      try {
        await accumulation.add(data, options);
        return await this.hold(accumulation, options);
      } finally {
        accumulation.dispose();
      }
    } finally {
      this.consolidating = false;
    }
  }

  /**
   * An empty accumulation of what {@link consolidate} measures, to be filled by `add` and `merge` and then consolidated.
   * It is the caller's to dispose.
   *
   * ```ts
   * const accumulation = mas.accumulation();
   * for (const file of files) await accumulation.add(await read(file));
   * await accumulation.merge(await Accumulation.load(model, 'file://shard2.safetensors'));
   * await mas.consolidate(accumulation);
   * ```
   *
   * @throws EngramError ARGUMENT, DISPOSED
   */
  accumulation({outputs}: Pick<ConsolidateOptions, 'outputs'> = {}): Accumulation {
    const {output = 'logits'} = this.options;
    return new Accumulation(this.networkLike, {
      variables: this.variables,
      output,
      ...(outputs !== undefined && {outputs}),
    });
  }

  /**
   * A callback for `model.fit` that consolidates when training ends:
   * `model.fit(x, y, {callbacks: mas.callback(x)})`. In a list with tfjs' own callbacks, which it does not mix with
   * plain ones, wrap it: `[tf.callbacks.earlyStopping(), new tf.CustomCallback(mas.callback(x))]`.
   *
   * @param data as for {@link consolidate}; an iterator that can be read once serves one `fit`
   */
  callback(data: Samples, options: ConsolidateOptions = {}): ConsolidationCallback {
    return new ConsolidationCallback(() => this.consolidate(data, options));
  }

  /** The penalty as a differentiable scalar, for a training loop of one's own: `loss.add(mas.penalty())`. */
  penalty(): tf.Scalar {
    return penalty(this.memory, this.variables, this.options.lambda);
  }

  /**
   * An optimizer for `model.compile` or `minimize` that trains like `base` and holds what is important.
   *
   * SGD, momentum, Adam and AdamW become one fused kernel; any other base gets the penalty's gradient added to the task's.
   * The base's learning rate is read at every step, so schedules on it keep working. The optimizer of a model that
   * was loaded with it is given this memory and returned.
   *
   * @param base a `tf.train.*` optimizer, its settings, or the `model.optimizer` that `tf.loadLayersModel` restored
   * @throws EngramError ARGUMENT for a proximal step around an optimizer that has none, or one that holds a memory
   */
  optimizer(base: tf.Optimizer | OptimizerConfig, {step}: Pick<PenaltyOptions, 'step'> = {}): PenalizedOptimizer {
    checkChoice('step', step, ['proximal', 'explicit']);
    const {lambda} = this.options;
    const optimizer = penalizedOptimizer(base, this.memory, step ? {lambda, step} : {lambda});
    this.optimizers.push(optimizer);
    return optimizer;
  }

  /**
   * Goes on with another network: what both have stays held, and {@link consolidate}, {@link penalty} and the optimizers
   * are about the new one. A variable of the network continues what the memory holds
   *
   * 1. as `names` says;
   * 2. under the same name, which in one process is the same variable;
   * 3. under the same original name, as `head/kernel_1` continues `head/kernel`: a copy of a layer;
   * 4. if there is none of these, as the counterpart in the network so far: original name without the numbers of
   *    TensorFlow.js, then order (`dense_Dense4/kernel` continues `dense_Dense2/kernel`);
   * 5. what {@link load} found to be of other networks: under the same name, if that is not a numbered one.
   *
   * Where this leaves a doubt it throws, and `names` decides. Other variables begin at Omega = 0 and are reported as
   * `fresh`; what the network lacks stays held as it is, for the network that has it. A last axis may have grown: the
   * new part begins at Omega = 0, with its present value as anchor.
   *
   * @returns what continues what
   * @throws EngramError SHAPE for any other change of shape, UNKNOWN_VARIABLE with the variables of both sides,
   * ARGUMENT, BUSY, DISPOSED. Nothing is then changed.
   */
  attach(networkLike: NetworkLike, options: AttachOptions = {}): AttachReport {
    this.refuseIfBusy();
    const {include = this.options.include, exclude = this.options.exclude} = options;
    const variables = chooseVariables(asNetwork(networkLike).variables, include, exclude);
    const ids = identify(networkLike, variables);
    const report = attachMemory(this.memory, {network: this.ids, known: this.knownIds}, variables, ids, options.names);
    this.networkLike = networkLike;
    this.variables = variables;
    this.ids = ids;
    for (const id of ids) this.knownIds.set(id.name, id);
    return report;
  }

  /**
   * Writes importance, anchors and task counts as a safetensors file (src/memory/file.ts lists its contents). In Node a
   * `file://` is replaced as one step: a crash leaves the old file or the new one, whole.
   *
   * @param place `file://path`, another tf.io scheme such as `indexeddb://name`, a `tf.io.IOHandler`, or an object
   * `{write(bytes), read()}`
   * @throws EngramError DATA_FILE if it cannot be written, ARGUMENT, DISPOSED
   */
  async save(place: MemoryStorage): Promise<void> {
    await storeBytes(
      place,
      await memoryToBytes(this.memory, {network: this.ids, known: this.knownIds}, this.settings, this.samples),
    );
  }

  /**
   * Replaces this memory's contents by those of a file that {@link save} wrote, perhaps in another process. The network
   * must be the one that was attached when it was saved, with the parameters that it then had (save and load those with
   * `model.save` and `setWeights`); what was held for other networks waits until {@link attach} brings them.
   *
   * TensorFlow.js numbers names anew in every process. Variables are found by the first of these ways that finds, with
   * its shape, every variable that holds something: the same names; the same original names (`head/kernel` as
   * `head/kernel_1`); original names without those numbers, in the order of the network. `names` overrides.
   *
   * @returns what was found where, and the file's settings; lambda may differ from the constructor's, which is used
   * @throws EngramError DATA_FILE for a missing or damaged file, SHAPE, UNKNOWN_VARIABLE with the variables of both
   * sides, ARGUMENT for other settings, BUSY, DISPOSED. Nothing is then changed.
   */
  async load(place: MemoryStorage, {names}: Pick<AttachOptions, 'names'> = {}): Promise<LoadReport> {
    this.refuseIfBusy();
    this.consolidating = true;
    try {
      void this.memory.importance; // throws DISPOSED before anything is read
      if (deviceLost()) await renewDevice();
      const report = memoryFromBytes(this.memory, await fetchBytes(place), this.ids, this.settings, names);
      await this.memory.safe();
      this.samples = report.samples;
      return report;
    } finally {
      this.consolidating = false;
    }
  }

  /**
   * Sets the variables to their anchors, the network to what it was when last consolidated: to take a task back, or to go
   * on after a GPU device was lost, on a new one. Variables that no task has used keep their values; those that were on
   * the lost device alone (of a new head, or not trainable) must be set by the caller. This object's optimizers begin
   * anew.
   *
   * @throws EngramError NO_GPU where there is no other device, BUSY, DISPOSED
   */
  async restore(): Promise<void> {
    this.refuseIfBusy();
    const {anchor} = this.memory;
    if (deviceLost()) await renewDevice();
    for (const variable of this.variables) {
      const value = anchor.get(variable.name)?.clone();
      if (!value) continue;
      variable.assign(value);
      value.dispose();
    }
    for (const optimizer of this.optimizers) optimizer.reset();
  }

  private async hold(
    accumulation: Accumulation,
    {resetOptimizer = true}: ConsolidateOptions,
  ): Promise<ImportanceReport> {
    const {importance, report} = await accumulation.finish();
    let finished = importance;
    try {
      if (this.options.normalize) finished = await normalize(importance);
      // theta at which the samples were taken, and not what the variables may become meanwhile.
      this.memory.merge(finished, await accumulation.presentTheta(), this.options.accumulate ?? 'sum');
      await this.memory.safe();
    } finally {
      tf.dispose([...importance.values(), ...finished.values()]);
    }
    this.samples += report.samples;
    if (resetOptimizer) for (const optimizer of this.optimizers) optimizer.reset();
    return report;
  }

  private get settings(): MemorySettings {
    const {lambda, accumulate = 'sum', output = 'logits', normalize = false} = this.options;
    return {method: 'mas', lambda, accumulate, output, normalize, engine: tensorEngine().name};
  }

  private refuseIfBusy(): void {
    if (!this.consolidating) return;
    throw new EngramError('BUSY', {
      expected: 'one consolidation or load at a time',
      received: 'a second call while the first runs',
      remedy: 'Await the first one.',
    });
  }

  /** Frees importance and anchors; the network and its optimizers are the caller's. A second call does nothing. */
  dispose(): void {
    this.memory.dispose();
  }
}
