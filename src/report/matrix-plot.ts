/** The accuracy matrix of a method as an SVG figure: what of each task was known after each task. */
import type {TopLevelSpec} from 'vega-lite';
import type {FigureTitles} from './comparison-plots.js';
import {renderSvg} from './svg.js';

/** Cells shrink with the number of tasks, down to the least that two digits fit into. */
const SIDE = {most: 44, least: 24, all: 300};
/** White digits above this accuracy (%), where the cells are dark. */
const DARK = 60;

/**
 * A heat map with the accuracy (%) in every cell: a row for each task learned, from the top; a column for each task
 * tested. Tasks not yet learned stay empty.
 *
 * @param accuracy `[learned][task]`, fractions
 * @returns an SVG document
 */
export function matrixPlot(accuracy: readonly (readonly number[])[], {title, subtitle}: FigureTitles): Promise<string> {
  const tasks = accuracy.length;
  const side = Math.max(SIDE.least, Math.min(SIDE.most, SIDE.all / tasks));
  const digits = side < 32 ? 0 : 1;
  const values = accuracy.flatMap((row, learned) =>
    row.slice(0, learned + 1).map((value, task) => ({
      learned: learned + 1,
      task: task + 1,
      accuracy: 100 * value,
      text: (100 * value).toFixed(digits),
    })),
  );
  const order = Array.from({length: tasks}, (_, task) => task + 1);
  const axis = {domain: false, ticks: false, labelAngle: 0, labelPadding: 6};
  const scale = {domain: order, paddingInner: 0.06, paddingOuter: 0};
  const spec = {
    width: side * tasks,
    height: side * tasks,
    title: {text: title, subtitle, fontSize: 13, offset: 12},
    data: {values},
    encoding: {
      x: {field: 'task', type: 'ordinal', title: 'accuracy (%) on task', scale, axis: {...axis, orient: 'bottom'}},
      y: {field: 'learned', type: 'ordinal', title: 'after task', scale, axis},
    },
    layer: [
      {
        mark: 'rect',
        encoding: {
          color: {
            field: 'accuracy',
            type: 'quantitative',
            scale: {scheme: 'blues', domain: [0, 100]},
            legend: null,
          },
        },
      },
      {
        mark: {type: 'text', fontSize: digits ? 11 : 10},
        encoding: {
          text: {field: 'text'},
          color: {condition: {test: `datum.accuracy > ${DARK}`, value: '#ffffff'}, value: '#1f2430'},
        },
      },
    ],
  };
  return renderSvg(spec as unknown as TopLevelSpec);
}
