/** Figures and page of an experiment, and the command that writes them: readable, well-formed, and complete alone. */
import {execFile} from 'node:child_process';
import {mkdir, mkdtemp, readdir, readFile, rm, writeFile} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {fileURLToPath} from 'node:url';
import fc from 'fast-check';
import {afterAll, beforeAll, describe, expect, it} from 'vitest';
import type {Experiment} from '../dist/experiments/file.js';
import {runFolder, saveResult} from '../dist/experiments/store.js';
import {writeSafetensors} from '../dist/memory/safetensors.js';
import {compare} from '../dist/report/comparison.js';
import {averageAccuracyPlot, plasticityPlot} from '../dist/report/comparison-plots.js';
import {decide} from '../dist/report/findings.js';
import {layersOfState} from '../dist/report/layers.js';
import {matrixPlot} from '../dist/report/matrix-plot.js';
import {inlineSvg, reportPage} from '../dist/report/page.js';
import {methodStyles} from '../dist/report/palette.js';
import {placeLabels, spread, textWidth} from '../dist/report/place-labels.js';
import {elementsOf} from './markup.js';
import {experiment, lateRun, results} from './report-results.js';

const main = fileURLToPath(new URL('../dist/cli/main.js', import.meta.url));
const titles = {title: 'All & everything', subtitle: 'two tasks'};
const comparison = compare(results, experiment);

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'engram-'));
});
afterAll(() => rm(folder, {recursive: true, force: true}));

/** Texts of an SVG, in order. */
const textsOf = (svg: string) => [...svg.matchAll(/<text[^>]*>([^<]*)<\/text>/g)].map(([, text]) => text);

/** Fourteen methods that all do about the same. */
const many: Experiment = {
  ...experiment,
  methods: Object.fromEntries(Array.from({length: 14}, (_, i) => [`method ${i + 1}`, {method: 'fine-tuning'}])),
};
const manyResults = Object.keys(many.methods).flatMap((label, i) =>
  results
    .filter((run) => run.label === 'fine-tuning')
    .map((run) => ({
      ...run,
      label,
      accuracy: run.accuracy.map((row) => row.map((value) => value + 0.001 * i)),
    })),
);

describe('labels', () => {
  it('at the ends of lines stand apart, in order, and move no more than they must', () => {
    expect(spread([10, 50, 90], 14, 100)).toEqual([10, 50, 90]);
    expect(spread([50, 50, 50], 10, 100)).toEqual([40, 50, 60]);
    expect(spread([99, 98], 10, 100)).toEqual([100, 90]);
    fc.assert(
      fc.property(fc.array(fc.double({min: 0, max: 300, noNaN: true}), {maxLength: 20}), (positions) => {
        const moved = spread(positions, 14, 300);
        const order = positions.map((_, i) => i).sort((a, b) => positions[a] - positions[b] || a - b);
        order.forEach((i, rank) => {
          expect(moved[i]).toBeGreaterThanOrEqual(-1e-9);
          expect(moved[i]).toBeLessThanOrEqual(300 + 1e-9);
          if (rank > 0) expect(moved[i] - moved[order[rank - 1]]).toBeGreaterThanOrEqual(14 - 1e-9);
        });
      }),
    );
  });

  it('around fourteen crowded points cover neither points nor each other', () => {
    const points = Array.from({length: 14}, (_, i) => ({
      x: 150 + 40 * (i % 4),
      y: 120 + 30 * Math.floor(i / 4),
      label: `method ${i}`,
    }));
    const placed = placeLabels(points, {width: 520, height: 420, fontSize: 11});
    const boxes = placed.map(({x, y}, i) => ({x, y, width: textWidth(points[i].label, 11), height: 11}));
    const apart = (a: (typeof boxes)[0], b: (typeof boxes)[0]) =>
      Math.abs(a.x - b.x) >= (a.width + b.width) / 2 - 1e-9 || Math.abs(a.y - b.y) >= (a.height + b.height) / 2 - 1e-9;
    boxes.forEach((box, i) => {
      expect(boxes.slice(0, i).every((other) => apart(box, other))).toBe(true);
      expect(points.every(({x, y}) => apart(box, {x, y, width: 8, height: 8}))).toBe(true);
    });
  });
});

