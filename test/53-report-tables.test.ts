/** The tables of an experiment: numbers computed on paper, every form escaped, claims decided, gaps told. */
import {describe, expect, it} from 'vitest';
import {type Claim, checkExperiment} from '../dist/experiments/file.js';
import {compare, measure} from '../dist/report/comparison.js';
import {decide} from '../dist/report/findings.js';
import {csvLine, escapeLatex, htmlGrid, latexGrid, markdownGrid} from '../dist/report/grid.js';
import {
  comparisonCsv,
  comparisonGrids,
  comparisonLatex,
  comparisonMarkdown,
  comparisonTable,
  findingsGrid,
  selectionGrid,
} from '../dist/report/tables.js';
import {elementsOf} from './markup.js';
import {experiment, HALF, lateRun, results, resultsOf} from './report-results.js';

const comparison = compare(results, experiment);
const MAS = 'MAS & "co", |λ|';

/** A reader of RFC 4180 that shares nothing with the writer. */
function parseCsv(text: string): string[][] {
  const rows: string[][] = [[]];
  const field = /("(?:[^"]|"")*"|[^,\r\n]*)(,|\r\n|$)/y;
  while (field.lastIndex < text.length) {
    const [, cell, end] = field.exec(text)!;
    rows.at(-1)!.push(cell.startsWith('"') ? cell.slice(1, -1).replaceAll('""', '"') : cell);
    if (end === '\r\n') rows.push([]);
  }
  return rows.slice(0, -1);
}

describe('the comparison', () => {
  it('has the methods in the order of the experiment, and their seeds in order', () => {
    expect(comparison.rows.map(({label}) => label)).toEqual(['fine-tuning', 'joint_{all}', MAS]);
    expect(comparison.rows.map(({seeds}) => seeds)).toEqual([
      [0, 1, 2],
      [0, 1, 2],
      [0, 1, 2],
    ]);
  });

  it('gives every measure as on paper', () => {
    const [tuned, joint] = comparison.rows.map(({estimates}) => estimates);
    const means = Object.fromEntries(Object.entries(tuned).map(([name, estimate]) => [name, estimate?.mean]));
    const paper = {
      averageAccuracy: (0.5 + 0.9) / 2,
      forgetting: 0.9 - 0.5,
      backwardTransfer: 0.5 - 0.9,
      forwardTransfer: 0.5 - 0.4,
      intransigence: (0.9 - 0.9 + (0.94 - 0.9)) / 2,
      learningAccuracy: 0.9,
      lastTask: 0.9,
      trainingSeconds: 2,
      methodSeconds: 0.25,
      bytes: 0,
    };
    const told = Object.keys(means).filter((name) => means[name] !== undefined);
    expect(told).toEqual(Object.keys(paper));
    for (const [name, value] of Object.entries(paper)) expect(means[name], name).toBeCloseTo(value, 12);
    expect(tuned.forgetting!.interval!.high - 0.4).toBeCloseTo(0.01 * HALF, 6);
    expect(tuned.averageAccuracy!.interval!.low - 0.7).toBeCloseTo(-0.005 * HALF, 6);
    // Joint training is the reference, and has none of its own.
    expect(joint.intransigence).toBeUndefined();
  });

  it('tells classes in focus from the others, each class weighing the same', () => {
    const [run] = resultsOf(0, 0);
    const classAccuracy = [
      [[1, 1, 1], []],
      [
        [0.9, 0.5, 0.1],
        [0.7, 0.3, 0.2],
      ],
    ];
    const {focusAccuracy, otherAccuracy} = measure({...run, classAccuracy}, undefined, [0]);
    expect(focusAccuracy).toBeCloseTo((0.9 + 0.7) / 2, 12);
    expect(otherAccuracy).toBeCloseTo((0.5 + 0.1 + 0.3 + 0.2) / 4, 12);
    const csv = (focus?: number[]) => comparisonCsv(comparison, {...experiment, ...(focus && {focus})});
    expect([csv(), csv([0])].map((text) => text.includes('focusAccuracy'))).toEqual([false, true]);
  });

  it('has the course of the average and the mean matrix', () => {
    const [{course, accuracy}] = comparison.rows;
    expect(course.map(({mean}) => mean)).toEqual([expect.closeTo(0.9), expect.closeTo(0.7)]);
    expect(accuracy.flat()).toEqual([0.9, 0.5, 0.5, 0.9].map((value) => expect.closeTo(value)));
  });

  it('says what the results lack', () => {
    expect(comparison.lacking).toEqual(['No finished run of late.']);
    const some = [...resultsOf(0, 0), ...resultsOf(1, 0).slice(0, 2), {...lateRun(7), backend: 'cpu'}];
    const stranger = {...lateRun(0), label: 'gone'};
    expect(compare([...some, stranger], experiment).lacking).toEqual([
      'fine-tuning: 2 of 3 seeds; no finished run of seed 2.',
      'joint_{all}: 1 of 3 seeds; no finished run of seed 1, 2.',
      `${MAS}: 2 of 3 seeds; no finished run of seed 2.`,
      'late: 0 of 3 seeds; no finished run of seed 0, 1, 2.',
      'One seed alone, hence no interval: joint_{all}; late.',
      `Intransigence lacks the seeds that joint training (joint_{all}) lacks: fine-tuning; ${MAS}; late.`,
      'Left out, for the experiment has no such method: gone.',
      'Runs on several backends: cpu, native; their times do not compare.',
    ]);
    const {'joint_{all}': _, ...methods} = experiment.methods;
    const without = compare(results, {...experiment, methods});
    expect(without.lacking).toContain('No method is joint training, hence no intransigence.');
    expect(without.rows.every(({estimates}) => estimates.intransigence === undefined)).toBe(true);
  });
});

