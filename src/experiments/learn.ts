/** Learns a sequence of tasks with one network and one method, and tests every task after every task. */
import * as tf from '@tensorflow/tfjs-core';
import type * as layers from '@tensorflow/tfjs-layers';
import {EngramError} from '../errors.js';
import {Memory} from '../memory/memory.js';
import type {Batch, LearningTask, Method} from '../methods/method.js';
import {makeOptimizer, type OptimizerConfig, penalizedOptimizer} from '../optimizers/make.js';
import {shuffledRange, type TaskSequence} from '../scenarios/sequences.js';
import type {Checkpoint, Seconds, SequenceResult} from './checkpoint.js';
import {GrowingNetwork} from './growing.js';
import {SeededDropout} from './networks/dropout.js';
import {type Accuracy, BatchMaker, ofClasses, type Targets, unlabelled} from './samples.js';

/** How every task is trained: on the softmax cross entropy, with a fresh optimizer. */
export interface TrainingSettings {
  readonly optimizer: OptimizerConfig;
  /** Samples per step. */
  readonly batchSize: number;
  /** Passes over a task's training samples. */
  readonly epochs: number;
  /** Which samples importance is measured on; their labels are not used. Default `train`. */
  readonly importanceFrom?: 'train' | 'test' | 'both';
  /** Of these the samples of some classes alone, counted in each task from 0: what one user meets. Default all. */
  readonly importanceClasses?: readonly number[] | undefined;
}

/** Makes the part of the network that all tasks share. */
export type MakeBackbone = (
  image: {height: number; width: number; channels: number},
  seed: number,
) => layers.LayersModel | Promise<layers.LayersModel>;

/** How far a sequence has come. */
export interface SequenceProgress {
  /** Task being learned, counted from 0, of how many. */
  readonly task: number;
  readonly tasks: number;
  /** Steps done in this task, and how many there are. */
  readonly step: number;
  readonly steps: number;
  /** After the task: accuracy (0..1) on every task. */
  readonly accuracy?: readonly number[];
}

/** Which part of a sequence is learned, and who is told. */
export interface SequenceOptions {
  /** Decides the initial weights and the order of the training samples. */
  readonly seed: number;
  /** Learn only the first tasks; default all. */
  readonly tasks?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Called after every step, and with the accuracy after every task. */
  readonly onProgress?: (progress: SequenceProgress) => void;
  /** Called after every task; the run goes on when it has resolved. */
  readonly onTask?: (checkpoint: Checkpoint) => Promise<void>;
  /** A run that is gone on with: its tasks are not learned again. */
  readonly from?: Checkpoint | undefined;
}

/**
 * Learns the tasks of `sequence` in order. The same seed gives the same initial weights and the same batches to every
 * method, and the same result on the same backend, whether or not it was interrupted between two tasks. The event loop
 * is yielded to after every step.
 *
 * @returns what was reached; the network is disposed, the method is the caller's
 * @throws EngramError NON_FINITE if the loss is no longer a number; DATA_FILE; or the signal's reason. No tensor is
 * leaked.
 */
export async function learnSequence(
  sequence: TaskSequence,
  makeBackbone: MakeBackbone,
  method: Method,
  settings: TrainingSettings,
  options: SequenceOptions,
): Promise<SequenceResult> {
  const backbone = await makeBackbone(sequence, options.seed);
  const network = new GrowingNetwork(backbone, sequence, options.seed);
  try {
    return await new Run(sequence, network, method, settings, options).all();
  } finally {
    network.dispose();
  }
}

class Run {
  private readonly train: readonly BatchMaker[];
  private readonly test: readonly BatchMaker[];
  private readonly spent = {training: 0, method: 0, testing: 0};
  private bytes = 0;
  private readonly tasks: number;

  constructor(
    private readonly sequence: TaskSequence,
    private readonly network: GrowingNetwork,
    private readonly method: Method,
    private readonly settings: TrainingSettings,
    private readonly options: SequenceOptions,
  ) {
    this.tasks = Math.min(options.tasks ?? sequence.tasks.length, sequence.tasks.length);
    this.train = sequence.tasks.map(({train, classes}) => new BatchMaker(train, classes.length));
    this.test = sequence.tasks.map(({test, classes}) => new BatchMaker(test, classes.length));
  }

