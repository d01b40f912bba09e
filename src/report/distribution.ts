/** How importance is spread over parameters: sums, how few carry most of it, histograms, the largest ones. */

/** The importance of some parameters in a few numbers. Of values that may be negative, magnitudes are meant. */
export interface Distribution {
  readonly parameters: number;
  readonly sum: number;
  /** 0 without parameters. */
  readonly mean: number;
  readonly max: number;
  /** Parameters of importance 0. */
  readonly zeros: number;
  /** The fewest parameters that together have 90 % of the sum. */
  readonly carriers: number;
}

/** One parameter among several arrays. */
export interface Place {
  /** Which array. */
  readonly part: number;
  /** Element in it, row by row. */
  readonly element: number;
  readonly value: number;
}

/** The axis that the histograms of several arrays share. */
export interface LogAxis {
  /** log10 where the first bin begins; what is smaller counts in it too. */
  readonly low: number;
  readonly bins: number;
}

const carried = 0.9;
/** Bins have the width of half a power of ten. */
const binsPerDecade = 2;
const mostDecades = 10;

/** Upper halves of the bits of a float: they order positive floats as their values do. */
const upperHalves = 1 << 15;

/** Takes one pass over all values, and sorts only the few among which the last carrier is. All values are finite. */
export function distributionOf(parts: readonly Float32Array[]): Distribution {
  const counts = new Float64Array(upperHalves);
  const sums = new Float64Array(upperHalves);
  let [parameters, max, zeros] = [0, 0, 0];
  eachUpperHalf(parts, (half, value) => {
    counts[half]++;
    sums[half] += value;
    parameters++;
    if (value > max) max = value;
    if (value === 0) zeros++;
  });
  const sum = sums.reduce((total, part) => total + part, 0);
  let [half, carriers, missing] = [upperHalves - 1, 0, carried * sum];
  while (half > 0 && sums[half] < missing) {
    missing -= sums[half];
    carriers += counts[half--];
  }
  if (missing > 0) {
    const last = new Float32Array(counts[half]);
    let filled = 0;
    eachUpperHalf(parts, (other, value) => {
      if (other === half) last[filled++] = value;
    });
    last.sort();
    for (let i = last.length - 1; i >= 0 && missing > 0; i--) {
      missing -= last[i];
      carriers++;
    }
  }
  return {parameters, sum, mean: parameters === 0 ? 0 : sum / parameters, max, zeros, carriers};
}

function eachUpperHalf(parts: readonly Float32Array[], visit: (half: number, value: number) => void): void {
  for (const part of parts) {
    const bits = new Uint32Array(part.buffer, part.byteOffset, part.length);
    for (let i = 0; i < part.length; i++) visit((bits[i] & 0x7fffffff) >>> 16, Math.abs(part[i]));
  }
}

/** An axis for all values that are not 0, of at most ten powers of ten; undefined if there are none. */
export function logAxis(parts: readonly Float32Array[]): LogAxis | undefined {
  let [least, most] = [Number.POSITIVE_INFINITY, 0];
  for (const part of parts) {
    for (const value of part) {
      const magnitude = Math.abs(value);
      if (magnitude > most) most = magnitude;
      if (magnitude > 0 && magnitude < least) least = magnitude;
    }
  }
  if (most === 0) return undefined;
  const high = Math.floor(Math.log10(most)) + 1;
  const low = Math.max(Math.floor(Math.log10(least)), high - mostDecades);
  return {low, bins: (high - low) * binsPerDecade};
}

/** How many values fall in each bin of log10; zeros in none. */
export function logHistogram(values: Float32Array, {low, bins}: LogAxis): number[] {
  const counts = new Array<number>(bins).fill(0);
  for (const value of values) {
    if (value === 0) continue;
    const bin = Math.floor((Math.log10(Math.abs(value)) - low) * binsPerDecade);
    counts[Math.min(Math.max(bin, 0), bins - 1)]++;
  }
  return counts;
}

/** The `count` largest magnitudes of all parts that are not 0, the largest first; of equal ones the first. */
export function largestOf(parts: readonly Float32Array[], count: number): Place[] {
  const found: Place[] = [];
  if (count === 0) return found;
  let bar = 0; // a value must be larger than this
  parts.forEach((values, part) => {
    for (let element = 0; element < values.length; element++) {
      const magnitude = Math.abs(values[element]);
      if (!(magnitude > bar)) continue;
      let at = found.length;
      while (at > 0 && Math.abs(found[at - 1].value) < magnitude) at--;
      found.splice(at, 0, {part, element, value: values[element]});
      if (found.length > count) found.pop();
      if (found.length === count) bar = Math.abs(found[count - 1].value);
    }
  });
  return found;
}

/** Where an element of a tensor is: one index for each axis. */
export function indexOf(element: number, shape: readonly number[]): number[] {
  let rest = element;
  const index = shape.toReversed().map((length) => {
    const at = rest % length;
    rest = Math.floor(rest / length);
    return at;
  });
  return index.reverse();
}