describe('the tables', () => {
  const half = (points: number) => (points * HALF).toFixed(1);
  const rows = [
    ['fine-tuning', '3', `70.0 ± ${half(0.5)}`, `40.0 ± ${half(1)}`, `−40.0 ± ${half(1)}`, '10.0 ± 0.0'],
    ['joint_{all}', '3', '93.0 ± 0.0', '−2.0 ± 0.0', '2.0 ± 0.0', '10.0 ± 0.0', '–'],
    [MAS, '3', `80.0 ± ${half(0.5)}`, `10.0 ± ${half(1)}`, `−10.0 ± ${half(1)}`, '20.0 ± 0.0', '7.0 ± 0.0'],
    ['MAS (Aljundi et al. 2018, "table" 1)', '–', '87.5', '1.0', '–', '–', '–', '–', '–'],
  ];

  it('show percent and points with one digit, means with half of their interval', () => {
    const [quality, cost] = comparisonGrids(comparison, experiment);
    quality.rows.forEach(({cells}, i) => {
      expect(cells.slice(0, rows[i].length)).toEqual(rows[i]);
    });
    expect(quality.rows.map(({published}) => published ?? false)).toEqual([false, false, false, true]);
    expect(cost.rows.map(({cells}) => cells)).toEqual([
      ['fine-tuning', '3', `2.0 ± ${half(1)}`, '0.3 ± 0.0', '0'],
      ['joint_{all}', '3', '4.0 ± 0.0', '0.3 ± 0.0', '0'],
      [MAS, '3', '3.0 ± 0.0', '0.3 ± 0.0', '1.23'],
    ]);
  });

  it('are printed with what is lacking and the notes of published figures', () => {
    const text = comparisonTable(results, experiment);
    for (const row of rows) {
      const line = text.split('\n').find((line) => line.includes(`│ ${row[0]} `))!;
      const cells = line.split('│').map((cell) => cell.trim());
      expect(cells.slice(1, row.length + 1)).toEqual(row);
    }
    expect(text.split('\n').slice(-2)).toEqual([
      'No finished run of late.',
      'MAS (Aljundi et al. 2018, "table" 1): VGG_11',
    ]);
  });

  it('show a single seed without an interval', () => {
    const [quality] = comparisonGrids(compare(resultsOf(0, 0.01), experiment), experiment);
    expect(quality.rows[0].cells.slice(0, 4)).toEqual(['fine-tuning', '1', '70.5', '39.0']);
  });

  it('are Markdown with the same number of cells in every row', () => {
    const text = comparisonMarkdown(comparison, experiment, []);
    expect(text).toContain('# Two tasks & 100 % <hand-made>\n');
    const cellsOf = (line: string) => line.split(/(?<!\\)\|/).slice(1, -1);
    const table = text.split('\n').filter((line) => line.startsWith('|'));
    expect(table.slice(0, 6).map((line) => cellsOf(line).length)).toEqual(Array(6).fill(9));
    expect(table[4]).toContain('| MAS & "co", \\|λ\\| | 3 |');
    expect(table[5]).toMatch(/^\| \*MAS \(Aljundi et al\. 2018, "table" 1\)\* \| – \| 87\.5 \| 1\.0 \|/);
  });

  it('are LaTeX in which nothing of a label is a command', () => {
    const text = comparisonLatex(comparison, experiment, []);
    expect(text).toContain('\\caption{Two tasks \\& 100 \\% \\textless{}hand-made\\textgreater{}. What was learned');
    expect(text).toContain('    joint\\_\\{all\\} & 3 & 93.0 $\\pm$ 0.0 & $-$2.0 $\\pm$ 0.0 &');
    expect(text).toContain('    MAS \\& "co", \\textbar{}$\\lambda$\\textbar{} & 3 &');
    expect(text.split('\n').filter((line) => line.trim() === '\\midrule')).toHaveLength(3);
    for (const rule of ['\\toprule', '\\bottomrule', '\\begin{table}', '\\end{table}']) {
      expect(text.split(rule)).toHaveLength(3);
    }
    const cells = text.split('\n').filter((line) => /^ {4}\S.* \\\\$/.test(line) && !line.includes('rule'));
    expect(cells.slice(0, 5).map((line) => line.split(/(?<!\\)&/).length)).toEqual(Array(5).fill(9));
    expect(escapeLatex('\\ { } & % $ # _ ~ ^ [')).toBe(
      '\\textbackslash{} \\{ \\} \\& \\% \\$ \\# \\_ \\textasciitilde{} \\textasciicircum{} {[}',
    );
  });

  it('are CSV that can be read back, in full precision', () => {
    const [head, ...rows] = parseCsv(comparisonCsv(comparison, experiment));
    expect(rows.map((row) => row.length)).toEqual(Array(4).fill(head.length));
    expect(rows.map(([label, source]) => [label, source])).toEqual([
      ['fine-tuning', ''],
      ['joint_{all}', ''],
      [MAS, ''],
      ['MAS', 'Aljundi et al. 2018, "table" 1'],
    ]);
    const value = (row: number, name: string) => rows[row][head.indexOf(name)];
    const {forgetting} = comparison.rows[0].estimates;
    expect(Number(value(0, 'forgetting'))).toBe(forgetting!.mean);
    expect(Number(value(0, 'forgetting low'))).toBe(forgetting!.interval!.low);
    expect(Number(value(0, 'forgetting high'))).toBe(forgetting!.interval!.high);
    expect([value(0, 'forgetting seeds'), value(1, 'intransigence seeds'), value(1, 'intransigence')]).toEqual([
      '3',
      '0',
      '',
    ]);
    expect([value(3, 'averageAccuracy'), value(3, 'averageAccuracy low'), value(3, 'bytes')]).toEqual([
      '0.875',
      '',
      '',
    ]);
    expect(parseCsv(`${csvLine(['a"b', 'c,d', 'e\nf', '', 1.5, undefined])}\r\n`)).toEqual([
      ['a"b', 'c,d', 'e\nf', '', '1.5', ''],
    ]);
  });

  it('are HTML with scopes, well-formed whatever the labels are', () => {
    const [quality] = comparisonGrids(comparison, experiment);
    const html = htmlGrid(quality);
    const seen = elementsOf(html, 'table');
    expect(seen.filter((name) => name === 'tr')).toHaveLength(5);
    expect(html.match(/<th scope="col"/g)).toHaveLength(9);
    expect(html.match(/<th scope="row"/g)).toHaveLength(4);
    expect(html).toContain('<th scope="row">MAS &amp; &quot;co&quot;, |λ|</th>');
    expect(html).toContain('<tr class="published">');
  });

  it('of a selection show every setting and mark the one that was chosen', () => {
    const grid = selectionGrid({
      fingerprint: '',
      seeds: [8, 9],
      tasks: 1,
      methods: {
        MAS: {
          chosen: {method: 'mas', lambda: 2},
          settings: [
            {method: {method: 'mas', lambda: 1}, averageAccuracy: [0.5, 0.5]},
            {method: {method: 'mas', lambda: 2}, averageAccuracy: [0.75, 0.75]},
          ],
        },
      },
    });
    expect(grid.rows.map(({cells}) => cells)).toEqual([
      ['MAS', 'lambda 1', '50.0 ± 0.0', ''],
      ['', 'lambda 2', '75.0 ± 0.0', 'chosen'],
    ]);
    expect(grid.caption).toContain('the first 1 tasks');
  });
});

