/** `engram report`: the results of an experiment as a page, figures and tables. */
import {existsSync} from 'node:fs';
import {mkdir, readFile, writeFile} from 'node:fs/promises';
import {join} from 'node:path';
import {type Selection, selectionFile} from '../experiments/experiment.js';
import {checkExperiment, type Experiment, folderOf} from '../experiments/file.js';
import {loadResults, type RunResult, readJson, runFolder, writeJson} from '../experiments/store.js';
import {type Comparison, compare} from '../report/comparison.js';
import {averageAccuracyPlot, plasticityPlot} from '../report/comparison-plots.js';
import {decide} from '../report/findings.js';
import {terminalGrid} from '../report/grid.js';
import {importancePlot} from '../report/importance.js';
import {layersOfState} from '../report/layers.js';
import {matrixPlot} from '../report/matrix-plot.js';
import {type PageFigure, reportPage} from '../report/page.js';
import {comparisonCsv, comparisonLatex, comparisonMarkdown, comparisonTable, findingsGrid} from '../report/tables.js';
import {dataFileError} from '../scenarios/images.js';
import {version} from '../version.js';

/** The experiment as it was run, with its selection beside it. */
const AGAIN = 'again.json';

/** What the user may set. */
export interface ReportOptions {
  /** Folder for what is written; default `report` in the folder of the results. */
  out?: string;
}

/**
 * Reads the results in a folder that `engram run` wrote, prints the tables, and writes page, figures and tables.
 *
 * @throws EngramError DATA_FILE for a folder that is not there, has no finished run, or holds damaged files
 */
export async function report(folder: string, options: ReportOptions, signal: AbortSignal): Promise<void> {
  const {experiment, selection, results} = await readFolder(folder);
  const comparison = compare(results, experiment);
  const findings = decide(comparison, experiment);
  console.log(`${experiment.title}\n\n${comparisonTable(results, experiment)}`);
  if (findings.length > 0) console.log(`\n${terminalGrid(findingsGrid(findings))}`);

  const out = options.out ?? join(folder, 'report');
  await mkdir(out, {recursive: true});
  const figures = await drawAll(folder, experiment, comparison, signal);
  await writeJson(join(out, AGAIN), experiment);
  if (selection) await writeJson(join(out, selectionFile(AGAIN)), selection);
  if (findings.length > 0) await writeJson(join(out, 'findings.json'), findings);
  const page = reportPage({
    experiment,
    selection,
    results,
    comparison,
    findings,
    figures: [...figures.comparison.values()],
    matrices: [...figures.matrices.values()],
    importance: [...figures.importance.values()],
    command: commandOf(experiment, results),
    versions: [`Engram ${version}`, `Node ${process.versions.node}`],
    date: new Date(),
  });
  const texts = new Map([
    ['report.html', page],
    ['comparison.md', comparisonMarkdown(comparison, experiment, findings)],
    ['comparison.tex', comparisonLatex(comparison, experiment, findings)],
    ['comparison.csv', comparisonCsv(comparison, experiment)],
    // A line a run: every number that the tables are made of.
    ['results.json', `[\n${results.map((result) => JSON.stringify(result)).join(',\n')}\n]\n`],
  ]);
  for (const part of Object.values(figures)) for (const [file, {svg}] of part) texts.set(file, svg);
  for (const [file, text] of texts) await writeFile(join(out, file), text);
  console.log(`\nwritten: ${join(out, 'report.html')}, and beside it ${texts.size - 1} figures and tables`);
}

async function readFolder(
  folder: string,
): Promise<{experiment: Experiment; selection: Selection | undefined; results: RunResult[]}> {
  const remedy = 'Name a folder that "engram run" wrote: its --out, or what it said at its end.';
  const expected = 'a finished run of an experiment';
  if (!existsSync(folder)) throw dataFileError(folder, {expected, received: 'no such folder', remedy});
  const file = join(folder, 'experiment.json');
  const stored = await readJson<{experiment: unknown; selection?: Selection}>(file);
  if (!stored) throw dataFileError(folder, {expected, received: 'no experiment.json', remedy});
  const experiment = checkExperiment(stored.experiment, file);
  const results = await loadResults(folder);
  if (!results.some(({label}) => Object.hasOwn(experiment.methods, label))) {
    const received = results.length === 0 ? 'none' : `runs of ${results[0].label}, which the experiment does not have`;
    throw dataFileError(folder, {expected, received, remedy: 'Let a run end: "engram run FILE --resume" goes on.'});
  }
  return {experiment, selection: stored.selection, results};
}

type Figures = Map<string, PageFigure>;

/** All figures by their file names. */
async function drawAll(
  folder: string,
  {title}: Experiment,
  comparison: Comparison,
  signal: AbortSignal,
): Promise<{comparison: Figures; matrices: Figures; importance: Figures}> {
  const {rows} = comparison;
  const tasks = rows[0].accuracy.length;
  const most = Math.max(...rows.map(({seeds}) => seeds.length));
  const over = most > 1 ? `mean of up to ${most} seeds, bars: 95 % interval` : 'one seed';
  const subtitle = `${tasks} tasks, one after the other; ${over}`;
  const all: Figures = new Map([
    [
      'accuracy.svg',
      {
        svg: await averageAccuracyPlot(comparison, {title, subtitle}),
        alt: `Lines of average accuracy over the tasks learned, one for each of ${rows.length} methods. The table has the ends.`,
      },
    ],
    [
      'plasticity.svg',
      {
        svg: await plasticityPlot(comparison, {title: `${title}: forgetting and plasticity`, subtitle}),
        alt: 'Points of forgetting against learning accuracy, one for each method. The table has their values.',
      },
    ],
  ]);
  const matrices: Figures = new Map();
  const importance: Figures = new Map();
  for (const {label, seeds, accuracy} of rows) {
    signal.throwIfAborted();
    const of = seeds.length > 1 ? `mean of ${seeds.length} seeds` : `seed ${seeds[0]}`;
    matrices.set(`matrix-${folderOf(label)}.svg`, {
      svg: await matrixPlot(accuracy, {title: label, subtitle: of}),
      alt: `${label}: accuracy on every task after every task. At the end, in percent: ${percents(accuracy.at(-1)!)}.`,
    });
    const state = join(runFolder(folder, label, seeds[0]), 'method.safetensors');
    const layers = existsSync(state) ? layersOfState(await readFile(state)) : [];
    if (layers.length === 0) continue;
    importance.set(`importance-${folderOf(label)}.svg`, {
      svg: await importancePlot(layers, {
        title: `${label}: importance after the last task`,
        subtitle: `seed ${seeds[0]}`,
      }),
      alt: `${label}: importance of every weight in ${layers.map(({name}) => name).join(', ')}.`,
    });
  }
  return {comparison: all, matrices, importance};
}

const percents = (accuracy: readonly number[]) => accuracy.map((value) => (100 * value).toFixed(1)).join(', ');

/** What makes the results again, from the experiment and the selection that are written beside the page. */
function commandOf({seeds}: Experiment, results: readonly RunResult[]): string {
  const backends = [...new Set(results.map(({backend}) => backend))];
  const ran = [...new Set(results.map(({seed}) => seed))].sort((a, b) => a - b);
  return [
    `engram run ${AGAIN}`,
    ...(backends.length === 1 ? [`--backend ${backends[0]}`] : []),
    ...(ran.every((seed) => seeds.includes(seed)) ? [] : [`--seeds ${ran.join(',')}`]),
    '--out again',
  ].join(' ');
}
