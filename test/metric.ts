/** How far importance is from the truth. */

/** max |a-b| / max(|b|, 1e-4 max|b|): the metric of exactness. Another `floor` may take the place of 1e-4. */
export function deviation(actual: ArrayLike<number>, expected: ArrayLike<number>, floor = 1e-4): number {
  if (actual.length !== expected.length) return Number.POSITIVE_INFINITY;
  let largest = 0;
  for (let i = 0; i < expected.length; i++) largest = Math.max(largest, Math.abs(expected[i]));
  let worst = 0;
  for (let i = 0; i < expected.length; i++) {
    const scale = Math.max(Math.abs(expected[i]), floor * largest);
    const error = scale === 0 ? Math.abs(actual[i]) : Math.abs(actual[i] - expected[i]) / scale;
    if (!(error <= worst)) worst = error;
  }
  return worst;
}