it('fourteen methods all look different', () => {
  const {colors, dashes, symbols} = methodStyles(14);
  expect(new Set(colors.map((color, i) => `${color} ${dashes[i]}`)).size).toBe(14);
  expect(new Set(colors.map((color, i) => `${color} ${symbols[i]}`)).size).toBe(14);
});

describe('figures', () => {
  it('of the average accuracy name every method, also fourteen, and the axes', async () => {
    for (const [all, from] of [
      [comparison, experiment],
      [compare(manyResults, many), many],
    ] as const) {
      const svg = await averageAccuracyPlot(all, titles);
      elementsOf(svg);
      expect(svg).not.toMatch(/NaN|Infinity|undefined/);
      const texts = textsOf(svg);
      expect(texts).toEqual(expect.arrayContaining(['All &amp; everything', 'tasks learned']));
      for (const {label} of all.rows) expect(texts).toContain(label.replace('&', '&amp;'));
      expect(all.rows.length).toBe(from === many ? 14 : 3);
      // One line a method. Each has a bar at both tasks, and a leader to its name.
      expect(svg.match(/aria-roledescription="line mark"/g)).toHaveLength(all.rows.length);
      expect(svg.match(/aria-roledescription="rule mark"/g)!.length).toBe(3 * all.rows.length);
    }
  });

  it('of forgetting and plasticity have a point with bars for every method', async () => {
    const svg = await plasticityPlot(comparison, titles);
    elementsOf(svg);
    expect(svg).not.toMatch(/NaN|Infinity|undefined/);
    for (const {label} of comparison.rows) expect(textsOf(svg)).toContain(label.replace('&', '&amp;'));
    expect(svg.match(/aria-roledescription="point"/g)).toHaveLength(3);
  });

  it('are drawn for one seed, one method and one task', async () => {
    const [run] = results;
    const alone = compare([{...run, accuracy: [[1]], initial: [0.5]}], experiment);
    for (const svg of [await averageAccuracyPlot(alone, titles), await plasticityPlot(alone, titles)]) {
      elementsOf(svg);
      expect(svg).not.toMatch(/NaN|Infinity|undefined/);
    }
  });

  it('of a matrix have a number in every learned cell, and leave the others empty', async () => {
    const svg = await matrixPlot(
      [
        [0.9, 0.5, 0.1],
        [0.456, 0.95, 0.2],
        [0.1234, 0.7, 1],
      ],
      {title: 'MAS', subtitle: 'seed 0'},
    );
    elementsOf(svg);
    const numbers = textsOf(svg).filter((text) => /^\d+\.\d$/.test(text));
    expect(numbers).toEqual(['90.0', '45.6', '95.0', '12.3', '70.0', '100.0']);
  });

  it('of a matrix of twenty tasks have whole numbers', async () => {
    const tasks = Array.from({length: 20}, (_, task) => task);
    const svg = await matrixPlot(
      tasks.map((after) => tasks.map((task) => (after + task) / 100)),
      titles,
    );
    expect(textsOf(svg).filter((text) => text === '38')).toHaveLength(1);
  });
});

it('the importance that a run left is read layer by layer, heads last, biases and anchors not', () => {
  const one = (shape: number[]) => ({shape, values: new Float32Array(shape.reduce((a, b) => a * b)).fill(1)});
  const tensors = new Map([
    ['importance.head1/kernel', one([3, 2])],
    ['importance.hidden10/kernel', one([3, 3])],
    ['importance.hidden2/kernel', one([4, 3])],
    ['importance.hidden2/bias', one([3])],
    ['anchor.hidden2/kernel', one([4, 3])],
  ]);
  const layers = layersOfState(writeSafetensors(tensors, new Map()));
  expect(layers.map(({name, shape}) => [name, shape])).toEqual([
    ['hidden2', [4, 3]],
    ['hidden10', [3, 3]],
    ['head1', [3, 2]],
  ]);
  expect(layers[0].values).toEqual(new Float32Array(12).fill(1));
});

