/** All methods of an experiment in one picture: accuracy along the tasks, and forgetting against plasticity. */
import type {TopLevelSpec} from 'vega-lite';
import type {Estimate} from '../scenarios/intervals.js';
import type {Comparison} from './comparison.js';
import {methodStyles} from './palette.js';
import {placeLabels, spread} from './place-labels.js';
import {renderSvg} from './svg.js';

/** What stands above a figure. */
export interface FigureTitles {
  readonly title: string;
  /** Says what was learned and over how many seeds, so that the figure can stand alone. */
  readonly subtitle: string;
}

const LINES = {width: 560, height: 360};
const SCATTER = {width: 520, height: 420};
const LABEL = 11;
/** Leaders of labels beside the panel. */
const LEADER = 20;
const INK = '#1f2430';

/** A place of a panel in pixels, from its left upper corner. */
interface Place {
  readonly x: number;
  readonly y: number;
}

/** Ends of an interval; those of a single seed are its mean. */
const ends = ({mean, interval}: Estimate) => (interval ? [interval.low, interval.high] : [mean, mean]);

/**
 * Average accuracy over the tasks learned so far, one line for each method, from the first task to the last; bars are
 * the 95 % intervals over seeds. Names stand at the ends of the lines. Methods are set apart sideways, so that their bars
 * can be seen.
 *
 * @returns an SVG document
 */
export function averageAccuracyPlot({rows}: Comparison, {title, subtitle}: FigureTitles): Promise<string> {
  const tasks = Math.max(...rows.map(({course}) => course.length));
  const aside = (method: number) => (tasks > 1 ? 0.4 * ((method + 0.5) / rows.length - 0.5) : 0);
  const values = rows.flatMap(({label, course}, method) =>
    course.map((estimate, task) => {
      const [low, high] = ends(estimate).map((end) => 100 * Math.min(Math.max(end, 0), 1));
      return {method: label, after: task + 1 + aside(method), accuracy: 100 * estimate.mean, low, high};
    }),
  );
  const domain = [
    Math.max(0, 10 * Math.floor(Math.min(...values.map(({low}) => low)) / 10)),
    Math.min(100, 10 * Math.ceil(Math.max(...values.map(({high}) => high)) / 10)),
  ];
  if (domain[0] === domain[1]) domain[0] = Math.max(0, domain[0] - 10);
  if (domain[0] === domain[1]) domain[1] += 10;
  const up = (accuracy: number) => (LINES.height * (domain[1] - accuracy)) / (domain[1] - domain[0]);
  const last = rows.map(({label}) => values.filter(({method}) => method === label).at(-1)!);
  const heights = spread(
    last.map(({accuracy}) => up(accuracy)),
    LABEL + 3,
    LINES.height,
  );
  const x = {
    field: 'after',
    type: 'quantitative',
    title: 'tasks learned',
    scale: {domain: [0.75, tasks + 0.25], nice: false},
    axis: {values: Array.from({length: tasks}, (_, task) => task + 1), format: 'd', grid: false},
  } as const;
  const y = {
    field: 'accuracy',
    type: 'quantitative',
    title: 'average accuracy on the tasks so far (%)',
    scale: {domain, nice: false},
    axis: {domain: false, ticks: false, labelPadding: 9, tickCount: 6},
  } as const;
  const {color, strokeDash, shape} = encodingsOf(rows.map(({label}) => label));
  const across = (after: number) => (LINES.width * (after - 0.75)) / (tasks - 0.5);
  const spec = {
    ...LINES,
    title: {text: title, subtitle, fontSize: 15, offset: 18},
    data: {values},
    layer: [
      {
        mark: {type: 'rule', strokeWidth: 1, opacity: 0.55},
        encoding: {x, y: {...y, field: 'low'}, y2: {field: 'high'}, color},
      },
      {mark: {type: 'line', strokeWidth: 1.8}, encoding: {x, y, color, strokeDash}},
      {mark: {type: 'point', filled: true, size: 34, opacity: 1}, encoding: {x, y, color, shape}},
      ...last.flatMap(({method, after, accuracy}, i) => {
        const key = {x: LINES.width + LEADER, y: heights[i]};
        return [
          leaderOf(method, {x: across(after) + 5, y: up(accuracy)}, key, color),
          {
            data: {values: [{method}]},
            mark: {type: 'point', filled: true, size: 34, opacity: 1},
            encoding: {x: {value: key.x}, y: {value: key.y}, color, shape},
          },
          text(method, {x: key.x + 8, y: key.y}, 'left'),
        ];
      }),
    ],
  };
  return renderSvg(spec as unknown as TopLevelSpec);
}

