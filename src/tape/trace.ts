/** One forward pass of a network, recorded on TensorFlow.js' own tape and taken out of its hands. */
import type * as tf from '@tensorflow/tfjs-core';
import {contained, disposeAll, engine, intercepting, type KernelAttrs, type RunKernel, type TapeNode} from './tfjs.js';

/** Kernels that only rename elements or take some of them, which their attributes say. */
const attributed: ReadonlySet<string> = new Set(['Transpose', 'Slice', 'SplitV']);

export interface Trace {
  /** F of every output, [B, ...]. */
  readonly outputs: readonly tf.Tensor[];
  /** Everything that ran, in order; also clones and nodes that lead nowhere. */
  readonly nodes: readonly TapeNode[];
  /** Attributes of the kernels in {@link attributed}, by the id of their first output: tape nodes do not show them. */
  readonly attributes: ReadonlyMap<number, KernelAttrs>;
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
    const attributes = new Map<number, KernelAttrs>();
    const noting =
      (runKernel: RunKernel): RunKernel =>
      (name, inputs, attrs) => {
        const y = runKernel(name, inputs, attrs);
        if (attrs && attributed.has(name)) attributes.set((Array.isArray(y) ? y[0] : y).id, attrs);
        return y;
      };
    const nodes: TapeNode[] = [];
    state.activeTape = nodes;
    state.gradientDepth++;
    const outputs = intercepting('runKernel', noting, run).map((y) => engine().keep(y));
    return {
      outputs,
      nodes,
      attributes,
      dispose() {
        disposeAll(outputs);
        for (const {saved} of nodes) disposeAll(saved);
      },
    };
  });
}
