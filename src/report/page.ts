/** The report of an experiment as one HTML page that needs nothing beside it: no script, no other file, no network. */
import type {Selection} from '../experiments/experiment.js';
import type {Experiment} from '../experiments/file.js';
import type {RunResult} from '../experiments/store.js';
import type {Comparison} from './comparison.js';
import type {Finding} from './findings.js';
import {escapeHtml, htmlGrid} from './grid.js';
import {STYLE} from './page-style.js';
import {comparisonGrids, findingsGrid, inWords, notesOf, selectionGrid} from './tables.js';

/** A figure of the page. */
export interface PageFigure {
  /** An SVG document. */
  readonly svg: string;
  /** Says what is to be seen, for those who do not see it. */
  readonly alt: string;
}

/** All that the page shows. */
export interface PageContents {
  readonly experiment: Experiment;
  readonly selection: Selection | undefined;
  readonly results: readonly RunResult[];
  readonly comparison: Comparison;
  readonly findings: readonly Finding[];
  /** All methods in one picture each. */
  readonly figures: readonly PageFigure[];
  /** One for each method. */
  readonly matrices: readonly PageFigure[];
  /** One for each method that holds importance. */
  readonly importance: readonly PageFigure[];
  /** The command that makes the results again. */
  readonly command: string;
  /** Programs and their versions, when the page was made. */
  readonly versions: readonly string[];
  readonly date: Date;
}

/** The page as a complete HTML document. */
export function reportPage(contents: PageContents): string {
  const {experiment, selection, comparison, findings, figures, matrices, importance, command} = contents;
  const notes = notesOf(comparison, experiment);
  let count = 0;
  const draw = (figure: PageFigure) =>
    `<figure role="img" aria-label="${escapeHtml(figure.alt)}">${inlineSvg(figure.svg, `f${++count}-`)}</figure>`;
  const gallery = (all: readonly PageFigure[]) => `<div class="gallery">\n${all.map(draw).join('\n')}\n</div>`;
  const sections = [
    section('Configuration', configuration(contents)),
    section('Comparison', [
      ...comparisonGrids(comparison, experiment).map(table),
      ...(notes.length > 0
        ? [`<ul class="notes">${notes.map((note) => `<li>${linked(note)}</li>`).join('')}</ul>`]
        : []),
    ]),
    ...(findings.length > 0
      ? [section('Findings', [table(findingsGrid(findings)), `<p class="notes">${VERDICTS}</p>`])]
      : []),
    section('Figures', figures.map(draw)),
    section('Accuracy after every task', [gallery(matrices)]),
    ...(importance.length > 0 ? [section('Importance', [gallery(importance)])] : []),
    ...(selection ? [section('Selection of settings', [table(selectionGrid(selection))])] : []),
    section('Run it again', [
      '<p>In the folder where this page was written, with the experiment and the settings that were chosen:</p>',
      `<pre><code>${escapeHtml(command)}</code></pre>`,
    ]),
  ];
  return `<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escapeHtml(experiment.title)}</title>
<style>
${STYLE}</style>
</head>
<body>
<main>
<header>
<h1>${escapeHtml(experiment.title)}</h1>
${experiment.about ? `<p class="about">${linked(experiment.about)}</p>` : ''}
</header>
${sections.join('\n')}
</main>
<footer>
<p>${escapeHtml(contents.versions.join(', '))}; <time datetime="${contents.date.toISOString()}">${contents.date.toISOString().slice(0, 10)}</time></p>
</footer>
</body>
</html>
`;
}

const VERDICTS =
  'Confirmed: the 95 % interval of the difference lies wholly on the claimed side of 0. Refuted: wholly on the other. ' +
  'A claim against several methods is as strong as its weakest difference.';

function section(title: string, parts: readonly string[]): string {
  const id = title.toLowerCase().replace(/\W+/g, '-');
  return `<section aria-labelledby="${id}">\n<h2 id="${id}">${title}</h2>\n${parts.join('\n')}\n</section>`;
}

/** A wide table is scrolled alone, not the page; by keyboard too. */
function table(grid: Parameters<typeof htmlGrid>[0]): string {
  return `<div class="wide" role="region" aria-label="${escapeHtml(grid.caption)}" tabindex="0">${htmlGrid(grid)}</div>`;
}

/** What was learned, and each method with the options that it ran with. */
function configuration({experiment, results, comparison}: PageContents): string[] {
  const {sequence, network, training} = experiment;
  const {optimizer, batchSize, epochs} = training;
  const backends = [...new Set(results.map(({backend}) => backend))].sort();
  const seeds = [...new Set(results.map(({seed}) => seed))].sort((a, b) => a - b);
  const facts = {
    sequence: inWords(sequence),
    network: inWords(network),
    optimizer: inWords(optimizer),
    training: `batches of ${batchSize}, epochs a task: ${epochs}`,
    seeds: seeds.join(', '),
    backend: backends.join(', '),
  };
  const list = Object.entries(facts).map(([name, fact]) => `<dt>${name}</dt><dd>${escapeHtml(fact)}</dd>`);
  const methods = comparison.rows.map(({label}) => {
    const {importanceFrom} = experiment.methods[label];
    const ran = [...new Set(results.filter((run) => run.label === label).map(({method}) => inWords(method)))];
    return {cells: [label, ran.join(' / ') + (importanceFrom ? `, importance from ${importanceFrom} samples` : '')]};
  });
  const grid = {caption: 'Methods, with the options that they ran with', head: ['method', 'options'], texts: [1]};
  return [`<dl>${list.join('')}</dl>`, table({...grid, rows: methods})];
}

/**
 * An SVG document as a part of a page: its ids, which may be those of the next figure too, get a prefix; its size
 * follows the page; and those who hear the page hear the text of the figure alone.
 */
export function inlineSvg(svg: string, prefix: string): string {
  return svg
    .replace(/^[\s\S]*?(?=<svg)/, '')
    .replace('<svg ', '<svg aria-hidden="true" ')
    .replace(/ id="([^"]+)"/g, ` id="${prefix}$1"`)
    .replace(/url\((["']?)#/g, `url($1#${prefix}`)
    .replace(/( (?:xlink:)?href)="#/g, `$1="#${prefix}`);
}

/** Escaped text, its web addresses as links. */
function linked(text: string): string {
  return escapeHtml(text).replace(
    /https?:\/\/[^\s<>&;,]*[^\s<>&;,.)]/g,
    (address) => `<a href="${address}">${address}</a>`,
  );
}
