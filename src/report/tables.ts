/** The tables of an experiment: what was learned and what it cost, which claims hold, which settings were tried. */
import type {Selection} from '../experiments/experiment.js';
import {type Experiment, type MeasureName, measureNames} from '../experiments/file.js';
import type {RunResult} from '../experiments/store.js';
import {type Estimate, estimate} from '../scenarios/intervals.js';
import {type Comparison, compare, type Measure, measures, publishedLabel} from './comparison.js';
import type {Finding} from './findings.js';
import {csvLine, type Grid, type GridRow, latexGrid, markdownGrid, terminalGrid} from './grid.js';

const COST: readonly MeasureName[] = ['trainingSeconds', 'methodSeconds', 'bytes'];
const FOCUS: readonly MeasureName[] = ['focusAccuracy', 'otherAccuracy'];
/** The measures that an experiment tells: those of classes in focus only where it has any. */
const toldBy = ({focus}: Experiment) => measureNames.filter((name) => focus || !FOCUS.includes(name));
const NOTHING = '–';

/** The comparison as the command line prints it: two tables, and what is lacking. */
export function comparisonTable(results: readonly RunResult[], experiment: Experiment): string {
  const comparison = compare(results, experiment);
  return [...comparisonGrids(comparison, experiment).map(terminalGrid), ...notesOf(comparison, experiment)].join('\n');
}

/** What was learned, with published figures under ours, and what it cost. */
export function comparisonGrids({rows}: Comparison, experiment: Experiment): Grid[] {
  const {published = []} = experiment;
  const quality = toldBy(experiment).filter((name) => !COST.includes(name));
  const grid = (caption: string, names: readonly MeasureName[], theirs: readonly GridRow[]): Grid => ({
    caption: `${caption}: mean ± half of the 95 % interval over the seeds`,
    head: ['method', 'seeds', ...names.map(headOf)],
    rows: [
      ...rows.map(({label, seeds, estimates}) => ({
        cells: [label, String(seeds.length), ...names.map((name) => shown(estimates[name], measures[name].unit))],
      })),
      ...theirs,
    ],
  });
  const theirs = published.map((figures) => {
    const known: Partial<Record<MeasureName, number | undefined>> = figures;
    const cells = quality.map((name) => shownValue(known[name], measures[name].unit));
    return {cells: [publishedLabel(figures), NOTHING, ...cells], published: true};
  });
  return [grid('What was learned', quality, theirs), grid('What it cost', COST, [])];
}

/** What stands under the tables: what the results lack, and what is to be said of published figures. */
export function notesOf({lacking}: Comparison, {published = []}: Experiment): string[] {
  const notes = published.flatMap((figures) => (figures.note ? [`${publishedLabel(figures)}: ${figures.note}`] : []));
  return [...lacking, ...notes];
}

/** The verdicts on the claims, a row for each difference. */
export function findingsGrid(findings: readonly Finding[]): Grid {
  const rows = findings.flatMap(({claim, differences, lacking, verdict}) => {
    const {title, unit} = measures[claim.metric];
    const name = `${title} (${unit})`;
    if (verdict === undefined) {
      const others = [claim.than].flat().join(', ');
      const missing = `not measured: ${lacking.join('; ')}`;
      return [[claim.claim, name, `${claim.better} − ${others}`, NOTHING, NOTHING, NOTHING, '', missing]];
    }
    return differences.map(({than, seeds, difference, verdict: own}, i) => {
      return [
        i === 0 ? claim.claim : '',
        i === 0 ? name : '',
        `${claim.better} − ${than}`,
        shownValue(difference.mean, unit),
        shownEnds(difference, unit),
        String(seeds.length),
        own,
        i === 0 ? verdict : '',
      ];
    });
  });
  return {
    caption: 'Findings: paired differences over the seeds',
    head: ['claim', 'measure', 'difference of', 'mean', '95 % interval', 'seeds', 'difference is', 'verdict'],
    texts: [1, 2, 6, 7],
    rows: rows.map((cells) => ({cells})),
  };
}

/** Every setting that a search tried, and which it chose. */
export function selectionGrid({seeds, tasks, methods}: Selection): Grid {
  const rows = Object.entries(methods).flatMap(([label, {chosen, settings}]) =>
    settings.map(({method, averageAccuracy}, i) => {
      const isChosen = JSON.stringify(method) === JSON.stringify(chosen);
      const reached = shown(estimate(averageAccuracy), '%');
      return {cells: [i === 0 ? label : '', inWords(method, ['method']), reached, isChosen ? 'chosen' : '']};
    }),
  );
  const over = `mean ± half of the 95 % interval over the seeds ${seeds.join(', ')}`;
  return {
    caption: `Selection: every setting tried on the first ${tasks} tasks; ${over}`,
    head: ['method', 'setting', 'average accuracy (%)', ''],
    texts: [1, 3],
    rows,
  };
}

