/** A network for a sequence of tasks: a backbone that all tasks share, and heads as the scenario asks for them. */
import type * as tf from '@tensorflow/tfjs-core';
import * as layers from '@tensorflow/tfjs-layers';
import type {TaskSequence} from '../scenarios/sequences.js';

/**
 * One network per task over the same variables. Heads are linear: outputs are logits.
 *
 * - task-incremental: a head for each task.
 * - domain-incremental: one head for all.
 * - class-incremental: a head for each task, and the network of a task has all heads up to its own side by side.
 *
 * Heads of tasks to come exist from the start, so that a task begins with the same weights whatever was learned before
 * it; but they belong to no network until their task.
 */
export class GrowingNetwork {
  /** Logits of each task, in order. */
  private readonly networks: readonly layers.LayersModel[];
  /** First output of each task in the networks that have it. */
  private readonly offsets: readonly number[];

  /** @param backbone from `[height, width, channels]` to `[features]`; it is taken over */
  constructor(
    readonly features: layers.LayersModel,
    private readonly sequence: TaskSequence,
    seed: number,
  ) {
    const {tasks, scenario} = sequence;
    const [seen] = features.outputs;
    // Backbones seed their layers `seed * 100`, `seed * 100 + 1` and so on; the heads go on from there.
    const seeded = features.layers.filter(({weights}) => weights.length > 0).length;
    const head = (task: number) =>
      layers.layers
        .dense({
          name: `head${task + 1}`,
          units: tasks[task].classes.length,
          kernelInitializer: layers.initializers.glorotUniform({seed: seed * 100 + seeded + task}),
        })
        .apply(seen) as layers.SymbolicTensor;
    const answer = (outputs: layers.SymbolicTensor) => layers.model({inputs: features.inputs, outputs});
    let offset = 0;
    this.offsets = tasks.map(({classes}) => {
      const own = scenario === 'class-incremental' ? offset : 0;
      offset += classes.length;
      return own;
    });
    if (scenario === 'domain-incremental') {
      const shared = answer(head(0));
      this.networks = tasks.map(() => shared);
      return;
    }
    const heads = tasks.map((_, task) => head(task));
    this.networks = heads.map((own, task) => {
      if (scenario === 'task-incremental' || task === 0) return answer(own);
      const side = layers.layers.concatenate({name: `classes${task + 1}`});
      return answer(side.apply(heads.slice(0, task + 1)) as layers.SymbolicTensor);
    });
  }

  /** The network that `task` is learned with. */
  of(task: number): layers.LayersModel {
    return this.networks[task];
  }

  /** The network that answers for samples of `task` once `learned` was learned, or while it is. */
  answering(task: number, learned: number): layers.LayersModel {
    return this.networks[this.sequence.scenario === 'class-incremental' ? Math.max(task, learned) : task];
  }

  /** The networks that answered for what came before `task`. */
  before(task: number): layers.LayersModel[] {
    if (task === 0) return [];
    return this.sequence.scenario === 'task-incremental' ? this.networks.slice(0, task) : [this.networks[task - 1]];
  }

  /** The output of {@link answering} that stands for the task's class 0. */
  offsetOf(task: number): number {
    return this.offsets[task];
  }

  /** Every variable, of the backbone and of all heads, once. */
  get variables(): tf.Variable[] {
    const all = [this.features, ...this.networks].flatMap(({weights}) => weights.map((w) => w.read() as tf.Variable));
    return [...new Set(all)];
  }

  /** Frees the variables, which is all that models hold: tfjs counts the users of a shared layer wrongly. */
  dispose(): void {
    for (const variable of this.variables) variable.dispose();
  }
}
