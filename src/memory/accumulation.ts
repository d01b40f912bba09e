/** An unfinished importance: sums of per-sample gradients at one theta, to which samples, streams and shards add up. */
import type * as tf from '@tensorflow/tfjs-core';
import {EngramError} from '../errors.js';
import {deviceLost, renewDevice, tensorEngine} from '../kernels/tensors.js';
import {asNetwork, type NetworkLike, refuseNestedTape, SampleTape, type Seed} from '../tape/index.js';
import {decodeAccumulation, encodeAccumulation, type StoredSum} from './accumulation-file.js';
import type {Samples} from './batches.js';
import {identify, inOrder, matchAll, type VariableId, type VariableNames} from './match.js';
import {type AccumulationSettings, type Measure, measureOf, refuseOtherMeasure, squaredNormSeed} from './measure.js';
import {checkEstimateOptions, checkVariableList, type EstimateOptions} from './options.js';
import {withOutputs} from './outputs.js';
import {noSamples, runPass} from './pass.js';
import {fetchBytes, type MemoryStorage, storeBytes} from './storage.js';
import {type HostSum, Sums} from './sums.js';
import {type ImportanceReport, Tally} from './tally.js';
import {refuseChanged, refuseOtherTheta, Theta} from './theta.js';

/** How an accumulation is read from a file. */
export interface AccumulationLoadOptions {
  /** Variables of the network that are looked for in the file. Default: all trainable ones, and those found count. */
  variables?: tf.Variable[];
  /** The file's seed, where that was a function of the caller's: no file can hold it. */
  seed?: Seed;
  /** What names cannot tell: variable of the network -> variable of the file that it continues, or null for none. */
  names?: VariableNames;
}

/**
 * Sum over samples of phi(g_b) per parameter, with the number of samples and the theta at which they were taken.
 *
 * Samples come by any number of {@link add}; accumulations taken at one theta, in other processes and on other
 * machines, {@link merge} in any order to what one pass over all samples gives, within 1e-6. Every call leaves the
 * accumulation as it was if it throws. Nothing uses it up: it can be finished, consolidated or saved, and go on.
 *
 * ```ts
 * const shard = new Accumulation(model);          // in each of several processes
 * await shard.add(samples);
 * await shard.save('file://shard1.safetensors');
 *
 * const whole = await Accumulation.load(model, 'file://shard1.safetensors');
 * await whole.merge(await Accumulation.load(model, 'file://shard2.safetensors'));
 * const {importance} = await whole.finish();
 * ```
 */
export class Accumulation {
  /** Variables whose importance is accumulated. */
  readonly variables: readonly tf.Variable[];
  /** What is measured; the same in all accumulations that are merged. */
  readonly measure: Measure;
  private readonly ids: readonly VariableId[];
  private readonly seed: Seed;
  private readonly tally = new Tally();
  /** Made by the first samples. */
  private sums: Sums | undefined;
  private theta: Theta | undefined;
  private tape: SampleTape | undefined;
  private busy = false;
  private disposed = false;

  /**
   * @param network a `tf.LayersModel`, or `{forward, variables}` for plain tfjs-core code
   * @throws EngramError ARGUMENT, DTYPE, DISPOSED
   */
  constructor(
    private readonly network: NetworkLike,
    settings: AccumulationSettings = {},
  ) {
    const {variables} = asNetwork(network);
    checkVariableList(settings.variables ?? variables);
    this.variables = [...new Set(settings.variables ?? variables)];
    this.measure = measureOf(network, settings);
    this.ids = identify(network, this.variables);
    this.seed = settings.seed ?? squaredNormSeed;
  }

  /** Samples accumulated so far. */
  get samples(): number {
    return this.tally.samples;
  }

  /** What was accumulated so far, and by which rule for each parameter. */
  get report(): ImportanceReport {
    return this.tally.report(this.ids, 0);
  }

