/** Which variable of a network is which variable of a memory, although TensorFlow.js numbers names by process. */
import type * as tf from '@tensorflow/tfjs-core';
import {EngramError} from '../errors.js';
import type {LayersModelLike, NetworkLike} from '../tape/network.js';

export interface VariableId {
  readonly name: string;
  /** The name that was asked for, before TensorFlow.js made it unique: `head/kernel` of `head/kernel_1`. */
  readonly original: string;
  readonly shape: readonly number[];
}

/** Answers what names cannot: which variable of the memory goes on as a variable of the network, `null` for none. */
export type VariableNames = Readonly<Record<string, string | null>>;

/** Names and shapes of variables of a network, in its order; only layers know original names. */
export function identify(network: NetworkLike, variables: readonly tf.Variable[]): VariableId[] {
  const weights = (network as Partial<LayersModelLike>).trainableWeights;
  const originals = new Map<string, string>();
  for (const weight of Array.isArray(weights) ? (weights as {name: string; originalName: string}[]) : []) {
    originals.set(weight.name, weight.originalName);
  }
  return variables.map(({name, shape}) => ({name, original: originals.get(name) ?? name, shape}));
}

/**
 * A name without the numbers that TensorFlow.js gives: `dense_Dense4/kernel` becomes `dense_Dense/kernel`, the name `7`
 * of a nameless variable the empty one. A name that its user chose stays: `block2/kernel`.
 */
export function unnumbered(original: string): string {
  if (/^\d+$/.test(original)) return '';
  return original.split('/').map(withoutCount).join('/');
}

/** A layer that was not named is called by its class in snake case, its class, and a count: `dense_Dense4`. */
function withoutCount(part: string): string {
  // By hand: a pattern would backtrack over hostile names of a file.
  let end = part.length;
  while (end > 0 && part[end - 1] >= '0' && part[end - 1] <= '9') end--;
  const underscore = part.lastIndexOf('_', end);
  const layer = part.slice(underscore + 1, end);
  if (end === part.length || underscore < 1 || !/^[A-Z][A-Za-z0-9]*$/.test(layer)) return part;
  const snake = part.slice(0, underscore).replaceAll('_', '');
  return snake.endsWith(layer.toLowerCase()) ? part.slice(0, end) : part;
}

/** Whether the name was chosen by TensorFlow.js, so that an equal name in another process means nothing. */
export const isAutomatic = ({original}: VariableId): boolean => unnumbered(original) !== original;

/**
 * Pairs `stored` with `present` where both sides have the same number of variables under a key, in their order.
 *
 * @returns stored variables by present name
 */
export function pairUp<T extends VariableId>(
  stored: readonly T[],
  present: readonly VariableId[],
  key: (variable: VariableId) => string,
): Map<string, T> {
  const storedBy = groupBy(stored, key);
  const pairs = new Map<string, T>();
  for (const [k, group] of groupBy(present, key)) {
    const others = storedBy.get(k) ?? [];
    if (others.length !== group.length) continue;
    for (const [i, {name}] of group.entries()) pairs.set(name, others[i]);
  }
  return pairs;
}

function groupBy<T>(items: readonly T[], key: (item: T) => string): Map<string, T[]> {
  const groups = new Map<string, T[]>();
  for (const item of items) {
    const group = groups.get(key(item));
    if (group) group.push(item);
    else groups.set(key(item), [item]);
  }
  return groups;
}

/** Pairs in the order of the network. */
export function inOrder<T>(present: readonly VariableId[], pairs: ReadonlyMap<string, T>): Map<string, T> {
  const ordered = present.filter(({name}) => pairs.has(name));
  return new Map(ordered.map(({name}) => [name, pairs.get(name)!]));
}

/**
 * Pairs that the caller named.
 *
 * @returns the pairs, and what is left of both sides
 * @throws EngramError UNKNOWN_VARIABLE for a name on either side that does not exist or is given twice
 */
export function pairNamed<T extends VariableId>(
  stored: readonly T[],
  present: readonly VariableId[],
  names: VariableNames,
): {pairs: Map<string, T>; stored: T[]; present: VariableId[]} {
  const pairs = new Map<string, T>();
  const free = [...stored];
  for (const [name, storedName] of Object.entries(names)) {
    if (!present.some((variable) => variable.name === name)) {
      throw unknown(stored, present, `"${name}"`, 'The keys of names are variables of the network.');
    }
    if (storedName === null) continue;
    const at = free.findIndex((variable) => variable.name === storedName);
    if (at < 0)
      throw unknown(stored, present, `"${storedName}"`, 'The values of names are held ones, each once, or null.');
    pairs.set(name, free.splice(at, 1)[0]);
  }
  return {pairs, stored: free, present: present.filter(({name}) => !Object.hasOwn(names, name))};
}

const sameShape = (a: VariableId, b: VariableId): boolean => a.shape.join() === b.shape.join();

