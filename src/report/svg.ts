/** Turns a Vega-Lite specification into an SVG string without a browser, in the one style of all of Engram's figures. */
import {parse, Error as VegaErrorLevel, View} from 'vega';
import {compile, type TopLevelSpec} from 'vega-lite';

const FONT = 'Inter, Helvetica, Arial, sans-serif';
const INK = '#1f2430';
const SOFT = '#6b7280';

/** Ink, fonts and axes of every figure. */
const config = {
  background: '#ffffff',
  font: FONT,
  padding: 16,
  view: {stroke: null},
  title: {
    anchor: 'start',
    color: INK,
    fontSize: 13,
    fontWeight: 600,
    subtitleColor: SOFT,
    subtitleFontSize: 11,
    offset: 10,
  },
  axis: {
    labelColor: SOFT,
    titleColor: INK,
    titleFontWeight: 400,
    labelFontSize: 11,
    titleFontSize: 11,
    titlePadding: 8,
    domainColor: '#9aa1ac',
    tickColor: '#9aa1ac',
    tickSize: 4,
    gridColor: '#e7e9ee',
  },
  legend: {labelColor: INK, titleColor: INK, titleFontWeight: 400, labelFontSize: 11, titleFontSize: 11},
  header: {labelColor: INK, titleColor: INK, labelFontSize: 12, labelFontWeight: 600},
} as const;

/** A complete SVG document with the width and height that the specification asks for. */
export async function renderSvg(spec: TopLevelSpec): Promise<string> {
  const {spec: vega} = compile(spec, {config: config as never});
  const view = new View(parse(vega), {renderer: 'none', logLevel: VegaErrorLevel});
  try {
    return await view.toSVG();
  } finally {
    view.finalize();
  }
}
