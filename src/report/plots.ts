/** The course of accuracy over a sequence of tasks as an SVG figure. */
import type {TopLevelSpec} from 'vega-lite';
import {averageAccuracy} from '../scenarios/metrics.js';
import {renderSvg} from './svg.js';
import type {MethodResult} from './table.js';

const PANEL = {width: 210, height: 220};
/** One colour per method, in the order in which they are given; chosen to differ in grey as well. */
const METHOD_COLORS = ['#9aa1ac', '#0b6bcb', '#d1495b', '#2e933c'];

export interface PlotTitles {
  title: string;
  /** Says what was learned and with what, so that the figure can stand alone. */
  subtitle: string;
  /** Accuracy of a guess, 0..1, drawn as a dashed line. */
  chance: number;
}

/**
 * One panel per method with a line for every task, from when it is learned to the end of the sequence, and a last panel
 * with the average over the tasks learned so far, the methods in one picture.
 *
 * @returns an SVG document
 */
export function accuracyPlot(results: readonly MethodResult[], {title, subtitle, chance}: PlotTitles): Promise<string> {
  const tasks = results[0].accuracy.length;
  const learned = Array.from({length: tasks}, (_, index) => index + 1);
  const x = {
    field: 'after',
    type: 'quantitative',
    title: 'tasks learned',
    scale: {domain: [1, Math.max(tasks, 2)], nice: false},
    axis: {values: learned, format: 'd', grid: false, labelFlush: false},
  } as const;
  const y = (title: string | null) =>
    ({
      field: 'accuracy',
      type: 'quantitative',
      title,
      scale: {domain: [0, 100]},
      axis: {values: [0, 20, 40, 60, 80, 100], domain: false, ticks: false, labelPadding: 9},
    }) as const;
  const guess = {
    data: {values: [{accuracy: 100 * chance}]},
    encoding: {y: y(null)},
    layer: [
      {mark: {type: 'rule', strokeDash: [3, 3], color: '#9aa1ac'}},
      {
        mark: {
          type: 'text',
          text: 'chance',
          align: 'left',
          baseline: 'top',
          x: 4,
          dy: 4,
          fontSize: 10,
          color: '#6b7280',
        },
      },
    ],
  } as const;
  const line = {type: 'line', strokeWidth: 2, point: {size: 36, filled: true}, clip: false} as const;
  const taskColor = {
    field: 'task',
    type: 'ordinal',
    title: 'test images of',
    scale: {scheme: 'viridis', reverse: true},
    legend: {symbolType: 'circle', symbolSize: 60},
  } as const;
  const methodColor = {
    field: 'method',
    type: 'nominal',
    title: null,
    scale: {domain: results.map(({label}) => label), range: METHOD_COLORS},
    legend: {symbolType: 'circle', symbolSize: 60},
  } as const;

  const perTask = results.map(({label, accuracy}, index) => ({
    ...PANEL,
    title: label,
    layer: [
      guess,
      {
        data: {
          values: accuracy.flatMap((row, after) =>
            row
              .slice(0, after + 1)
              .map((value, task) => ({after: after + 1, accuracy: 100 * value, task: `task ${task + 1}`})),
          ),
        },
        mark: line,
        encoding: {x, y: y(index === 0 ? 'accuracy (%)' : null), color: taskColor},
      },
    ],
  }));
  const averages = results.flatMap(({label, accuracy}) =>
    accuracy.map((_, after) => ({after: after + 1, accuracy: 100 * averageAccuracy(accuracy, after), method: label})),
  );
  const average = {
    ...PANEL,
    title: 'average of the tasks so far',
    layer: [guess, {data: {values: averages}, mark: line, encoding: {x, y: y(null), color: methodColor}}],
  };
  const spec = {
    title: {text: title, subtitle, fontSize: 15, offset: 18},
    hconcat: [{hconcat: perTask, spacing: 24}, average],
    spacing: 4,
    resolve: {scale: {color: 'independent'}},
  };
  return renderSvg(spec as unknown as TopLevelSpec);
}
