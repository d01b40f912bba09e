/** A memory goes on with another network: with variables that both have, that were renamed, or that grew. */
import * as tf from '@tensorflow/tfjs-core';
import {
  growsFrom,
  inOrder,
  isAutomatic,
  pairNamed,
  pairUp,
  uniqueName,
  unknown,
  unnumbered,
  type VariableId,
  type VariableNames,
  wrongShape,
} from './match.js';
import type {Entry, Memory} from './memory.js';

/** What a memory found in the network that it was attached to. */
export interface AttachReport {
  /** By variable of the network that now holds something: the name under which the memory had it. */
  matched: ReadonlyMap<string, string>;
  /** Those of `matched` whose last axis grew: the new part starts at Omega = 0. */
  grown: readonly string[];
  /** Variables of the network about which the memory knows nothing: Omega = 0. */
  fresh: readonly string[];
  /** What the memory goes on holding for other networks. */
  elsewhere: readonly string[];
}

/** The variables that a memory is about. */
export interface Holdings {
  /** Of the network so far, in its order. */
  readonly network: readonly VariableId[];
  /** Of this process: everything that ever was in a network of this memory, by name. */
  readonly known: ReadonlyMap<string, VariableId>;
}

interface Held extends VariableId {
  readonly entry: Entry;
  /** Whether its name is one of this process, and so means a variable; names from files mean nothing yet. */
  readonly here: boolean;
}

/**
 * Gives the memory's entries the names and shapes of another network's variables; see
 * `MemoryAwareSynapses.attach` for how they are found. All or nothing.
 *
 * @throws EngramError UNKNOWN_VARIABLE, SHAPE, DISPOSED
 */
export function attachMemory(
  memory: Memory,
  holdings: Holdings,
  variables: readonly tf.Variable[],
  present: readonly VariableId[],
  names: VariableNames = {},
): AttachReport {
  const here = [...memory.all()].map(([name, entry]): Held => ({...holdings.known.get(name)!, entry, here: true}));
  const fromFiles = memory.elsewhere.map(
    ({name, original, entry}): Held => ({name, original, entry, shape: entry.anchor.shape, here: false}),
  );
  const pairs = matchShared(here, fromFiles, holdings.network, present, names);
  const byName = new Map(variables.map((variable) => [variable.name, variable]));
  for (const [name, held] of pairs) {
    const now = present.find((variable) => variable.name === name)!;
    if (!growsFrom(held, now)) throw wrongShape(held, now);
  }
  const taken = new Set([...pairs.values()].map(({entry}) => entry));
  const others = new Map([...memory.all()].filter(([, entry]) => !taken.has(entry)));
  const elsewhere = memory.elsewhere.filter(({entry}) => !taken.has(entry));
  for (const {name} of present) {
    // Only by `names`: what the variable itself had makes room, and waits without a variable.
    const entry = others.get(name);
    if (!entry || !others.delete(name)) continue;
    const unique = uniqueName(name, (taken) => byName.has(taken) || elsewhere.some((other) => other.name === taken));
    elsewhere.push({name: unique, original: holdings.known.get(name)!.original, entry});
  }
  const entries = new Map<string, Entry>();
  const created: tf.Tensor[] = [];
  const grown: string[] = [];
  try {
    for (const [name, {entry}] of pairs) {
      const variable = byName.get(name)!;
      if (variable.size === entry.anchor.size) {
        entries.set(name, entry);
        continue;
      }
      const larger = grow(entry, variable);
      created.push(larger.importance, larger.anchor);
      entries.set(name, larger);
      grown.push(name);
    }
  } catch (error) {
    tf.dispose(created);
    throw error;
  }
  memory.replace(new Map([...entries, ...others]), elsewhere);
  return {
    matched: new Map([...pairs].map(([name, held]) => [name, held.name])),
    grown,
    fresh: present.filter(({name}) => !pairs.has(name)).map(({name}) => name),
    elsewhere: [...others.keys(), ...elsewhere.map(({name}) => name)],
  };
}

/** Omega is padded with 0; the anchor of the new part is its present value. Both are new tensors. */
function grow({importance, anchor, tasks}: Entry, variable: tf.Variable): Entry {
  const axis = variable.rank - 1;
  const before = anchor.shape[axis];
  const padding = variable.shape.map((size, a): [number, number] => [0, a === axis ? size - before : 0]);
  const begin = variable.shape.map((_, a) => (a === axis ? before : 0));
  const [omega, theta] = tf.tidy(() => [
    tf.pad(importance, padding),
    tf.concat([anchor, tf.slice(variable as tf.Tensor, begin)], axis),
  ]);
  return {importance: tf.keep(omega), anchor: tf.keep(theta), tasks};
}

function matchShared(
  here: readonly Held[],
  fromFiles: readonly Held[],
  network: readonly VariableId[],
  present: readonly VariableId[],
  names: VariableNames,
): Map<string, Held> {
  const all = [...here, ...fromFiles];
  const named = pairNamed(all, present, names);
  const pairs = named.pairs;
  let stored = named.stored.filter((held) => held.here);
  let open = named.present;
  const take = (found: ReadonlyMap<string, Held>) => {
    for (const [name, held] of found) pairs.set(name, held);
    const taken = new Set(found.values());
    stored = stored.filter((held) => !taken.has(held));
    open = open.filter(({name}) => !found.has(name));
  };

  // The very same variables: names are unique in a process.
  const exact = pairUp(stored, open, ({name}) => name);
  take(exact);

  // The same layer in a copy of the network. But where a trunk is shared, a second head of the same name and shape may
  // as well be another head as a copy, and must not inherit what the first one holds without being told so.
  const copies = pairUp(stored, open, ({original}) => original);
  for (const now of open) {
    const held = copies.get(now.name) ?? stored.find(({original}) => original === now.original);
    if (!held) continue;
    const another = exact.size > 0 && isAlive(held) && now.shape.join() === held.shape.join();
    if (another || !copies.has(now.name)) {
      throw unknown(all, present, `"${now.name}", which may be "${held.name}" or another head of that name`);
    }
  }
  take(copies);

  // Nothing shared: a network built anew, compared with the last one as a whole.
  if (pairs.size === 0 && stored.length > 0 && Object.keys(names).length === 0) {
    const base = ({original}: VariableId) => unnumbered(original);
    const counterparts = pairUp(network, open, base);
    const found = new Map<string, Held>();
    for (const [name, {name: former}] of counterparts) {
      const held = stored.find((candidate) => candidate.name === former);
      if (held) found.set(name, held);
    }
    const bases = new Set(open.filter(({name}) => !counterparts.has(name)).map(base));
    const unsure = network.some((v) => bases.has(base(v)) && stored.some(({name}) => name === v.name));
    if (found.size === 0 || unsure) throw unknown(all, present, 'numbers of variables or names that do not correspond');
    take(found);
  }

  // What came from a file and has not met its variable yet: by chosen names only.
  const waiting = fromFiles.filter((held) => named.stored.includes(held));
  const chosen = open.filter((variable) => !isAutomatic(variable));
  take(pairUp(waiting, chosen, ({original}) => original));
  for (const variable of open) {
    const base = unnumbered(variable.original);
    const perhaps = waiting.find((held) => unnumbered(held.original) === base && growsFrom(held, variable));
    if (perhaps) throw unknown(all, present, `"${variable.name}", perhaps new, perhaps "${perhaps.name}" of the file`);
  }
  return inOrder(present, pairs);
}

const isAlive = ({name}: VariableId): boolean => tf.engine().registeredVariables[name] !== undefined;