/**
 * Forgetting (across) against learning accuracy (up), a point for each method; bars are the 95 % intervals over seeds. The
 * best place is the left upper corner. Bars end at the frame where the panel is too small for them.
 *
 * @returns an SVG document
 */
export function plasticityPlot({rows}: Comparison, {title, subtitle}: FigureTitles): Promise<string> {
  const points = rows.flatMap(({label, estimates: {forgetting, learningAccuracy}}) =>
    forgetting && learningAccuracy ? [{method: label, across: forgetting, up: learningAccuracy}] : [],
  );
  const [left, right] = domainOf(points.map((point) => point.across));
  const [bottom, top] = domainOf(points.map((point) => point.up));
  const clamp = (value: number, low: number, high: number) => Math.min(Math.max(value, low), high);
  const values = points.map(({method, ...at}) => {
    const [least, most] = ends(at.across).map((end) => clamp(100 * end, left, right));
    const [low, high] = ends(at.up).map((end) => clamp(100 * end, bottom, top));
    return {method, forgetting: 100 * at.across.mean, learned: 100 * at.up.mean, least, most, low, high};
  });
  const across = (value: number) => (SCATTER.width * (value - left)) / (right - left);
  const up = (value: number) => (SCATTER.height * (top - value)) / (top - bottom);
  const spots = values.map(({method, forgetting, learned, least, most, low, high}) => ({
    label: method,
    x: across(forgetting),
    y: up(learned),
    bars: {left: across(least), right: across(most), top: up(high), bottom: up(low)},
  }));
  const labels = placeLabels(spots, {...SCATTER, fontSize: LABEL});
  const axis = {domain: false, ticks: false, labelPadding: 9, tickCount: 6};
  const x = {
    field: 'forgetting',
    type: 'quantitative',
    title: 'forgetting (points): less is better',
    scale: {domain: [left, right], nice: false, zero: false},
    axis,
  } as const;
  const y = {
    field: 'learned',
    type: 'quantitative',
    title: 'learning accuracy (%): more is better',
    scale: {domain: [bottom, top], nice: false, zero: false},
    axis,
  } as const;
  const {color, shape} = encodingsOf(rows.map(({label}) => label));
  const bar = {type: 'rule', strokeWidth: 1, opacity: 0.55};
  const spec = {
    ...SCATTER,
    title: {text: title, subtitle, fontSize: 15, offset: 18},
    data: {values},
    layer: [
      {mark: bar, encoding: {x: {...x, field: 'least'}, x2: {field: 'most'}, y, color}},
      {mark: bar, encoding: {x, y: {...y, field: 'low'}, y2: {field: 'high'}, color}},
      {mark: {type: 'point', filled: true, size: 70, opacity: 1}, encoding: {x, y, color, shape}},
      ...labels.flatMap(({leader, ...at}, i) => [
        ...(leader ? [leaderOf(spots[i].label, leader, spots[i], color)] : []),
        text(spots[i].label, at, 'center'),
      ]),
    ],
  };
  return renderSvg(spec as unknown as TopLevelSpec);
}

/** Colour, dashes and symbols by method. Names stand beside what is drawn, so there are no legends. */
function encodingsOf(labels: readonly string[]) {
  const styles = methodStyles(labels.length);
  const by = (range: readonly unknown[]) => ({
    field: 'method',
    type: 'nominal',
    scale: {domain: labels, range},
    legend: null,
  });
  return {color: by(styles.colors), strokeDash: by(styles.dashes), shape: by(styles.symbols)};
}

/** A domain around all means in percent, with room for bars that are not much longer than the means are apart. */
function domainOf(estimates: readonly Estimate[]): [number, number] {
  const means = estimates.map(({mean}) => 100 * mean);
  const [least, most] = [Math.min(...means), Math.max(...means)];
  const room = Math.max(2, 0.35 * (most - least));
  const all = estimates.flatMap(ends).map((end) => 100 * end);
  const pad = 0.06 * (most - least + room);
  return [Math.max(Math.min(...all), least - room) - pad, Math.min(Math.max(...all), most + room) + pad];
}

/** A thin line between two places of the panel, in pixels, in the colour of a method. */
function leaderOf(method: string, from: Place, to: Place, color: object): object {
  return {
    data: {values: [{method}]},
    mark: {type: 'rule', strokeWidth: 0.8, opacity: 0.7},
    encoding: {x: {value: from.x}, y: {value: from.y}, x2: {value: to.x}, y2: {value: to.y}, color},
  };
}

/** A text at a place of the panel, in pixels. */
function text(text: string, {x, y}: Place, align: 'left' | 'center'): object {
  return {
    data: {values: [{}]},
    mark: {type: 'text', text, align, baseline: 'middle', fontSize: LABEL, color: INK},
    encoding: {x: {value: x}, y: {value: y}},
  };
}
