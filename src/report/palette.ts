/** How methods are told apart in figures of many: by colour, and by dashes and symbols where colours come round again. */

/**
 * Colours that differ for people who see red and green alike, and in grey: M. Okabe and K. Ito, "Color universal design"
 * (2008), without its yellow, which white paper swallows.
 */
const COLORS = ['#0072b2', '#d55e00', '#009e73', '#cc79a7', '#000000', '#e69f00', '#56b4e9'];
/** One pattern for each round of the colours: line, gap, in pixels. */
const DASHES = [
  [1, 0],
  [6, 3],
  [2, 2],
];
const SYMBOLS = ['circle', 'square', 'triangle-up', 'diamond', 'cross'];

/** How each of the methods is drawn, in the order given: alike in every figure of one experiment. */
export interface MethodStyles {
  readonly colors: readonly string[];
  readonly dashes: readonly (readonly number[])[];
  readonly symbols: readonly string[];
}

/**
 * Styles for a number of methods. The first 21 differ in colour or dashes, the first 35 in colour or symbol; after that
 * only the labels beside the lines tell them apart.
 */
export function methodStyles(count: number): MethodStyles {
  const each = <T>(choose: (index: number) => T) => Array.from({length: count}, (_, index) => choose(index));
  return {
    colors: each((i) => COLORS[i % COLORS.length]),
    dashes: each((i) => DASHES[Math.floor(i / COLORS.length) % DASHES.length]),
    symbols: each((i) => SYMBOLS[i % SYMBOLS.length]),
  };
}
