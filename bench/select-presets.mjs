/**
 * Chooses the numbers of src/scenarios/presets.ts, on seeds that 50-scenarios-learning.test.ts does not judge:
 *
 *   1. learning rate and epochs on fine-tuning alone: the highest accuracy on each task just after it was learned,
 *      within 0.1 points the smaller rate;
 *   2. lambda, with these: the highest average accuracy at the end of the sequence.
 *
 * Run: node bench/select-presets.mjs [digits | fashion-domain | fashion-task], after npm run build.
 */
import {useBackend} from '../dist/experiments/backend.js';
import {learnPreset} from '../dist/experiments/preset.js';
import {fineTuning} from '../dist/methods/fine-tuning.js';
import {MasMethod} from '../dist/methods/memory-aware.js';
import {loadDigits} from '../dist/scenarios/digits.js';
import {loadFashionMnist} from '../dist/scenarios/fashion-mnist.js';
import {averageAccuracy, forgetting} from '../dist/scenarios/metrics.js';
import {permutedDigits, splitFashionMnist} from '../dist/scenarios/presets.js';
import {permutedTasks, splitTasks} from '../dist/scenarios/sequences.js';

const studies = {
  digits: async () => {
    const images = await loadDigits();
    return {
      preset: permutedDigits,
      sequence: (seed) => permutedTasks('digits', images, 5, seed),
      seeds: [101, 102, 103],
      learningRates: [0.01, 0.02, 0.05, 0.1],
      epochs: [5, 10],
      lambdas: [0.001, 0.003, 0.01, 0.03, 0.1],
    };
  },
  'fashion-domain': () => fashion('domain', [0.1, 1, 10, 100, 1000]),
  'fashion-task': () => fashion('task', [0.01, 0.1, 1, 10]),
};

async function fashion(scenario, lambdas) {
  const images = await loadFashionMnist();
  return {
    preset: splitFashionMnist[scenario],
    sequence: () => splitTasks('fashion', images, 5, `${scenario}-incremental`),
    seeds: [101, 102, 103],
    learningRates: [0.01, 0.03, 0.1],
    epochs: [1],
    lambdas,
  };
}

/** Accuracies closer than this are alike; the smaller learning rate is then the safer one. */
const NOISE = 0.001;

const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;
const percent = (value) => (100 * value).toFixed(1);

async function measure({sequence, seeds}, settings, lambda) {
  const runs = [];
  for (const seed of seeds) {
    const method = lambda === undefined ? fineTuning() : new MasMethod({lambda});
    const {accuracy} = await learnPreset(sequence(seed), method, settings, {seed});
    method.dispose();
    runs.push({
      learned: mean(accuracy.map((row, task) => row[task])),
      last: accuracy.at(-1).at(-1),
      average: averageAccuracy(accuracy),
      forgetting: forgetting(accuracy),
    });
  }
  return Object.fromEntries(Object.keys(runs[0]).map((key) => [key, mean(runs.map((run) => run[key]))]));
}

function show(name, {learned, last, average, forgetting}) {
  const figures = [learned, last, average, forgetting].map(percent).join(' | ');
  console.log(`| ${name} | ${figures} |`);
}

const study = await studies[process.argv[2] ?? 'digits']();
console.log(`backend ${(await useBackend()).name}, seeds ${study.seeds.join(', ')}`);
console.log('| setting | just learned | last task | average | forgetting |\n|---|---|---|---|---|');
let best;
for (const learningRate of study.learningRates) {
  for (const epochs of study.epochs) {
    const settings = {...study.preset, learningRate, epochs};
    let figures;
    try {
      figures = await measure(study, settings);
    } catch (error) {
      if (error.code !== 'NON_FINITE') throw error;
      console.log(`| fine-tuning, rate ${learningRate}, ${epochs} epochs | diverged |`);
      continue;
    }
    show(`fine-tuning, rate ${learningRate}, ${epochs} epochs`, figures);
    if (!best || figures.learned > best.figures.learned + NOISE) best = {settings, figures};
  }
}
let held;
for (const lambda of study.lambdas) {
  const figures = await measure(study, best.settings, lambda);
  show(`MAS, lambda ${lambda}`, figures);
  if (!held || figures.average > held.figures.average) held = {lambda, figures};
}
const {learningRate, epochs} = best.settings;
console.log(`chosen: learning rate ${learningRate}, ${epochs} epochs, lambda ${held.lambda}`);