  /**
   * Adds samples. All of one call count, or none: a call that throws or is aborted leaves everything as it was. While it
   * runs it needs three floats a parameter, beside the two or three of what was added before.
   *
   * @param data samples: a tensor `[N, ...]`, nested array, `tf.data.Dataset` of batches or iterable of batches
   * @throws EngramError SHAPE, DTYPE, EMPTY_DATA, NON_FINITE, NESTED_TAPE, NO_GRADIENTS, ARGUMENT, BUSY, DISPOSED;
   * CHANGED if the parameters are not those of the first samples, or are trained meanwhile; BACKEND or DEVICE for a
   * precision that is not to be had; the signal's reason
   */
  async add(data: Samples, options: EstimateOptions = {}): Promise<void> {
    await this.alone(async () => {
      refuseNestedTape();
      checkEstimateOptions(options);
      checkVariableList(this.variables);
      if (!this.sums && deviceLost()) await renewDevice();
      const sums = new Sums(this.shapes, this.measure.phi, options.precision);
      const theta = this.theta ?? Theta.take(this.variables);
      const tally = new Tally();
      const check = async () => {
        this.throwIfDisposed();
        refuseChanged(await theta.changedIn(this.variables));
      };
      try {
        await check();
        const tape = this.tape ?? this.newTape();
        await runPass({network: this.network, tape, sums, tally, check}, data, options);
        await sums.throwIfNonfinite(); // before they spoil what was there
        await check();
        if (this.sums) this.sums.merge(sums);
        this.tape = tape;
      } catch (error) {
        sums.dispose();
        if (theta !== this.theta) theta.dispose();
        throw error;
      }
      this.theta = theta;
      if (this.sums) sums.dispose();
      else this.sums = sums;
      this.tally.add(tally);
    });
  }

  /**
   * Adds the samples of another accumulation, which keeps its own. Variables are found as {@link load} finds them.
   *
   * @throws EngramError CHANGED if it was taken at another theta, with the variables that differ; ARGUMENT for other
   * settings or this accumulation itself; UNKNOWN_VARIABLE, SHAPE for another network; BACKEND, BUSY, DISPOSED
   */
  async merge(other: Accumulation): Promise<void> {
    if (!(other instanceof Accumulation) || other === this) {
      throw new EngramError('ARGUMENT', {
        expected: 'another Accumulation',
        received: (other as unknown) === this ? 'the same one, whose samples would count twice' : typeof other,
        remedy: 'Bring those of other processes in with Accumulation.load().',
      });
    }
    await this.alone(() =>
      other.alone(async () => {
        refuseOtherMeasure(this.measure, other.measure);
        const pairs = matchAll(other.ids, this.ids);
        if (!other.theta || !other.sums) return; // no sample yet
        const names = new Map([...pairs].map(([name, theirs]) => [theirs.name, name]));
        if (this.theta) refuseOtherTheta(await this.theta.differences(other.theta, names));
        this.throwIfDisposed();
        const sums = this.sums ?? new Sums(this.shapes, this.measure.phi);
        sums.merge(other.sums, names);
        this.sums = sums;
        this.theta ??= other.theta.renamed(names);
        this.tally.add(other.tally, names);
      }),
    );
  }

  /**
   * Omega = sum / samples, of the theta at which the samples were taken. The accumulation can go on.
   *
   * @returns new tensors by variable name, owned by the caller; variables not on the path to the outputs are absent
   * @throws EngramError EMPTY_DATA without samples, NON_FINITE if any importance is NaN or Infinity, BUSY, DISPOSED
   */
  async finish(): Promise<{importance: Map<string, tf.Tensor>; report: ImportanceReport}> {
    return this.alone(async () => {
      if (!this.sums) throw noSamples();
      const started = performance.now();
      const importance = inOrder(this.ids, await this.sums.finish(this.samples));
      return {importance, report: this.tally.report(this.ids, (performance.now() - started) / 1000)};
    });
  }

  /**
   * theta at which the samples were taken, which the variables still have. The tensors belong to the accumulation.
   *
   * @throws EngramError CHANGED if they have other values by now; EMPTY_DATA, BUSY, DISPOSED
   * @internal
   */
  async presentTheta(): Promise<ReadonlyMap<string, tf.Tensor>> {
    return this.alone(async () => {
      if (!this.theta) throw noSamples();
      checkVariableList(this.variables);
      refuseChanged(await this.theta.changedIn(this.variables));
      return this.theta.values;
    });
  }