/** Whether `present` is `stored`, or stored grown along its last axis. */
export function growsFrom(stored: VariableId, present: VariableId): boolean {
  const last = stored.shape.length - 1;
  return (
    stored.shape.length === present.shape.length &&
    stored.shape.every((size, axis) => size === present.shape[axis] || (axis === last && size < present.shape[axis]))
  );
}

/**
 * Finds the variables of a file in the network that loads it.
 *
 * The first of these ways that finds every variable that holds something, with its shape: the same names; the same
 * original names (`head/kernel` as `head/kernel_1`); original names without automatic numbers
 * (`dense_Dense1/kernel` as `dense_Dense4/kernel`), variables of the same name and shape in the order of the network.
 * A way is taken or left as a whole: `dense_Dense2` of one process may be `dense_Dense1` of another.
 *
 * @param stored variables of the network that was saved, those that hold nothing included
 * @returns stored variables by present name; variables of the network that the file does not know are absent
 * @throws EngramError SHAPE if only shapes differ, else UNKNOWN_VARIABLE with the variables of both sides
 */
export function matchLoaded<T extends VariableId & {held: unknown}>(
  stored: readonly T[],
  present: readonly VariableId[],
  names: VariableNames,
): Map<string, T> {
  const named = pairNamed(stored, present, names);
  const isFound = (pairs: ReadonlyMap<string, T>): boolean => {
    const found = new Set(pairs.values());
    return named.stored.every((variable) => !variable.held || found.has(variable));
  };
  const shapes = new Map(present.map((variable) => [variable.name, variable]));
  const different = (pairs: ReadonlyMap<string, T>) =>
    [...pairs].find(([name, variable]) => variable.held && !sameShape(variable, shapes.get(name)!));
  const byName = ({name}: VariableId) => name;
  const byOriginal = ({original}: VariableId) => original;
  const byOrder = ({original, shape}: VariableId) => `${unnumbered(original)} [${shape}]`;
  const byOrderAlone = ({original}: VariableId) => unnumbered(original);
  for (const key of [byName, byOriginal, byOrder]) {
    const pairs = pairUp(named.stored, named.present, key);
    if (!isFound(pairs) || different(pairs)) continue;
    const all = inOrder(present, new Map([...named.pairs, ...pairs]));
    const wrong = different(all);
    if (wrong) throw wrongShape(wrong[1], shapes.get(wrong[0])!);
    return all;
  }
  for (const key of [byName, byOriginal, byOrderAlone]) {
    const pairs = pairUp(named.stored, named.present, key);
    const wrong = isFound(pairs) && different(pairs);
    if (wrong) throw wrongShape(wrong[1], shapes.get(wrong[0])!);
  }
  const held = stored.filter((variable) => variable.held);
  throw unknown(held, present, 'no assignment of one to the other by name, order and shape', sayWhich);
}

/**
 * {@link matchLoaded} where every stored variable counts, and must be found.
 *
 * @param subset whether variables of the network that are not stored are let pass
 * @returns stored variables by present name
 * @throws EngramError SHAPE, UNKNOWN_VARIABLE
 */
export function matchAll<T extends VariableId>(
  stored: readonly T[],
  present: readonly VariableId[],
  names: VariableNames = {},
  subset = false,
): Map<string, T> {
  const held = stored.map((variable) => ({...variable, held: true}));
  const pairs = matchLoaded(held, present, names);
  const fresh = present.find(({name}) => !pairs.has(name));
  if (fresh && !subset) throw unknown(stored, present, `"${fresh.name}", of which nothing is held`);
  return pairs;
}

const sayWhich = 'Say which is which: names: {"variable of the network": "held variable" or null}.';

export function wrongShape(stored: VariableId, present: VariableId): EngramError {
  return new EngramError('SHAPE', {
    expected: `"${present.name}" to have the shape [${stored.shape.join(', ')}] of "${stored.name}" in the memory`,
    received: `[${present.shape.join(', ')}]`,
    remedy: 'Load into the network as it was saved; attach() then takes one whose last axes grew.',
  });
}

const list = (variables: readonly VariableId[]): string =>
  variables.map(({name, shape}) => `${name} [${shape.join(', ')}]`).join('; ') || 'nothing';

/** An error that lists both sides. */
export function unknown(
  stored: readonly VariableId[],
  present: readonly VariableId[],
  received: string,
  remedy = sayWhich,
): EngramError {
  return new EngramError('UNKNOWN_VARIABLE', {
    expected: `variables of the memory (${list(stored)}) among those of the network (${list(present)})`,
    received,
    remedy,
  });
}

/** The name, with `#2`, `#3`, ... where it is taken. */
export function uniqueName(name: string, isTaken: (name: string) => boolean): string {
  let unique = name;
  for (let i = 2; isTaken(unique); i++) unique = `${name}#${i}`;
  return unique;
}
