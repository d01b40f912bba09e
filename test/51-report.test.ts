/** Reports: the table says the numbers, the figures are well-formed SVG that shows every label, and stay small. */
import {execFile} from 'node:child_process';
import {inflateSync} from 'node:zlib';
import {expect, it} from 'vitest';
import {importancePlot} from '../dist/report/importance.js';
import {accuracyPlot} from '../dist/report/plots.js';
import {encodePng} from '../dist/report/png.js';
import {accuracyTable, summaryTable} from '../dist/report/table.js';
import {elementsOf} from './markup.js';

const results = [
  {
    label: 'fine-tuning',
    accuracy: [
      [0.95, 0.1],
      [0.25, 0.97],
    ],
    seconds: 1.25,
  },
  {
    label: 'MAS & friends',
    accuracy: [
      [0.95, 0.1],
      [0.9, 0.912],
    ],
    seconds: 2,
  },
];

it('the table gives each accuracy, the averages and the forgetting in percent', () => {
  const rows = accuracyTable(results).split('\n');
  const cells = (text: string) =>
    rows
      .filter((row) => row.includes(text))
      .map((row) =>
        row
          .split('│')
          .map((cell) => cell.trim())
          .slice(1, -1),
      );
  expect(cells('after')[0]).toEqual(['', 'after', 'task 1', 'task 2', 'average', 'forgetting']);
  expect(cells('fine-tuning')[0]).toEqual(['fine-tuning', 'task 1', '95.0', '', '95.0', '']);
  expect(cells('97.0')[0]).toEqual(['', 'task 2', '25.0', '97.0', '61.0', '70.0']);
  expect(cells('91.2')[0]).toEqual(['', 'task 2', '90.0', '91.2', '90.6', '5.0']);
  expect(cells('forgotten')[1]).toEqual(['', 'forgotten', '5.0', '', '', '']);
  expect(summaryTable(results)).toMatch(/fine-tuning\s+│\s+61\.0 % │\s+70\.0 points │\s+97\.0 % │\s+1\.3/);
});

it('the accuracy figure is well-formed and names methods, tasks and axes', async () => {
  const svg = await accuracyPlot(results, {title: 'Two tasks', subtitle: 'a < b', chance: 0.1});
  elementsOf(svg);
  for (const text of [
    'Two tasks',
    'a &lt; b',
    'fine-tuning',
    'MAS &amp; friends',
    'task 1',
    'task 2',
    'accuracy (%)',
  ]) {
    expect(svg).toContain(text);
  }
  expect(svg).toContain('chance');
});

it('the importance figure is well-formed, names every layer, and stays below 500 kB for a network of a million', async () => {
  const random = (size: number) => Float32Array.from({length: size}, (_, i) => Math.abs(Math.sin(i * 12.9898)) ** 8);
  const layers = [
    {name: 'hidden1', shape: [784, 1000], values: random(784000)},
    {name: 'convolution', shape: [3, 3, 32, 64], values: random(18432)},
    {name: 'head', shape: [1000, 10], values: random(10000)},
  ];
  const pixels = {height: 28, width: 28, after: [random(784), random(784)]};
  const svg = await importancePlot(layers, {title: 'Importance', subtitle: 'test', pixels});
  const images = elementsOf(svg).filter((name) => name === 'image');
  expect(images).toHaveLength(5);
  for (const text of ['Importance', 'hidden1', '784 × 1000', '288 × 64', 'head', 'after task 2', 'Ω']) {
    expect(svg).toContain(text);
  }
  expect(svg.length).toBeLessThan(500_000);
});

it('the importance figure survives importance that is zero everywhere', async () => {
  const layers = [{name: 'dead', shape: [4, 3], values: new Float32Array(12)}];
  const svg = await importancePlot(layers, {title: 'Nothing', subtitle: ''});
  elementsOf(svg);
  expect(svg).not.toMatch(/NaN|Infinity/);
});

it('a PNG has the colours it was given', () => {
  const palette = [
    [0, 0, 0],
    [255, 0, 16],
  ] as const;
  const png = encodePng(Uint8Array.from([0, 1, 1, 1, 0, 0]), 3, 2, palette);
  expect([png.readUInt32BE(16), png.readUInt32BE(20), png[24], png[25]]).toEqual([3, 2, 8, 3]);
  const data = png.indexOf('IDAT');
  const rows = inflateSync(png.subarray(data + 4, data + 4 + png.readUInt32BE(data - 4)));
  expect([...rows]).toEqual([0, 0, 1, 1, 0, 1, 0, 0]);
  const colours = png.indexOf('PLTE');
  expect([...png.subarray(colours + 4, colours + 10)]).toEqual(palette.flat());
});

it('the figures need no canvas, DOM or network: they are drawn in a bare Node process', async () => {
  const script = `
    import {accuracyPlot} from './dist/report/plots.js';
    globalThis.fetch = () => { throw new Error('network'); };
    const svg = await accuracyPlot(${JSON.stringify(results)}, {title: 't', subtitle: 's', chance: 0.1});
    console.log(svg.slice(0, 4));`;
  const {stdout, stderr} = await new Promise<{stdout: string; stderr: string}>((resolve, reject) => {
    execFile(process.execPath, ['--input-type=module', '-e', script], (error, stdout, stderr) =>
      error ? reject(error) : resolve({stdout, stderr}),
    );
  });
  expect([stdout.trim(), stderr]).toEqual(['<svg', '']);
});
