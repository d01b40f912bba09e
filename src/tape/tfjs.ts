/**
 * The few parts of TensorFlow.js' engine that the tape touches, and how each is put back.
 *
 * tfjs records a gradient tape in `engine().state` (public) and runs every kernel through `engine().runKernel`. The tape
 * of Engram reads the former and, for the length of one synchronous call, stands in front of the latter. Tested with
 * tfjs-core 4.22.
 */
import * as tf from '@tensorflow/tfjs-core';
import {EngramError} from '../errors.js';

export type KernelInputs = Readonly<Record<string, tf.Tensor | null | undefined>>;
export type KernelAttrs = Readonly<Record<string, unknown>>;
export type RunKernel = (
  name: string,
  inputs: Record<string, tf.Tensor>,
  attrs?: Record<string, unknown>,
) => tf.Tensor | tf.Tensor[];

/** One recorded kernel (or custom gradient, then named by its op scope). `inputs` may already be disposed. */
export interface TapeNode {
  readonly kernelName: string;
  readonly inputs: KernelInputs;
  readonly outputs: readonly tf.Tensor[];
  /** Clones that tfjs kept for the backward pass: whoever ends the tape disposes them. */
  readonly saved: readonly tf.Tensor[];
  /** Gradients of the inputs, as thunks; a custom gradient has computed them all when this returns. */
  readonly gradient?: (dys: (tf.Tensor | null)[]) => Record<string, () => tf.Tensor>;
}

interface EngineState {
  activeTape: TapeNode[] | null;
  gradientDepth: number;
  kernelDepth: number;
  readonly activeScope: {readonly name: string} | null;
  readonly scopeStack: readonly object[];
}

type Gradients = tf.Tensor | tf.Tensor[];
type CustomGradientFunction = (...inputs: unknown[]) => {value: tf.Tensor; gradFunc: (...args: unknown[]) => Gradients};

/** `tf.engine()` as the tape uses it; `clone` is private in tfjs' types, the rest is public. */
export interface Engine {
  readonly state: EngineState;
  runKernel: RunKernel;
  customGrad(f: CustomGradientFunction): (...inputs: tf.Tensor[]) => tf.Tensor;
  /** How tfjs saves tensors for the backward pass, and nothing else: outside a kernel it tapes the clone twice. */
  clone(x: tf.Tensor): tf.Tensor;
  keep<T extends tf.Tensor>(x: T): T;
  startScope(name?: string): void;
  endScope(result?: tf.TensorContainer): void;
}

export function engine(): Engine {
  return tf.engine() as unknown as Engine;
}

/** Why this tfjs does not have the fields that the tape reads, or null. */
export function missingParts(): string | null {
  const found = engine();
  const functions = ['runKernel', 'customGrad', 'clone', 'keep', 'startScope', 'endScope'] as const;
  const numbers = ['gradientDepth', 'kernelDepth'] as const;
  const missing = [
    ...functions.filter((name) => typeof found[name] !== 'function'),
    ...numbers.filter((name) => typeof found.state?.[name] !== 'number'),
    ...(Array.isArray(found.state?.scopeStack) ? [] : ['scopeStack']),
  ];
  return missing.length > 0 ? `this version of tfjs-core has no ${missing.join(', ')}` : null;
}

/** Refuses to start a tape inside tf.grad and its kin: their tape would record ours. */
export function refuseNestedTape(): void {
  if (engine().state.gradientDepth === 0) return;
  throw new EngramError('NESTED_TAPE', {
    expected: 'a call outside every gradient function',
    received: 'a call while TensorFlow.js records a gradient',
    remedy: 'Call Engram outside tf.grad, tf.variableGrads and optimizer.minimize.',
  });
}

/**
 * Replaces a method of the engine for the length of `body`. The replacement gets the method that was there.
 * tfjs' own operations call methods on the engine object, so an own property stands in front of the prototype's.
 */
export function intercepting<K extends 'runKernel' | 'customGrad' | 'clone', T>(
  method: K,
  replacement: (original: Engine[K]) => Engine[K],
  body: () => T,
): T {
  const target = engine();
  const before = Object.getOwnPropertyDescriptor(target, method);
  const original = target[method].bind(target) as Engine[K];
  target[method] = replacement(original);
  try {
    return body();
  } finally {
    if (before) Object.defineProperty(target, method, before);
    else delete (target as Partial<Engine>)[method];
  }
}

/**
 * Runs `body` in a scope of its own, and leaves tfjs as it found it on every way out: scopes, tape, gradient depth.
 * All tensors made inside are disposed unless kept; after a throw also those that tfjs saved for a backward pass
 * that will never come (tfjs itself leaks them).
 */
export function contained<T>(body: () => T): T {
  const {state} = engine();
  const {activeTape, gradientDepth, kernelDepth} = state;
  const depth = state.scopeStack.length;
  const saved: tf.Tensor[] = [];
  const saving = (clone: Engine['clone']) => (x: tf.Tensor) => {
    const copy = clone(x);
    saved.push(copy);
    return copy;
  };
  engine().startScope('engram');
  try {
    return intercepting('clone', saving, body);
  } catch (error) {
    for (const tensor of saved) tensor.dispose();
    throw error;
  } finally {
    state.activeTape = activeTape;
    state.gradientDepth = gradientDepth;
    state.kernelDepth = kernelDepth;
    while (state.scopeStack.length > depth) engine().endScope();
  }
}

/** Another handle on the same memory, out of every scope (but on the tape, if there is one): dispose it yourself. */
export function keepClone(x: tf.Tensor): tf.Tensor {
  return engine().keep(tf.clone(x));
}

/** dispose() of a container of tensors; disposed ones are skipped by tfjs. */
export function disposeAll(tensors: Iterable<tf.Tensor>): void {
  for (const tensor of tensors) tensor.dispose();
}
