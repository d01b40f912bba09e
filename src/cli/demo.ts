/** `engram demo`: learns a sequence of tasks with fine-tuning and with MAS, then shows what each still knows. */
import {mkdir, writeFile} from 'node:fs/promises';
import {join} from 'node:path';
import {EngramError} from '../errors.js';
import {type BackendName, useBackend} from '../experiments/backend.js';
import {learnPreset} from '../experiments/preset.js';
import {fineTuning} from '../methods/fine-tuning.js';
import {MasMethod} from '../methods/memory-aware.js';
import {importancePlot} from '../report/importance.js';
import {layersOf, sumOverUnits} from '../report/layers.js';
import {accuracyPlot} from '../report/plots.js';
import {accuracyTable, type MethodResult, summaryTable} from '../report/table.js';
import {loadDigits} from '../scenarios/digits.js';
import {loadFashionMnist} from '../scenarios/fashion-mnist.js';
import {type Preset, permutedDigits, splitFashionMnist} from '../scenarios/presets.js';
import {permutedTasks, splitTasks, type TaskSequence} from '../scenarios/sequences.js';
import {showDownload, showProgress} from './progress.js';

/** What the user may set; everything left out comes from the preset of the data set. */
export interface DemoOptions {
  data: 'digits' | 'fashion-mnist';
  /** Folder of the data set's files. */
  dataDir?: string;
  /** Of Fashion-MNIST: is the network told which task it sees? Default `domain`, it is not. */
  scenario?: 'domain' | 'task';
  backend?: BackendName;
  seed: number;
  tasks?: number;
  epochs?: number;
  lambda?: number;
  out: string;
  /** Two tasks and two epochs: to see that everything works. */
  quick?: boolean;
}

/** Runs the demo and writes `accuracy.svg` and `importance.svg` into `options.out`. */
export async function demo(options: DemoOptions, signal: AbortSignal): Promise<void> {
  const began = performance.now();
  const preset = presetOf(options);
  const settings: Preset = {
    ...preset,
    tasks: options.tasks ?? (options.quick ? 2 : preset.tasks),
    epochs: options.epochs ?? (options.quick ? Math.min(2, preset.epochs) : preset.epochs),
    lambda: options.lambda ?? preset.lambda,
  };
  const backend = await useBackend(options.backend);
  const sequence = await loadSequence(options, settings.tasks, signal);
  const sizes = [sequence.height * sequence.width, ...settings.hidden, sequence.tasks[0].classes.length].join('-');
  console.log(`${sequence.name}, ${sequence.scenario}, ${settings.tasks} tasks; backend ${backend.name}`);
  if (backend.notice) console.log(backend.notice);
  console.log(
    `MLP ${sizes}, ReLU; SGD ${settings.learningRate}, momentum ${settings.momentum}; ` +
      `batches of ${settings.batchSize}, epochs a task: ${settings.epochs}; MAS lambda ${settings.lambda}; seed ${options.seed}`,
  );
  if (options.data === 'fashion-mnist') {
    console.log(sequence.tasks.map(({name}, task) => `task ${task + 1}: ${name}`).join('; '));
  }
  console.log();

  const mas = new MasMethod({lambda: settings.lambda});
  /** Omega of the input pixels after each task. */
  const pixels: Float32Array[] = [];
  const methods = [
    {label: 'fine-tuning', method: fineTuning()},
    {label: 'MAS', method: mas, onTask: async () => pixels.push(sumOverUnits((await layersOf(mas.memory))[0]))},
  ];
  const view = showProgress(
    methods.map(({label}) => label),
    settings.tasks,
  );
  const results: MethodResult[] = [];
  try {
    for (const [index, {label, method, onTask}] of methods.entries()) {
      const run = await learnPreset(sequence, method, settings, {
        seed: options.seed,
        signal,
        onTask: async () => void (await onTask?.()),
        onProgress: (progress) => view.update(index, progress),
      });
      const {training, method: between, testing} = run.seconds;
      results.push({label, accuracy: run.accuracy, seconds: training + between + testing});
    }
    view.stop();
    console.log(`\nAccuracy (%) on the test images of each task\n${accuracyTable(results)}`);
    console.log(`\n${summaryTable(results)}\n${measured(mas)}`);
    const subtitle = `MLP ${sizes}, SGD with momentum; MAS with λ = ${settings.lambda}; seed ${options.seed}`;
    const files = await draw(sequence, results, {mas, pixels}, subtitle, options.out);
    const seconds = ((performance.now() - began) / 1000).toFixed(1);
    console.log(`written: ${files.join(', ')}\n${seconds} s in all`);
  } finally {
    view.stop();
    mas.dispose();
  }
}

function presetOf({data, scenario = 'domain'}: DemoOptions): Preset {
  if (data === 'fashion-mnist') return splitFashionMnist[scenario];
  if (scenario === 'domain') return permutedDigits;
  throw new EngramError('ARGUMENT', {
    expected: 'the domain scenario for permuted digits, whose tasks share their classes',
    received: 'task',
    remedy: 'Leave out --scenario, or add --data fashion-mnist.',
  });
}

async function loadSequence(options: DemoOptions, tasks: number, signal: AbortSignal): Promise<TaskSequence> {
  if (options.data === 'digits') {
    const digits = await loadDigits(options.dataDir && join(options.dataDir, 'digits.csv.gz'));
    return permutedTasks('Permuted digits', digits, tasks, options.seed);
  }
  const images = await loadFashionMnist({folder: options.dataDir, signal, onDownload: showDownload('Fashion-MNIST')});
  return splitTasks('Split-Fashion-MNIST', images, tasks, `${options.scenario ?? 'domain'}-incremental`);
}

/** How the importance was measured, in one line. */
function measured({reports}: MasMethod): string {
  const samples = reports.reduce((sum, report) => sum + report.samples, 0);
  const seconds = reports.reduce((sum, report) => sum + report.seconds, 0);
  const parameters = reports.at(-1)?.parameters ?? [];
  const slow = parameters.filter(({fallback}) => fallback !== null);
  const how =
    slow.length === 0
      ? 'every parameter by its rule'
      : `by the fallback, one sample at a time: ${slow.map(({name}) => name).join(', ')}`;
  return `importance from ${samples} samples in ${seconds.toFixed(2)} s; ${how}`;
}

async function draw(
  sequence: TaskSequence,
  results: MethodResult[],
  {mas, pixels}: {mas: MasMethod; pixels: readonly Float32Array[]},
  subtitle: string,
  folder: string,
): Promise<string[]> {
  const chance = 1 / sequence.tasks[0].classes.length;
  const title = `${sequence.name}: ${sequence.tasks.length} tasks, one after the other`;
  const accuracy = await accuracyPlot(results, {title, subtitle, chance});
  const importance = await importancePlot(await layersOf(mas.memory), {
    title: `${sequence.name}: what the network must keep`,
    subtitle,
    pixels: {height: sequence.height, width: sequence.width, after: pixels},
  });
  await mkdir(folder, {recursive: true});
  const files = {'accuracy.svg': accuracy, 'importance.svg': importance};
  for (const [name, svg] of Object.entries(files)) await writeFile(join(folder, name), svg);
  return Object.keys(files).map((name) => join(folder, name));
}
