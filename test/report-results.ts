/** A small experiment with results made by hand, whose tables can be computed on paper. */
import type {Experiment} from '../dist/experiments/file.js';
import type {RunResult} from '../dist/experiments/store.js';

/** Quantile of Student's t with 2 degrees of freedom at 0.975, from its closed form (2p - 1) / sqrt(2p (1 - p)). */
const T2 = 0.95 / Math.sqrt(2 * 0.975 * 0.025);
/** Half of the 95 % interval of the mean of x - 1, x, x + 1. */
export const HALF = T2 / Math.sqrt(3);

export const experiment: Experiment = {
  title: 'Two tasks & 100 % <hand-made>',
  about: 'To be read at https://example.org/about_us.',
  sequence: {kind: 'permuted', data: 'digits', tasks: 2},
  network: {kind: 'mlp', hidden: [8]},
  training: {optimizer: {kind: 'sgd', learningRate: 0.1}, batchSize: 16, epochs: 1},
  methods: {
    'fine-tuning': {method: 'fine-tuning'},
    'joint_{all}': {method: 'joint'},
    'MAS & "co", |λ|': {method: 'mas', importanceFrom: 'test', grid: {lambda: [1, 2]}},
    late: {method: 'ewc', lambda: 1},
  },
  seeds: [0, 1, 2],
  selection: {seeds: [9], tasks: 1},
  published: [
    {label: 'MAS', source: 'Aljundi et al. 2018, "table" 1', averageAccuracy: 0.875, forgetting: 0.01, note: 'VGG_11'},
  ],
};

type Shift = -0.01 | 0 | 0.01;

function run(label: string, seed: number, accuracy: number[][], training: number): RunResult {
  return {
    label,
    method: {method: experiment.methods[label]?.method ?? 'mas', ...(label.startsWith('MAS') && {lambda: 2})},
    seed,
    run: `${label} ${seed}`,
    backend: 'native',
    accuracy,
    classAccuracy: [],
    initial: [0.5, 0.4],
    seconds: {training, method: 0.25, testing: 3},
    bytes: label.startsWith('MAS') ? 1_234_567 : 0,
  };
}

/** What fine-tuning, joint training and MAS reached on one seed; MAS gains 10 points on average, whatever the seed. */
export function resultsOf(seed: number, shift: Shift): RunResult[] {
  return [
    run(
      'MAS & "co", |λ|',
      seed,
      [
        [0.9, 0.6],
        [0.8 + shift, 0.8],
      ],
      3,
    ),
    run(
      'fine-tuning',
      seed,
      [
        [0.9, 0.5],
        [0.5 + shift, 0.9],
      ],
      2 + 100 * shift,
    ),
    run(
      'joint_{all}',
      seed,
      [
        [0.9, 0.5],
        [0.92, 0.94],
      ],
      4,
    ),
  ];
}

/** Three seeds of all methods but `late`. */
export const results = [...resultsOf(2, 0.01), ...resultsOf(0, -0.01), ...resultsOf(1, 0)];

/** One run of `late`, which does what fine-tuning does without noise. */
export const lateRun = (seed: number, last = 0.9): RunResult =>
  run(
    'late',
    seed,
    [
      [0.9, 0.5],
      [0.5, last],
    ],
    1,
  );