  async all(): Promise<SequenceResult> {
    const {options, method} = this;
    const {from, onTask, onProgress} = options;
    const {tasks} = this;
    if (from) this.resume(from);
    const initial = from?.initial ?? (await this.timed('testing', () => this.testAll(0))).map(({all}) => all);
    const accuracy = [...(from?.accuracy ?? [])];
    const classAccuracy = [...(from?.classAccuracy ?? [])];
    for (let index = accuracy.length; index < tasks; index++) {
      const task = this.describe(index);
      await this.timed('method', () => method.beforeTask?.(task));
      const steps = await this.timed('training', () => this.learn(task));
      await this.timed('method', () => method.afterTask?.(task));
      const tested = await this.timed('testing', () => this.testAll(index));
      const row = tested.map(({all}) => all);
      accuracy.push(row);
      classAccuracy.push(tested.map(({classes}) => classes));
      if (onTask)
        await onTask(await this.checkpoint({accuracy: [...accuracy], classAccuracy: [...classAccuracy], initial}));
      onProgress?.({task: index, tasks, step: steps, steps, accuracy: row});
    }
    const {bytes, spent} = this;
    return {accuracy, classAccuracy, initial, seconds: {...spent}, bytes};
  }

  private describe(index: number): LearningTask {
    const {network, train, settings, sequence, options} = this;
    const {train: own, test} = sequence.tasks[index];
    const {importanceFrom = 'train', importanceClasses: classes} = settings;
    const whole = {train: [own], test: [test], both: [own, test]}[importanceFrom];
    const sets = classes ? whole.map((samples) => ofClasses(samples, classes)) : whole;
    return {
      index,
      network: network.of(index),
      features: network.features,
      earlier: network.before(index),
      count: train[index].count,
      samples: (batchSize) => train[index].all(this.targets(index, index), batchSize),
      unlabelled: (batchSize) => unlabelled(sets, batchSize),
      seed: options.seed,
      signal: options.signal,
    };
  }

  /** Trains one task and returns the number of its steps. */
  private async learn(task: LearningTask): Promise<number> {
    const {settings, options, method} = this;
    const {batchSize, epochs} = settings;
    const joined = method.trainsOn === 'all' ? this.train.slice(0, task.index + 1) : [this.train[task.index]];
    const first = task.index + 1 - joined.length;
    const starts = joined.map((_, i) => joined.slice(0, i).reduce((sum, {count}) => sum + count, 0));
    const count = joined.reduce((sum, part) => sum + part.count, 0);
    const steps = epochs * Math.ceil(count / batchSize);
    const base = makeOptimizer(settings.optimizer);
    // tfjs' own optimizers find momentum by a variable's place in the list of gradients, which changes from step to step
    // where samples of several heads are mixed. Ours find it by name, and step alike, to the bit, where nothing is held.
    const free = new Memory();
    const made = method.optimizer(base);
    const optimizer = made === base ? penalizedOptimizer(base, free, {lambda: 0}) : made;
    for (const layer of this.network.features.layers) if (layer instanceof SeededDropout) layer.beginTask(task.index);
    let step = 0;
    try {
      for (let epoch = 0; epoch < epochs; epoch++) {
        const order = shuffledRange(count, `${options.seed}/task ${task.index}/epoch ${epoch}`);
        for (let start = 0; start < count; start += batchSize) {
          options.signal?.throwIfAborted();
          const chosen = order.subarray(start, start + batchSize);
          const own = joined.map((part, i) => ({
            task: first + i,
            rows: chosen
              .filter((row) => row >= starts[i] && row < starts[i] + part.count)
              .map((row) => row - starts[i]),
          }));
          const again = method.rehearse?.(task, step) ?? [];
          const cost = await this.step(task, [...own, ...again], optimizer);
          try {
            if (start + batchSize >= count) await checkFinite(cost, settings);
          } finally {
            cost.dispose();
          }
          options.onProgress?.({task: task.index, tasks: this.tasks, step: ++step, steps});
          await tf.nextFrame();
        }
      }
    } finally {
      optimizer.dispose();
      free.dispose();
      // tfjs' momentum forgets the tensor that it inherits from SGD.
      if (base instanceof tf.MomentumOptimizer) tf.SGDOptimizer.prototype.dispose.call(base);
    }
    return steps;
  }

  /** One step on samples of one or several tasks: the mean over all samples, and what the method adds on those of its own task. */
  private async step(
    task: LearningTask,
    parts: readonly {task: number; rows: Uint32Array}[],
    optimizer: tf.Optimizer,
  ): Promise<tf.Scalar> {
    const {method, network} = this;
    const filled = parts.filter(({rows}) => rows.length > 0);
    const samples = filled.reduce((sum, {rows}) => sum + rows.length, 0);
    const batches: Batch[] = [];
    try {
      for (const part of filled) {
        batches.push(await this.train[part.task].batch(part.rows, this.targets(part.task, task.index)));
      }
      const loss = () => {
        const terms = batches.map((batch, i) => {
          const model = network.answering(filled[i].task, task.index);
          const logits = model.apply(batch.x, {training: true}) as tf.Tensor;
          const mean = tf.losses.softmaxCrossEntropy(batch.y, logits) as tf.Scalar;
          return filled.length === 1 ? mean : tf.mul(mean, filled[i].rows.length / samples);
        });
        const own = filled.findIndex((part) => part.task === task.index);
        if (method.batchLoss && own >= 0) terms.push(method.batchLoss(batches[own], task));
        return (terms.length === 1 ? terms[0] : tf.addN(terms)) as tf.Scalar;
      };
      return tf.tidy(() => optimizer.minimize(loss, true, this.variablesOf(filled, task)) as tf.Scalar);
    } finally {
      tf.dispose(batches.flatMap(({x, y}) => [x, y]));
    }
  }

