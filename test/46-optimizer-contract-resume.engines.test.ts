/** Training that is interrupted and resumed from saved state is the uninterrupted training, bit for bit. */
import * as tf from '@tensorflow/tfjs';
import {expect, it} from 'vitest';
import {AdamW, MemoryAwareSynapses, type PenalizedOptimizer} from '../dist/index.js';
import {Memory} from '../dist/memory/memory.js';
import {penalizedOptimizer} from '../dist/optimizers/make.js';
import {describeEngine, engineName} from './engine.js';

type State = {name: string; tensor: tf.Tensor}[];
interface Stateful {
  getWeights(): Promise<State>;
  setWeights(weights: State): Promise<void>;
}
const stateful = (optimizer: tf.Optimizer) => optimizer as unknown as Stateful;

const bases: Record<string, () => tf.Optimizer> = {
  sgd: () => tf.train.sgd(0.05),
  momentum: () => tf.train.momentum(0.02, 0.9),
  nesterov: () => tf.train.momentum(0.02, 0.9, true),
  adam: () => tf.train.adam(0.03),
  adamw: () => new AdamW(0.03, 0.2),
  rmsprop: () => tf.train.rmsprop(0.01),
};

/** A small network as three variables, a memory of one task that holds them, and the next task's loss. */
class Training {
  readonly variables: tf.Variable[];
  readonly memory = new Memory();
  readonly optimizer: PenalizedOptimizer;

  constructor(base: tf.Optimizer, weights: Float32Array[], anchors: Float32Array[], importance: Float32Array[]) {
    const shapes = [[4, 5], [5], [5, 2]];
    this.variables = shapes.map((shape, i) => tf.variable(tf.tensor(anchors[i].slice(), shape)));
    const omegas = this.variables.map(({name, shape}, i) => [name, tf.tensor(importance[i].slice(), shape)] as const);
    this.memory.merge(new Map(omegas), new Map(this.variables.map((theta) => [theta.name, theta])), 'sum');
    tf.dispose(omegas.map(([, omega]) => omega));
    for (const [i, variable] of this.variables.entries()) {
      tf.tidy(() => variable.assign(tf.tensor(weights[i].slice(), variable.shape)));
    }
    this.optimizer = penalizedOptimizer(base, this.memory, {lambda: 0.5});
  }

  /** One step on batch number `i`; its loss. */
  async step(i: number): Promise<number> {
    const [w, b, head] = this.variables as unknown as [tf.Tensor2D, tf.Tensor1D, tf.Tensor2D];
    const value = tf.tidy(() => {
      const x = tf.randomNormal([8, 4], 0, 1, 'float32', i + 1) as tf.Tensor2D;
      const loss = () =>
        tf.mean(tf.square(tf.sub(tf.matMul(tf.tanh(tf.add(tf.matMul(x, w), b)) as tf.Tensor2D, head), 1))) as tf.Scalar;
      return this.optimizer.minimize(loss, true, this.variables)!;
    });
    const [number] = await value.data();
    value.dispose();
    return number;
  }

  async values(tensors: Iterable<tf.Tensor> = this.variables): Promise<Float32Array[]> {
    return Promise.all([...tensors].map(async (tensor) => (await (tensor.data() as Promise<Float32Array>)).slice()));
  }

  dispose(): void {
    for (const thing of [this.optimizer, this.memory, ...this.variables]) thing.dispose();
  }
}

const values = (seed: number) =>
  [20, 5, 10].map((n) => Float32Array.from({length: n}, (_, i) => Math.sin(seed + i * i)));