describe('the page', () => {
  const claims: Experiment['findings'] = [
    {claim: 'MAS > fine-tuning', metric: 'averageAccuracy', better: 'fine-tuning', than: 'late', direction: 'higher'},
  ];
  const page = async () => {
    const svg = await matrixPlot([[0.5]], titles);
    const figure = {svg, alt: 'half "full"'};
    return reportPage({
      experiment,
      selection: undefined,
      results,
      comparison,
      findings: decide(comparison, {...experiment, findings: claims}),
      figures: [figure, figure],
      matrices: [figure],
      importance: [],
      command: 'engram run again.json --out a&b',
      versions: ['Engram 1', 'Node 2'],
      date: new Date(Date.UTC(2020, 1, 29)),
    });
  };

  it('is well-formed HTML that needs nothing from elsewhere', async () => {
    const html = await page();
    const seen = elementsOf(html, 'html');
    expect(seen.filter((name) => name === 'svg')).toHaveLength(3);
    expect(seen.filter((name) => ['script', 'link', 'img', 'iframe', 'object'].includes(name))).toEqual([]);
    // Addresses are only those of namespaces and of links that a reader may follow.
    const without = html.replace(/ xmlns(:\w+)?="[^"]*"/g, '').replace(/<a href="[^"]*">[^<]*<\/a>/g, '');
    expect(without).not.toMatch(/https?:|\/\/[a-z]|@import|url\((?!["']?#)/i);
    expect(html).toContain('<a href="https://example.org/about_us">https://example.org/about_us</a>.');
  });

  it('says what was learned, with what, what came of it and how to do it again', async () => {
    const html = await page();
    for (const text of [
      '<title>Two tasks &amp; 100 % &lt;hand-made&gt;</title>',
      '<h1>Two tasks &amp; 100 % &lt;hand-made&gt;</h1>',
      '<dd>permuted, data digits, tasks 2</dd>',
      '<dd>sgd, learningRate 0.1</dd>',
      '<td class="text">mas, lambda 2, importance from test samples</td>',
      'Findings',
      'MAS &gt; fine-tuning',
      'not measured: late',
      'No finished run of late.',
      'engram run again.json --out a&amp;b',
      'Engram 1, Node 2',
      '2020-02-29',
    ]) {
      expect(html).toContain(text);
    }
    expect(html).not.toContain('Selection');
  });

  it('can be heard: one first heading, sections with names, figures with texts, tables with captions', async () => {
    const html = await page();
    expect(html.match(/<h1>/g)).toHaveLength(1);
    expect(html).toContain('<html lang="en">');
    expect(html.match(/<figure role="img" aria-label="half &quot;full&quot;">/g)).toHaveLength(3);
    expect(html.match(/<caption>/g)!.length).toBe(html.match(/<table>/g)!.length);
    for (const [, id] of html.matchAll(/aria-labelledby="([^"]+)"/g)) expect(html).toContain(`<h2 id="${id}">`);
  });

  it('gives each figure ids of its own', async () => {
    const ids = [...(await page()).matchAll(/ id="([^"]+)"/g)].map(([, id]) => id);
    expect(new Set(ids).size).toBe(ids.length);
    const svg = '<?xml version="1.0"?><svg x="1"><g id="a" clip-path="url(#b)"/><use xlink:href="#a"/></svg>';
    expect(inlineSvg(svg, 'f1-')).toBe(
      '<svg aria-hidden="true" x="1"><g id="f1-a" clip-path="url(#f1-b)"/><use xlink:href="#f1-a"/></svg>',
    );
  });
});

describe('engram report', () => {
  const engram = (...args: string[]) =>
    new Promise<{code: number | null; stdout: string; stderr: string}>((resolve) => {
      const env = {...process.env, NO_COLOR: '1'};
      const child = execFile(process.execPath, [main, ...args], {cwd: folder, env}, (_, stdout, stderr) =>
        resolve({code: child.exitCode, stdout, stderr}),
      );
    });

  /** Writes results as a run does. */
  async function leave(name: string, runs: typeof results, of: Experiment): Promise<void> {
    await mkdir(join(folder, name), {recursive: true});
    await writeFile(join(folder, name, 'experiment.json'), JSON.stringify({fingerprint: '', experiment: of}));
    const held = new Map([
      ['importance.hidden1/kernel', {shape: [4, 3], values: Float32Array.from({length: 12}, (_, i) => i)}],
    ]);
    for (const run of runs) {
      const holds = run.label.startsWith('MAS') ? held : new Map();
      await saveResult(runFolder(join(folder, name), run.label, run.seed), run, holds);
    }
  }

  it('prints the tables and writes page, figures and tables', async () => {
    const findings: Experiment['findings'] = [
      {
        claim: 'MAS forgets less',
        metric: 'forgetting',
        better: 'MAS & "co", |λ|',
        than: 'fine-tuning',
        direction: 'lower',
      },
    ];
    await leave('runs', [...results, lateRun(0)], {...experiment, findings});
    const {code, stdout, stderr} = await engram('report', 'runs', '--out', 'pages');
    expect([code, stderr]).toEqual([0, '']);
    for (const text of ['fine-tuning', 'late: 1 of 3 seeds', 'MAS forgets less', 'confirmed', 'report.html']) {
      expect(stdout).toContain(text);
    }
    const files = await readdir(join(folder, 'pages'));
    const matrices = ['fine-tuning', 'joint-all', 'late', 'mas-co'].map((name) => `matrix-${name}.svg`);
    expect(files.sort()).toEqual(
      [
        'accuracy.svg',
        'again.json',
        'comparison.csv',
        'comparison.md',
        'comparison.tex',
        'findings.json',
        'importance-mas-co.svg',
        ...matrices,
        'plasticity.svg',
        'report.html',
        'results.json',
      ].sort(),
    );
    const read = (name: string) => readFile(join(folder, 'pages', name), 'utf8');
    for (const name of files.filter((name) => name.endsWith('.svg'))) elementsOf(await read(name));
    const html = await read('report.html');
    const seen = elementsOf(html, 'html');
    expect(seen.filter((name) => name === 'figure')).toHaveLength(7);
    expect(html).toContain('hidden1');
    expect(html).toContain('engram run again.json --backend native --out again');
    const raw = JSON.parse(await read('results.json')) as {label: string; seed: number}[];
    expect(raw.map(({label, seed}) => `${label} ${seed}`).sort()).toEqual(
      [...results, lateRun(0)].map(({label, seed}) => `${label} ${seed}`).sort(),
    );
    expect(JSON.parse(await read('findings.json'))[0].verdict).toBe('confirmed');
    expect(JSON.parse(await read('again.json'))).toEqual({...experiment, findings});
  });

  it('writes beside the results if no other folder is named, and may be called again', async () => {
    await leave('alone', results.slice(0, 1), experiment);
    expect((await engram('report', 'alone')).code).toBe(0);
    expect((await engram('report', 'alone')).code).toBe(0);
    expect(await readdir(join(folder, 'alone', 'report'))).toContain('report.html');
  });

  it('names the folder that has no finished run', async () => {
    await leave('begun', [], experiment);
    await leave('strange', [{...lateRun(0), label: 'gone'}], experiment);
    await mkdir(join(folder, 'empty'));
    for (const [name, got] of [
      ['nowhere', 'no such folder'],
      ['empty', 'no experiment.json'],
      ['begun', 'none'],
      ['strange', 'runs of gone'],
    ]) {
      const {code, stdout, stderr} = await engram('report', name);
      expect([code, stdout]).toEqual([1, '']);
      expect(stderr).toMatch(new RegExp(`error +DATA_FILE\nexpected +${name} to hold a finished run.*\ngot +${got}`));
      expect(stderr).toContain('remedy');
    }
  });

  it('refuses a damaged experiment.json', async () => {
    await mkdir(join(folder, 'damaged'));
    await writeFile(join(folder, 'damaged', 'experiment.json'), '{"experiment": {"title": 1}}');
    const {code, stderr} = await engram('report', 'damaged');
    expect([code, stderr]).toEqual([1, expect.stringContaining('"title"')]);
  });
});