/** The tables as a Markdown document. */
export function comparisonMarkdown(
  comparison: Comparison,
  experiment: Experiment,
  findings: readonly Finding[],
): string {
  const notes = notesOf(comparison, experiment).map((note) => `- ${note}`);
  return [
    `# ${experiment.title}`,
    '',
    ...(experiment.about ? [experiment.about, ''] : []),
    ...comparisonGrids(comparison, experiment).map(markdownGrid),
    ...(notes.length > 0 ? [...notes, ''] : []),
    ...(findings.length > 0 ? [markdownGrid(findingsGrid(findings))] : []),
  ].join('\n');
}

/** The tables for a LaTeX document that uses the package booktabs. */
export function comparisonLatex(comparison: Comparison, experiment: Experiment, findings: readonly Finding[]): string {
  const notes = notesOf(comparison, experiment).map((note) => `% ${note.replace(/\s+/g, ' ')}\n`);
  const grids = comparisonGrids(comparison, experiment).map((grid) => ({
    ...grid,
    caption: `${experiment.title}. ${grid.caption}`,
  }));
  return [...notes, ...[...grids, ...(findings.length > 0 ? [findingsGrid(findings)] : [])].map(latexGrid)].join('\n');
}

/**
 * One row for each method and each published figure. For each measure: mean, lower and upper end of the 95 % interval,
 * and the number of seeds. Accuracies and points are fractions (0.9 is 90 %), times seconds, memory bytes.
 */
export function comparisonCsv({rows}: Comparison, experiment: Experiment): string {
  const {published = []} = experiment;
  const names = toldBy(experiment);
  const head = names.flatMap((name) => [name, `${name} low`, `${name} high`, `${name} seeds`]);
  const ours = rows.map(({label, estimates, runs}) => [
    label,
    '',
    ...names.flatMap((name) => {
      const {mean, interval} = estimates[name] ?? {};
      return [mean, interval?.low, interval?.high, runs.filter((run) => run[name] !== undefined).length];
    }),
  ]);
  const theirs = published.map((figures) => {
    const known: Partial<Record<MeasureName, number | undefined>> = figures;
    return [figures.label, figures.source, ...names.flatMap((name) => [known[name], undefined, undefined, undefined])];
  });
  return [['method', 'published in', ...head], ...ours, ...theirs].map((cells) => `${csvLine(cells)}\r\n`).join('');
}

/** `{kind: 'split', tasks: 5}` as `split, tasks 5`: for people, not to be read back. */
export function inWords(spec: Readonly<Record<string, unknown>>, without: readonly string[] = []): string {
  const words = Object.entries(spec).flatMap(([key, value]) => {
    if (value === undefined || without.includes(key)) return [];
    if (key === 'kind' || key === 'method') return [String(value)];
    return [`${key} ${typeof value === 'string' ? value : JSON.stringify(value)}`];
  });
  return words.join(', ');
}

const headOf = (name: MeasureName) => `${measures[name].title} (${measures[name].unit})`;

function shown(estimate: Estimate | undefined, unit: Measure['unit']): string {
  if (!estimate) return NOTHING;
  const {mean, interval} = estimate;
  const value = shownValue(mean, unit);
  // What a method holds mostly does not depend on the seed.
  if (unit === 'MB' && interval?.low === interval?.high) return value;
  return interval ? `${value} ± ${shownValue((interval.high - interval.low) / 2, unit)}` : value;
}

function shownEnds({interval}: Estimate, unit: Measure['unit']): string {
  return interval ? `${shownValue(interval.low, unit)} to ${shownValue(interval.high, unit)}` : NOTHING;
}

function shownValue(value: number | undefined, unit: Measure['unit']): string {
  if (value === undefined) return NOTHING;
  const digits = {
    '%': () => (100 * value).toFixed(1),
    points: () => (100 * value).toFixed(1),
    s: () => value.toFixed(1),
    MB: () => (value === 0 ? '0' : (value / 1e6).toPrecision(3)),
  }[unit]();
  return /^-[0.]+$/.test(digits) ? digits.slice(1) : digits.replace('-', '−');
}
