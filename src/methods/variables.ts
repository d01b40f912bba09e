/** Which variables of a network a method holds. */
import type * as tf from '@tensorflow/tfjs-core';
import {EngramError} from '../errors.js';

/** Picks variables: names, a pattern on names, or a function of the variable. */
export type VariableFilter = readonly string[] | RegExp | ((variable: tf.Variable) => boolean);

/** @throws EngramError UNKNOWN_VARIABLE for a name that the network does not have */
export function chooseVariables(all: tf.Variable[], include?: VariableFilter, exclude?: VariableFilter): tf.Variable[] {
  const included = include ? matcher(include, all) : () => true;
  const excluded = exclude ? matcher(exclude, all) : () => false;
  return all.filter((variable) => included(variable) && !excluded(variable));
}

function matcher(filter: VariableFilter, all: tf.Variable[]): (variable: tf.Variable) => boolean {
  if (filter instanceof RegExp) return (variable) => variable.name.search(filter) >= 0;
  if (typeof filter === 'function') return filter;
  const names = new Set(all.map((variable) => variable.name));
  for (const name of filter) {
    if (names.has(name)) continue;
    throw new EngramError('UNKNOWN_VARIABLE', {
      expected: `one of ${[...names].join(', ')}`,
      received: name,
      remedy: 'Use the variable names of the network, a RegExp or a function.',
    });
  }
  return (variable) => filter.includes(variable.name);
}