  /**
   * Writes sums, counts and the fingerprint of theta as a safetensors file (src/memory/accumulation-file.ts lists its
   * contents). In Node a `file://` is replaced as one step: a crash leaves the old file or the new one, whole.
   *
   * @param place `file://path`, another tf.io scheme such as `indexeddb://name`, a `tf.io.IOHandler`, or an object
   * `{write(bytes), read()}`
   * @throws EngramError EMPTY_DATA without samples, NON_FINITE, DATA_FILE if it cannot be written, ARGUMENT, BUSY,
   * DISPOSED
   */
  async save(place: MemoryStorage): Promise<void> {
    await this.alone(async () => {
      const {theta, sums, measure, tally, ids} = this;
      if (!theta || !sums) throw noSamples();
      const values = await sums.read();
      const variables: StoredSum[] = [];
      for (const id of ids) {
        const fingerprint = await theta.fingerprint(id.name);
        variables.push({...id, fingerprint, ...tally.waysOf(id.name), sum: values.get(id.name)});
      }
      await storeBytes(place, encodeAccumulation({measure, counts: tally, variables}, tensorEngine().name));
    });
  }

  /**
   * An accumulation that {@link save} wrote, perhaps in another process, with the settings that it had. It can be merged
   * and finished with a network of any parameters; to go on with {@link add}, or to be consolidated, the network must
   * have those of the samples.
   *
   * TensorFlow.js numbers names anew in every process. Variables are found by the first of these ways that finds all of
   * them with their shapes: the same names; the same original names (`head/kernel` as `head/kernel_1`); original names
   * without those numbers, in the order of the network. `names` overrides.
   *
   * @throws EngramError DATA_FILE for a missing or damaged file, SHAPE, UNKNOWN_VARIABLE with the variables of both
   * sides, ARGUMENT
   */
  static async load(
    network: NetworkLike,
    place: MemoryStorage,
    {variables, seed, names}: AccumulationLoadOptions = {},
  ): Promise<Accumulation> {
    const candidates = variables ?? asNetwork(network).variables;
    checkVariableList(candidates);
    const {measure, counts, variables: stored} = decodeAccumulation(await fetchBytes(place));
    if ((measure.seed === 'custom') !== (seed !== undefined)) {
      throw new EngramError('ARGUMENT', {
        expected: measure.seed === 'custom' ? 'the seed with which the file was accumulated' : 'no seed',
        received: seed === undefined ? 'none' : 'a seed, where the file was accumulated with the one of MAS',
        remedy: 'A file tells its settings, all but the function of a seed of your own.',
      });
    }
    const present = identify(network, candidates);
    const pairs = matchAll(stored, present, names, variables === undefined);
    const {phi, output, outputs} = measure;
    const accumulation = new Accumulation(network, {
      variables: candidates.filter(({name}) => pairs.has(name)),
      phi,
      output,
      ...(outputs ? {outputs} : {}),
      ...(seed ? {seed} : {}),
    });
    const sums = new Map<string, HostSum>();
    for (const [name, {sum, rule, fallback}] of pairs) {
      if (sum) sums.set(name, sum);
      accumulation.tally.note(name, {rule, fallback});
    }
    Object.assign(accumulation.tally, counts);
    accumulation.sums = Sums.of(accumulation.shapes, phi, sums);
    accumulation.theta = Theta.of(new Map([...pairs].map(([name, {fingerprint}]) => [name, fingerprint])));
    return accumulation;
  }

  /** Frees what is held, at the end of a call that still runs; a second call does nothing. */
  dispose(): void {
    this.disposed = true;
    if (this.busy) return;
    this.sums?.dispose();
    this.theta?.dispose();
  }

  private get shapes(): Map<string, readonly number[]> {
    return new Map(this.ids.map(({name, shape}) => [name, shape]));
  }

  private newTape(): SampleTape {
    const network = withOutputs(asNetwork(this.network), this.measure.outputs);
    return new SampleTape(network, {variables: [...this.variables], seed: this.seed, output: this.measure.output});
  }

  /** One call at a time: between two awaits of one, another must not see or change what is half done. */
  private async alone<T>(work: () => Promise<T>): Promise<T> {
    this.throwIfDisposed();
    if (this.busy) {
      throw new EngramError('BUSY', {
        expected: 'one call on an accumulation at a time',
        received: 'a second one while the first runs',
        remedy: 'Await the first one, or accumulate apart and merge.',
      });
    }
    this.busy = true;
    try {
      return await work();
    } finally {
      this.busy = false;
      if (this.disposed) this.dispose();
    }
  }

  private throwIfDisposed(): void {
    if (!this.disposed) return;
    throw new EngramError('DISPOSED', {
      expected: 'an accumulation in use',
      received: 'one that was disposed',
      remedy: 'Make a new one, or dispose later.',
    });
  }
}
