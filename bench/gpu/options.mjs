/** What the command of the benchmark and that of the bundle both take: the parts, and whole numbers. */
import {InvalidArgumentError} from 'commander';

/** In the order in which they run. */
export const parts = ['kernels', 'steps', 'passes', 'gradients', 'peers'];

/** A parser for commander's options. */
export function wholeNumber(text) {
  const value = Number(text);
  if (Number.isSafeInteger(value) && value > 0) return value;
  throw new InvalidArgumentError('It must be a whole number of at least 1.');
}
