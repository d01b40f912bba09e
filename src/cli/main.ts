#!/usr/bin/env node
/** The command `engram`. Each subcommand is loaded only when it runs, so that `doctor` works where little else does. */
import {createRequire} from 'node:module';
import {Command, InvalidArgumentError, Option} from 'commander';
import {type BackendName, backendNames} from '../experiments/backend.js';
import type {DemoOptions} from './demo.js';
import {INTERRUPTED, report} from './errors.js';
import type {InspectOptions} from './inspect.js';
import type {ReportOptions} from './report.js';
import type {RunOptions} from './run.js';

const {version, description} = createRequire(import.meta.url)('../../package.json') as Record<string, string>;

const wholeNumber = (least: number) => (text: string) => {
  const value = Number(text);
  if (Number.isSafeInteger(value) && value >= least && text.trim() !== '') return value;
  throw new InvalidArgumentError(`It must be a whole number of at least ${least}.`);
};

function strength(text: string): number {
  const value = Number(text);
  if (Number.isFinite(value) && value >= 0 && text.trim() !== '') return value;
  throw new InvalidArgumentError('It must be a number of at least 0.');
}

function seedList(text: string): number[] {
  return text.split(',').flatMap((part) => {
    const [, from, to] = /^(\d+)(?:-(\d+))?$/.exec(part.trim()) ?? [];
    const [first, last] = [Number(from), Number(to ?? from)];
    if (!(last >= first && last - first < 1000)) throw new InvalidArgumentError('Write seeds as 0-4 or 0,2,7.');
    return Array.from({length: last - first + 1}, (_, i) => first + i);
  });
}

const backendOption = () =>
  new Option('--backend <name>', 'TensorFlow.js backend; default native, or cpu without the C++ addon').choices(
    backendNames,
  );

/** Runs an action so that Ctrl-C ends it between two steps, and a second Ctrl-C at once. */
async function run(action: (signal: AbortSignal) => Promise<void>): Promise<void> {
  const stop = new AbortController();
  const onInterrupt = () => {
    if (stop.signal.aborted) process.exit(INTERRUPTED);
    stop.abort();
  };
  process.on('SIGINT', onInterrupt);
  try {
    await action(stop.signal);
  } catch (error) {
    process.exitCode = report(error, stop.signal);
  } finally {
    process.off('SIGINT', onInterrupt);
  }
}

const program = new Command('engram').description(description).version(version).showSuggestionAfterError();

program
  .command('demo')
  .description('learn a sequence of tasks with fine-tuning and with MAS; print the accuracies, draw two SVG figures')
  .addOption(new Option('--data <set>', 'which images').choices(['digits', 'fashion-mnist']).default('digits'))
  .option('--data-dir <dir>', 'folder of the data set: digits.csv.gz, or the four IDX files of Fashion-MNIST')
  .addOption(
    new Option('--scenario <name>', 'of Fashion-MNIST: is the network told the task? default domain, no').choices([
      'domain',
      'task',
    ]),
  )
  .addOption(backendOption())
  .option('--seed <n>', 'decides weights, permutations and the order of images', wholeNumber(0), 1)
  .option('--tasks <n>', 'number of tasks', wholeNumber(1))
  .option('--epochs <n>', 'passes over the images of a task', wholeNumber(1))
  .option('--lambda <x>', 'strength of the MAS penalty', strength)
  .option('--out <dir>', 'folder for the figures', './engram-demo')
  .option('--quick', 'two tasks of two epochs, to see that everything works')
  .action((options: DemoOptions) => run(async (signal) => (await import('./demo.js')).demo(options, signal)));

const experimentOptions = (command: Command) =>
  command
    .argument('<file>', 'an experiment, such as those of the folder experiments')
    .option('--out <dir>', 'folder of the results')
    .option('--methods <labels...>', 'some of the methods, by their labels')
    .addOption(backendOption())
    .option('--jobs <n>', 'processes at a time; default one for each processor', wholeNumber(1))
    .option('--data <dir>', 'folder of the data')
    .option('--resume', 'go on with what an interrupted call left in the folder of the results');

experimentOptions(program.command('run'))
  .description('run an experiment: every method on every seed, in processes of their own')
  .option('--seeds <list>', "instead of the experiment's: 0-4 or 0,2,7", seedList)
  .action((file: string, options: RunOptions) =>
    run(async (signal) => (await import('./run.js')).run(file, options, signal)),
  );

experimentOptions(program.command('tune'))
  .description("choose the values of an experiment's grids, on seeds and tasks set apart for it")
  .action((file: string, options: RunOptions) =>
    run(async (signal) => (await import('./run.js')).tune(file, options, signal)),
  );

program
  .command('report')
  .description('make a page, figures and tables of the results of an experiment')
  .argument('<dir>', 'folder that "engram run" wrote')
  .option('--out <dir>', 'folder for what is written; default "report" in the folder of the results')
  .action((folder: string, options: ReportOptions) =>
    run(async (signal) => (await import('./report.js')).report(folder, options, signal)),
  );

program
  .command('doctor')
  .description(
    'print what was found (addon, instruction set, threads, GPU, TensorFlow.js) and what to do about the rest',
  )
  .option('--json', 'for programs')
  .action((options: {json?: boolean}) => run(async () => (await import('./doctor.js')).doctor(options)));

program
  .command('inspect')
  .description('print what a memory, an accumulation or another safetensors file holds')
  .argument('<file>', 'as save() wrote it')
  .option('--top <n>', 'how many of the most important weights are listed', wholeNumber(0), 10)
  .option('--json', 'for programs')
  .action((file: string, options: InspectOptions) =>
    run(async () => (await import('./inspect.js')).inspect(file, options)),
  );

program
  .command('bench')
  .description('run the benchmarks: all of them, or the parts named')
  .argument(
    '[parts...]',
    'peak, kernels, backend, consolidation, training, overhead, methods, vector-output, peers, clients',
  )
  .addOption(backendOption())
  .option('--out <file>', 'where the figures are written as JSON')
  .action((parts: string[], options: {out?: string; backend?: BackendName}) =>
    run(async () => (await import('./bench.js')).bench(parts, options)),
  );

await program.parseAsync();