describeEngine(`resumed training on ${engineName}`, () => {
  for (const [name, base] of Object.entries(bases)) {
    it(`${name}: interrupted after any step it goes on as if it had not been`, async () => {
      const steps = engineName === 'webgpu' ? 4 : 12;
      const omega = values(3).map((array) => array.map(Math.abs));
      const whole = new Training(base(), values(1), values(2), omega);
      const losses: number[] = [];
      const saved: {weights: Float32Array[]; anchors: Float32Array[]; importance: Float32Array[]; state: State}[] = [];
      for (let i = 0; i < steps; i++) {
        const state = await stateful(whole.optimizer).getWeights();
        saved.push({
          weights: await whole.values(),
          anchors: await whole.values(whole.memory.anchor.values()),
          importance: await whole.values(whole.memory.importance.values()),
          state: await Promise.all(
            state.map(async ({name, tensor}) => ({
              name,
              tensor: tf.tensor((await tensor.data()).slice(), tensor.shape, tensor.dtype),
            })),
          ),
        });
        losses.push(await whole.step(i));
      }
      for (const [k, {weights, anchors, importance, state}] of saved.entries()) {
        // New variables with new names, as in a new process.
        const resumed = new Training(base(), weights, anchors, importance);
        await stateful(resumed.optimizer).setWeights(state);
        for (let i = k; i < steps; i++) expect(await resumed.step(i), `step ${i} after ${k}`).toBe(losses[i]);
        expect(await resumed.values()).toEqual(await whole.values());
        expect(resumed.optimizer.iterations).toBe(steps);
        resumed.dispose();
        tf.dispose(state.map(({tensor}) => tensor));
      }
      whole.dispose();
    });
  }

  it('adam: after a thousand steps the powers of beta are those of the uninterrupted run', async () => {
    const omega = values(3).map((array) => array.map(Math.abs));
    const steps = engineName === 'webgpu' ? 30 : 1000;
    const whole = new Training(tf.train.adam(1e-4, 0.9, 0.9995), values(1), values(2), omega);
    for (let i = 0; i < steps; i++) await whole.step(i % 7);
    const state = await stateful(whole.optimizer).getWeights();
    const parts = [await whole.values(), await whole.values(whole.memory.anchor.values())];
    const resumed = new Training(tf.train.adam(1e-4, 0.9, 0.9995), parts[0], parts[1], omega);
    await stateful(resumed.optimizer).setWeights(state);
    for (let i = 0; i < 20; i++) expect(await resumed.step(i)).toBe(await whole.step(i));
    expect(await resumed.values()).toEqual(await whole.values());
    whole.dispose();
    resumed.dispose();
  });

  for (const [name, base] of Object.entries(bases)) {
    it(`${name}: a model saved with its optimizer goes on after tf.loadLayersModel and mas.optimizer`, async () => {
      const x = tf.randomNormal([12, 3], 0, 1, 'float32', 5);
      const y = tf.oneHot(tf.tensor1d([0, 1, 0, 1, 1, 0, 0, 1, 0, 1, 1, 0], 'int32'), 2);
      const dense = (units: number, activation: 'relu' | 'softmax', inputShape?: number[]) =>
        tf.layers.dense({
          units,
          activation,
          ...(inputShape ? {inputShape} : {}),
          kernelInitializer: tf.initializers.glorotUniform({seed: units}),
        });
      const model = tf.sequential({layers: [dense(6, 'relu', [3]), dense(2, 'softmax')]});
      const mas = new MemoryAwareSynapses(model, {lambda: 2});
      model.compile({optimizer: mas.optimizer(base()), loss: 'categoricalCrossentropy'});
      const atAnchor = model.getWeights().map((w) => w.clone());
      await mas.consolidate(x);
      for (let i = 0; i < 3; i++) await model.trainOnBatch(x, y);

      let artifacts: tf.io.ModelArtifacts | undefined;
      const saver = tf.io.withSaveHandler(async (saved) => {
        artifacts = JSON.parse(JSON.stringify(saved));
        artifacts!.weightData = (saved.weightData as ArrayBuffer).slice(0);
        return {modelArtifactsInfo: {dateSaved: new Date(0), modelTopologyType: 'JSON'}};
      });
      await model.save(saver, {includeOptimizer: true});
      const {numTensors} = tf.memory();
      await model.save(saver, {includeOptimizer: true});
      expect(tf.memory().numTensors).toBe(numTensors);

      const again = (await tf.loadLayersModel(tf.io.fromMemory(artifacts!))) as tf.LayersModel;
      const masAgain = new MemoryAwareSynapses(again, {lambda: 2});
      const now = again.getWeights().map((w) => w.clone());
      await expect(again.trainOnBatch(x, y)).rejects.toThrow(/mas\.optimizer\(model\.optimizer\)/);
      again.setWeights(atAnchor);
      await masAgain.consolidate(x); // the same memory, made again
      again.setWeights(now);
      masAgain.optimizer(again.optimizer);
      for (let i = 0; i < 3; i++) expect(await again.trainOnBatch(x, y)).toEqual(await model.trainOnBatch(x, y));
      const [got, expected] = await Promise.all(
        [again, model].map((m) => Promise.all(m.getWeights().map((w) => w.data()))),
      );
      expect(got).toEqual(expected);
      expect(again.optimizer.iterations).toBe(6);
      tf.dispose([x, y, ...atAnchor, ...now]);
      for (const thing of [mas, masAgain, model, again]) thing.dispose();
    });
  }
});
