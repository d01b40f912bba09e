/** What other implementations of MAS compute, as data: one lambda does not mean the same in any two of them. */
import type {DecayedSum, MergeRule} from '../memory/memory.js';

/** How importance is taken from whole batches: sum over batches of |gradient of one function of the batch|. */
export interface BatchConvention {
  /**
   * The function of a batch's outputs y `[B, K]` that is differentiated. `sum`: sum_b ||y_b||^2. `mean`: that by B.
   * `mean norm`: (1/B) sum_b ||y_b||, not squared. `mean square`: (1/(B K)) sum_b ||y_b||^2.
   */
  readonly objective: 'sum' | 'mean' | 'mean norm' | 'mean square';
  /**
   * How the magnitudes of batches i = 0, 1, ... of B_i samples are averaged. `batches`: each batch weighs the same.
   * `whole batches`: the same without a last batch of fewer samples. `running`: Omega <- (Omega i B_i + |g_i|) /
   * ((i + 1) B_i), which is sum |g_i| / N for batches of one size alone.
   */
  readonly average: 'batches' | 'whole batches' | 'running';
  /** Samples a batch where nothing else is said. */
  readonly batchSize: number;
  /** Whether the samples are shuffled, or come as they are. */
  readonly shuffled: boolean;
  /** Whether layers are in training mode: dropout drops, and batch normalisation takes the batch's own statistics. */
  readonly training: boolean;
  /** Whether the outputs of the heads of earlier tasks are concatenated with the task's. */
  readonly allHeads: boolean;
  /** Whether heads are held, or only what comes before them. */
  readonly holdsHeads: boolean;
  /** What a task's importance is multiplied by before it is merged. */
  readonly share: number;
  /** How it joins that of earlier tasks. */
  readonly merge: MergeRule | DecayedSum;
  /** What lambda is multiplied by: 1/2 where the penalty is written lambda / 2. */
  readonly factor: 1 | 0.5;
}

/** The implementations that are reproduced. */
export type MasPreset = keyof typeof masPresets;

/** All read from the sources named, none of which computes the paper's (1/N) sum_b |g_b|. */
export const masPresets = {
  /**
   * The authors' code: github.com/rahafaljundi/MAS-Memory-Aware-Synapses, MAS_to_be_published/MAS_utils/
   * MAS_based_Training.py (compute_importance_l2, MAS_Omega_update, accumelate_reg_params), as of c3e6a85.
   *
   * g_i = d(sum_b ||y_b||^2)/dtheta, in inference mode, batches of 200 in order; Omega <- (Omega i B_i + |g_i|) /
   * ((i + 1) B_i) with B_i the size of the *present* batch, so that a last batch of few samples outweighs all others: of
   * 1001 samples the last one counts as 1/6. Summed over tasks; penalty lambda * sum Omega (theta - theta*)^2 on all
   * parameters. (With the code's `b1` option a batch is one sample, and this is the paper's definition: `batchSize: 1`.)
   */
  official: {
    objective: 'sum',
    average: 'running',
    batchSize: 200,
    shuffled: false,
    training: false,
    allHeads: false,
    holdsHeads: true,
    share: 1,
    merge: 'sum',
    factor: 1,
  },
  /**
   * Avalanche: github.com/ContinualAI/avalanche, avalanche/training/plugins/mas.py, as of eb075be.
   *
   * g_i = d((1/B) sum_b ||y_b||^2)/dtheta, in training mode, batches in order; Omega' = sum |g_i| / batches, whatever
   * their sizes. Omega <- (Omega + Omega') / 2, the first task's whole; penalty lambda * sum Omega (theta - theta*)^2 on
   * all parameters. Its batches have the size of the training's; 200 is that of its own MAS experiment
   * (continual-learning-baselines, experiments/split_tiny_imagenet/mas.py). Heads of earlier tasks, which later tasks do
   * not train, lose half of their importance with every task there, and keep it here.
   */
  avalanche: {
    objective: 'mean',
    average: 'batches',
    batchSize: 200,
    shuffled: false,
    training: true,
    allHeads: false,
    holdsHeads: true,
    share: 1,
    merge: 'ema',
    factor: 1,
  },
  /**
   * FACIL: github.com/mmasana/FACIL, src/approach/mas.py, as of e09d2c8.
   *
   * g_i = d((1/B) sum_b ||y_b||)/dtheta, not squared, y the outputs of all heads together, in training mode, shuffled, in
   * batches of 64; Omega' = sum B_i |g_i| / (floor(N/B) B) over the first floor(N/B) batches, which is the mean over the
   * whole batches. Omega <- (Omega + Omega') / 2 from Omega = 0, so the first task's is halved too; penalty (lambda / 2)
   * sum Omega (theta - theta*)^2 on what comes before the heads. Fewer samples than a batch give 0/0 there, and are
   * refused here.
   */
  facil: {
    objective: 'mean norm',
    average: 'whole batches',
    batchSize: 64,
    shuffled: true,
    training: true,
    allHeads: true,
    holdsHeads: false,
    share: 0.5,
    merge: {decay: 0.5},
    factor: 0.5,
  },
} as const satisfies Record<string, BatchConvention>;
