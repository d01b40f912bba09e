/** Which engine works on host memory: the addon where it is built, else the reference, with one visible notice. */
import {type Addon, loadAddon} from '#addon';
import type {Engine, HostInput} from './engine.js';
import {nativeEngine} from './native.js';
import {referenceEngine} from './reference/engine.js';

let chosen: Engine<HostInput> | undefined;

/** The best engine for typed arrays on this machine. The choice is made once per process. */
export function hostEngine(): Engine<HostInput> {
  chosen ??= choose(loadAddon());
  return chosen;
}

function choose(loaded: {addon: Addon} | {missing: string}): Engine<HostInput> {
  if ('addon' in loaded) return nativeEngine(loaded.addon);
  console.warn(
    `engram: no C++ addon (${loaded.missing}); the much slower reference engine is used. Run "engram doctor".`,
  );
  return referenceEngine;
}