describe('findings', () => {
  const claim = (rest: Partial<Claim>): Claim => ({
    claim: 'so it is',
    metric: 'averageAccuracy',
    better: MAS,
    than: 'fine-tuning',
    direction: 'higher',
    ...rest,
  });
  const all = [...results, lateRun(0), lateRun(1), lateRun(2)];
  const decideOn = (runs: typeof results, ...claims: Claim[]) =>
    decide(compare(runs, experiment), {...experiment, findings: claims});
  const verdicts = (runs: typeof results, ...claims: Claim[]) => decideOn(runs, ...claims).map(({verdict}) => verdict);

  it('are decided by the paired difference: noise that both methods share does not count', () => {
    const [finding] = decideOn(results, claim({}));
    expect(finding.verdict).toBe('confirmed');
    const [{difference, seeds}] = finding.differences;
    expect([difference.mean, difference.interval!.low, difference.interval!.high]).toEqual([
      expect.closeTo(0.1, 9),
      expect.closeTo(0.1, 9),
      expect.closeTo(0.1, 9),
    ]);
    expect(seeds).toEqual([0, 1, 2]);
  });

  it('are confirmed, refuted or undecided by the side on which the interval lies', () => {
    // late has 0.5 after task 2, fine-tuning 0.49, 0.5, 0.51: a difference of 0 on average, and noise around it.
    expect(
      verdicts(
        all,
        claim({}),
        claim({better: 'fine-tuning', than: MAS}),
        claim({metric: 'forgetting', direction: 'lower'}),
        claim({metric: 'forgetting', direction: 'higher'}),
        claim({better: 'fine-tuning', than: 'late'}),
      ),
    ).toEqual(['confirmed', 'refuted', 'confirmed', 'refuted', 'undecided']);
  });

  it('show differences as they are, whichever direction is better', () => {
    const [{differences}] = decideOn(results, claim({metric: 'forgetting', direction: 'lower'}));
    expect(differences[0].difference.mean).toBeCloseTo(-0.3, 9);
  });

  it('leave ties undecided in both directions, also where sums differ in their last bit', () => {
    const tie = {metric: 'lastTask', better: 'fine-tuning', than: 'late'} as const;
    const bit = [0, 1, 2].map((seed) => lateRun(seed, 0.1 + 0.8 + 1e-16));
    for (const runs of [all, [...results, ...bit]]) {
      expect(verdicts(runs, claim(tie), claim({...tie, direction: 'lower'}))).toEqual(['undecided', 'undecided']);
    }
    expect(0.1 + 0.8 + 1e-16).not.toBe(0.9);
  });

  it('leave one seed undecided, and show its difference', () => {
    const one = {...experiment, seeds: [0]};
    const [finding] = decide(compare(resultsOf(0, 0), one), {...one, findings: [claim({})]});
    expect([finding.verdict, finding.differences[0].difference.interval]).toEqual(['undecided', undefined]);
    expect(findingsGrid([finding]).rows[0].cells.slice(3)).toEqual(['10.0', '–', '1', 'undecided', 'undecided']);
  });

  it('against several methods are as strong as the weakest difference, and show each', () => {
    const joint = claim({better: 'joint_{all}', than: ['fine-tuning', MAS, 'late']});
    const [best] = decideOn(all, joint);
    expect([best.verdict, best.differences.map(({than}) => than)]).toEqual(['confirmed', joint.than]);
    expect(
      verdicts(
        all,
        claim({better: 'fine-tuning', than: ['late', MAS]}),
        claim({better: MAS, than: ['fine-tuning', 'joint_{all}']}),
        claim({metric: 'lastTask', better: 'joint_{all}', than: [MAS, 'late']}),
        claim({metric: 'learningAccuracy', better: 'late', than: [MAS, 'fine-tuning']}),
      ),
    ).toEqual(['refuted', 'refuted', 'confirmed', 'undecided']);
    const rows = findingsGrid([best]).rows.map(({cells}) => cells);
    expect(rows.map((cells) => cells[2])).toEqual(['fine-tuning', MAS, 'late'].map((than) => `joint_{all} − ${than}`));
    expect(rows.map((cells) => cells[7])).toEqual(['confirmed', '', '']);
  });

  it('have no verdict where something was not measured', () => {
    const some = [...results, lateRun(1)];
    const [gone, partly, nothing] = decideOn(
      some,
      claim({than: ['fine-tuning', 'late']}),
      claim({better: 'late'}),
      claim({metric: 'intransigence', than: 'joint_{all}'}),
    );
    for (const finding of [gone, partly, nothing]) {
      expect([finding.verdict, finding.differences]).toEqual([undefined, []]);
    }
    const words = findingsGrid([gone, partly, nothing]).rows.map(({cells}) => cells[7]);
    expect(words).toEqual([
      'not measured: late on seed 0, 2',
      'not measured: late on seed 0, 2',
      'not measured: joint_{all}',
    ]);
    expect(decideOn(results, claim({better: 'late'}))[0].lacking).toEqual(['late']);
  });

  it('stand in Markdown and LaTeX', () => {
    const grid = findingsGrid(decideOn(results, claim({claim: 'a | b & c'})));
    expect(markdownGrid(grid)).toContain('| a \\| b & c | average accuracy (%) |');
    expect(latexGrid(grid)).toContain('    a \\textbar{} b \\& c & average accuracy (\\%) &');
  });

  it('must name methods that there are', () => {
    const refused = (field: string) =>
      expect.objectContaining({code: 'DATA_FILE', expected: expect.stringContaining(`"${field}"`)});
    const check = (findings: object[]) => () => checkExperiment({...experiment, findings}, 'some.json');
    expect(check([claim({})])()).toMatchObject({findings: [claim({})]});
    expect(check([claim({}), claim({better: 'nobody'})])).toThrow(refused('findings.1.better'));
    expect(check([claim({than: ['late', 'toString']})])).toThrow(refused('findings.0.than'));
    expect(check([claim({than: ['late', MAS]})])).toThrow(refused('findings.0.than'));
    expect(check([{...claim({}), metric: 'beauty'}])).toThrow(refused('findings.0.metric'));
    expect(check([{...claim({}), direction: 'up'}])).toThrow(refused('findings.0.direction'));
  });
});

it('published figures are fractions: percent is refused', () => {
  const published = [{label: 'MAS', source: 'somewhere', averageAccuracy: 87.5}];
  expect(() => checkExperiment({...experiment, published}, 'some.json')).toThrow(/published\.0\.averageAccuracy/);
});
