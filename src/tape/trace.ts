/** One forward pass of a network, recorded on TensorFlow.js' own tape and taken out of its hands. */
import type * as tf from '@tensorflow/tfjs-core';
import {contained, disposeAll, engine, intercepting, type RunKernel, type TapeNode} from './tfjs.js';

export interface Trace {
  /** F of every output, [B, ...]. */
  readonly outputs: readonly tf.Tensor[];
  /** Everything that ran, in order; also clones and nodes that lead nowhere. */
  readonly nodes: readonly TapeNode[];
  /** `perm` of every Transpose, by the id of its output: tape nodes do not show their attributes. */
  readonly permutations: ReadonlyMap<number, readonly number[]>;
  /** Frees the outputs and what tfjs saved for the backward pass. */
  dispose(): void;
}

/**
 * Records `run`, which returns F. Whatever it does, tfjs is left as it was: no open tape, scope or patched method, and
 * after a throw no tensor more than before.
 */
export function trace(run: () => tf.Tensor[]): Trace {
  return contained(() => {
    const {state} = engine();
    const permutations = new Map<number, readonly number[]>();
    const noting =
      (runKernel: RunKernel): RunKernel =>
      (name, inputs, attrs) => {
        const y = runKernel(name, inputs, attrs);
        if (name === 'Transpose') permutations.set((y as tf.Tensor).id, attrs?.perm as number[]);
        return y;
      };
    const nodes: TapeNode[] = [];
    state.activeTape = nodes;
    state.gradientDepth++;
    const outputs = intercepting('runKernel', noting, run).map((y) => engine().keep(y));
    return {
      outputs,
      nodes,
      permutations,
      dispose() {
        disposeAll(outputs);
        for (const {saved} of nodes) disposeAll(saved);
      },
    };
  });
}
