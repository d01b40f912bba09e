/** The importance of every weight as an SVG figure: a heat map per layer, and the input pixels as pictures. */
import {scheme} from 'vega';
import type {TopLevelSpec} from 'vega-lite';
import {encodePng} from './png.js';
import {renderSvg} from './svg.js';

/** Omega of one weight. */
export interface LayerImportance {
  readonly name: string;
  /** The last axis is the fan-out; all others together are the fan-in. */
  readonly shape: readonly number[];
  readonly values: Float32Array;
}

/** Importance of the input pixels: Omega of the first layer summed over its units. */
export interface PixelImportance {
  readonly height: number;
  readonly width: number;
  /** One picture `[height, width]` for each task learned. */
  readonly after: readonly Float32Array[];
}

/** Larger maps are averaged in blocks, so that the figure stays small in bytes. */
const MAX_CELLS = 256;
const MAP_HEIGHT = 230;
const PICTURE = 92;
/** The colour scale spans this many powers of ten below the largest value. */
const DECADES = 3;
const COLORS = 'magma';

interface Grid {
  readonly rows: number;
  readonly columns: number;
  readonly values: Float32Array;
}

/**
 * Draws Omega on a log scale with a colour bar: for each layer a map of fan-in (down) by fan-out (across), all layers on
 * one scale; above them, if given, the input pixels after each task on a scale of their own. Zero is the darkest colour.
 *
 * @returns an SVG document; the maps are PNG images inside it
 */
export function importancePlot(
  layers: readonly LayerImportance[],
  {title, subtitle, pixels}: {title: string; subtitle: string; pixels?: PixelImportance},
): Promise<string> {
  const grids = layers.map(({shape, values}) => {
    const columns = shape.at(-1) ?? 1;
    return {rows: values.length / columns, columns, values};
  });
  const largest = largestOf(grids);
  const maps = layers.map(({name}, index) => {
    const grid = grids[index];
    const narrow = grid.columns < MAP_HEIGHT / 8;
    const width = narrow ? Math.max(48, 6 * grid.columns) : MAP_HEIGHT;
    return {
      title: {text: name, subtitle: `${grid.rows} × ${grid.columns}`, fontSize: 12, offset: 6, frame: 'group'},
      ...heatMap(grid, {width, height: MAP_HEIGHT, largest}),
      encoding: axes(grid, index === 0, narrow ? [0, grid.columns] : undefined),
    };
  });
  const rows: object[] = [];
  if (pixels) {
    const pictures = pixels.after.map((values) => ({rows: pixels.height, columns: pixels.width, values}));
    const brightest = largestOf(pictures);
    const views = pictures.map((picture, task) => ({
      title: {text: `after task ${task + 1}`, fontSize: 11, fontWeight: 400, offset: 4, anchor: 'middle'},
      ...heatMap(picture, {width: PICTURE, height: PICTURE, largest: brightest}),
      encoding: {x: {value: PICTURE / 2}, y: {value: PICTURE / 2}},
    }));
    const bar = colorBar(brightest, PICTURE);
    rows.push({
      title: {text: 'Input pixels: Ω of the first layer, summed over its units', fontSize: 12, frame: 'group'},
      align: 'none',
      spacing: 14,
      hconcat: [...views, bar],
    });
  }
  rows.push({
    title: {text: 'Weights: Ω at the end, inputs down, units across', fontSize: 12, frame: 'group'},
    align: 'none',
    spacing: 28,
    hconcat: [...maps, colorBar(largest, MAP_HEIGHT)],
  });
  const spec = {
    title: {text: title, subtitle, fontSize: 15, offset: 18},
    spacing: 30,
    align: 'none',
    vconcat: rows,
    resolve: {scale: {color: 'independent'}, legend: {color: 'independent'}},
  };
  return renderSvg(spec as unknown as TopLevelSpec);
}

/** One image mark that fills its panel; the tooltip-free static form of a heat map. */
function heatMap(grid: Grid, {width, height, largest}: {width: number; height: number; largest: number}): object {
  const small = averaged(grid);
  const palette = colors();
  const floor = Math.log10(largest) - DECADES;
  const indices = Uint8Array.from(small.values, (value) => {
    const decades = value > 0 ? Math.log10(value) - floor : 0;
    return Math.round((255 * Math.min(Math.max(decades, 0), DECADES)) / DECADES);
  });
  const png = encodePng(indices, small.columns, small.rows, palette);
  return {
    width,
    height,
    data: {values: [{x: grid.columns / 2, y: grid.rows / 2}]},
    mark: {
      type: 'image',
      url: `data:image/png;base64,${png.toString('base64')}`,
      width,
      height,
      aspect: false,
      smooth: false,
    },
  };
}

/** Axes that count inputs from the top and units from the left. */
function axes(grid: Grid, titled: boolean, ends: number[] | undefined): object {
  const axis = {grid: false, domain: false, tickCount: 4, format: 'd', labelFlush: false};
  const scale = (size: number) => ({domain: [0, size], nice: false});
  return {
    x: {
      field: 'x',
      type: 'quantitative',
      title: 'units',
      scale: scale(grid.columns),
      axis: ends ? {...axis, values: ends} : axis,
    },
    y: {
      field: 'y',
      type: 'quantitative',
      title: titled ? 'inputs' : null,
      scale: {...scale(grid.rows), reverse: true},
      axis,
    },
  };
}

/** An empty panel that carries the legend of the colours. */
function colorBar(largest: number, height: number): object {
  return {
    width: 1,
    height,
    data: {values: [{omega: largest}]},
    mark: {type: 'point', opacity: 0},
    encoding: {
      color: {
        field: 'omega',
        type: 'quantitative',
        scale: {type: 'log', scheme: COLORS, domain: [largest / 10 ** DECADES, largest]},
        legend: {title: 'Ω', gradientLength: height - 20, format: '~g', tickCount: DECADES + 1, offset: 0},
      },
    },
  };
}

/** The mean of equal blocks where a side is longer than {@link MAX_CELLS}. */
function averaged({rows, columns, values}: Grid): Grid {
  const tall = Math.ceil(rows / MAX_CELLS);
  const wide = Math.ceil(columns / MAX_CELLS);
  if (tall === 1 && wide === 1) return {rows, columns, values};
  const [height, width] = [Math.ceil(rows / tall), Math.ceil(columns / wide)];
  const sums = new Float32Array(height * width);
  const counts = new Float32Array(height * width);
  values.forEach((value, i) => {
    const cell = Math.floor(Math.floor(i / columns) / tall) * width + Math.floor((i % columns) / wide);
    sums[cell] += value;
    counts[cell]++;
  });
  return {rows: height, columns: width, values: sums.map((sum, cell) => sum / counts[cell])};
}

/** The largest value of all; 1 if everything is 0, so that the scale exists. */
function largestOf(grids: readonly Grid[]): number {
  let largest = 0;
  for (const {values} of grids) for (const value of values) if (value > largest) largest = value;
  return largest || 1;
}

/** 256 steps of the colour scheme that the colour bar shows. */
function colors(): [number, number, number][] {
  const interpolate = scheme(COLORS) as (t: number) => string;
  return Array.from({length: 256}, (_, i) => {
    const [red, green, blue] = (interpolate(i / 255).match(/\d+/g) ?? []).map(Number);
    return [red, green, blue];
  });
}