  /** The variables that the networks of a step have; a method's own loss may reach those of earlier tasks. */
  private variablesOf(parts: readonly {task: number}[], task: LearningTask): tf.Variable[] {
    const models = parts.map((part) => this.network.answering(part.task, task.index));
    if (this.method.batchLoss) models.push(...task.earlier);
    return [...new Set(models.flatMap(({trainableWeights}) => trainableWeights.map((w) => w.read() as tf.Variable)))];
  }

  private targets(task: number, learned: number): Targets {
    const [, outputs] = this.network.answering(task, learned).outputs[0].shape as [null, number];
    return {offset: this.network.offsetOf(task), outputs};
  }

  /** Accuracy on the test samples of every task once `learned` was learned. */
  private async testAll(learned: number): Promise<Accuracy[]> {
    const {network, test, method} = this;
    const restore = exchange(network.variables, method.testValues?.());
    try {
      const row: Accuracy[] = [];
      for (const [task, samples] of test.entries()) {
        row.push(await samples.accuracy(network.answering(task, learned), network.offsetOf(task)));
        this.options.signal?.throwIfAborted();
      }
      return row;
    } finally {
      restore();
    }
  }

  private async checkpoint(reached: Pick<Checkpoint, 'accuracy' | 'classAccuracy' | 'initial'>): Promise<Checkpoint> {
    const weights = new Map<string, {shape: number[]; values: Float32Array}>();
    for (const variable of this.network.variables) {
      weights.set(variable.name, {shape: variable.shape, values: (await variable.data()) as Float32Array});
    }
    const method = (await this.method.state?.()) ?? {tensors: new Map()};
    const {height, width, channels} = this.sequence;
    const images = (this.method.heldSamples ?? 0) * height * width * channels * Float32Array.BYTES_PER_ELEMENT;
    this.bytes = images + [...method.tensors.values()].reduce((sum, {values}) => sum + values.byteLength, 0);
    return {...reached, seconds: {...this.spent}, bytes: this.bytes, weights, method};
  }

  private resume({weights, method, seconds, bytes}: Checkpoint): void {
    for (const variable of this.network.variables) {
      const stored = weights.get(variable.name);
      if (!stored || !tf.util.arraysEqual(stored.shape as number[], variable.shape)) {
        throw new EngramError('DATA_FILE', {
          expected: `weights of "${variable.name}" of shape [${variable.shape}] in the checkpoint`,
          received: stored ? `shape [${stored.shape}]` : 'none',
          remedy: 'Resume with the experiment that the checkpoint is of, or begin anew.',
        });
      }
      tf.tidy(() => variable.assign(tf.tensor(stored.values, variable.shape)));
    }
    this.method.restore?.(method);
    Object.assign(this.spent, seconds);
    this.bytes = bytes;
  }

  private async timed<T>(what: keyof Seconds, work: () => T | Promise<T>): Promise<T> {
    const began = performance.now();
    const result = await work();
    this.spent[what] += (performance.now() - began) / 1000;
    return result;
  }
}

/** Gives variables other values by name and returns how to give them their own back. */
function exchange(variables: readonly tf.Variable[], values?: ReadonlyMap<string, tf.Tensor>): () => void {
  const changed = variables.filter(({name}) => values?.has(name));
  const own = changed.map((variable) => tf.clone(variable));
  changed.forEach((variable) => {
    tf.tidy(() => variable.assign(tf.clone(values!.get(variable.name)!)));
  });
  return () => {
    changed.forEach((variable, i) => {
      variable.assign(own[i]);
    });
    tf.dispose(own);
  };
}

/** Once per epoch, so that a run that has diverged ends at once and says so. */
async function checkFinite(cost: tf.Scalar, {optimizer}: TrainingSettings): Promise<void> {
  const [loss] = await cost.data();
  if (Number.isFinite(loss)) return;
  throw new EngramError('NON_FINITE', {
    expected: 'the loss to stay a number',
    received: `${loss} with ${JSON.stringify(optimizer)}`,
    remedy: 'Use a smaller learning rate, or a smaller lambda with explicit steps.',
  });
}
