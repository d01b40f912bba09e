/**
 * F, the function that is differentiated: the network's outputs, or its logits.
 *
 * The norm of a softmax saturates at 1 and its gradient dies where the network is sure, so by default a Softmax or
 * LogSoftmax over the last axis, or a Sigmoid, that itself produces the output is stripped, through Reshape, Identity,
 * Cast and ExpandDims, never Transpose. Runs under a tape: tfjs may have disposed a kernel's input by the time the
 * output is known, so a clone of each candidate's input is kept while the network runs.
 */
import * as tf from '@tensorflow/tfjs-core';
import {EngramError} from '../errors.js';
import {describe, type Network, type Tensors} from './network.js';
import {disposeAll, type Engine, engine, intercepting, keepClone, type RunKernel, type TapeNode} from './tfjs.js';

export type OutputKind = 'logits' | 'output';

interface Candidate {
  logits: tf.Tensor;
  /** Length of the last axis, along which a softmax couples elements; null for a sigmoid, which couples none. */
  row: number | null;
}

/** Kernels that may be stripped, and the name of their input. */
const activationInput: Readonly<Record<string, string>> = {Softmax: 'logits', LogSoftmax: 'logits', Sigmoid: 'x'};
/** Kernels that keep the flat layout, and the name of their input. */
export const layoutPreserving: Readonly<Record<string, string>> = {
  Reshape: 'x',
  Identity: 'x',
  Cast: 'x',
  ExpandDims: 'input',
};

/**
 * Runs the network once under the active tape.
 *
 * @param samples B, to tell a softmax over classes from one over the batch
 * @returns F of every output, in the outputs' shapes [B, ...]: tensors of the current scope, on the tape
 */
export function forwardOutputs(network: Network, x: Tensors, output: OutputKind, samples: number): tf.Tensor[] {
  if (output === 'output') return checkOutputs(network.forward(x)).map((y) => tf.reshape(y, y.shape));
  const candidates = new Map<number, Candidate>();
  try {
    const outputs = watchActivations(candidates, () => checkOutputs(network.forward(x)));
    // The reshape gives stripped logits the output's shape, and everybody a tensor of their own: a network may return x.
    return outputs.map((y) => tf.reshape(findLogits(y, candidates, samples) ?? y, y.shape));
  } finally {
    disposeAll([...candidates.values()].map(({logits}) => logits));
  }
}

/** Runs `body` and collects, by the id of its output, the input of every activation that might be the last. */
function watchActivations<T>(candidates: Map<number, Candidate>, body: () => T): T {
  const {state} = engine();
  const add = (y: tf.Tensor, input: tf.Tensor, elementwise: boolean) => {
    candidates.set(y.id, {logits: keepClone(input), row: elementwise ? null : (input.shape.at(-1) ?? 1)});
  };
  const watchKernels =
    (runKernel: RunKernel): RunKernel =>
    (name, inputs, attrs) => {
      const y = runKernel(name, inputs, attrs);
      const input = state.kernelDepth === 0 ? activationInput[name] : undefined;
      if (input) add(y as tf.Tensor, inputs[input], name === 'Sigmoid');
      return y;
    };
  // tf.logSoftmax is no kernel but a custom gradient, known by the scope of its op.
  const watchLogSoftmax =
    (customGrad: Engine['customGrad']): Engine['customGrad'] =>
    (f) => {
      const apply = customGrad(f);
      if (state.activeScope?.name !== 'logSoftmax__op') return apply;
      return (...inputs) => {
        const y = apply(...inputs);
        add(y, inputs[0], false);
        return y;
      };
    };
  return intercepting('runKernel', watchKernels, () => intercepting('customGrad', watchLogSoftmax, body));
}

/** The logits behind output y, or undefined if what produces y is not a strippable activation. */
function findLogits(y: tf.Tensor, candidates: Map<number, Candidate>, samples: number): tf.Tensor | undefined {
  const producers = new Map<number, TapeNode>();
  for (const node of engine().state.activeTape ?? []) for (const {id} of node.outputs) producers.set(id, node);
  let id = y.id;
  for (;;) {
    const found = candidates.get(id);
    if (found) return staysInSample(found.row, y.size / samples) ? found.logits : undefined;
    const node = producers.get(id);
    const input = node?.inputs[layoutPreserving[node.kernelName]];
    if (!input) return undefined;
    id = input.id;
  }
}

/**
 * A softmax row is contiguous, and so is a sample: rows that divide a sample stay inside it. A softmax over one element
 * is the constant 1, not an activation of logits. A softmax over the batch is that in a batch of one, which defines F,
 * so it is stripped neither there nor here.
 */
function staysInSample(row: number | null, sampleSize: number): boolean {
  return row === null || (row > 1 && sampleSize % row === 0);
}

function checkOutputs(outputs: unknown): tf.Tensor[] {
  const list = Array.isArray(outputs) ? outputs : [outputs];
  for (const y of list) {
    if (y instanceof tf.Tensor) continue;
    const isPromise = typeof y?.then === 'function';
    // Nobody will await it: its rejection must not end the process.
    if (isPromise) y.then(undefined, () => undefined);
    throw new EngramError('ARGUMENT', {
      expected: 'forward(x) to return a tf.Tensor or an array of them',
      received: isPromise ? 'a promise' : describe(y),
      remedy:
        'Make forward synchronous and run it on tensors: the tape of TensorFlow.js ends when the function returns.',
    });
  }
  const wrong = list.find((y) => y.dtype !== 'float32');
  if (wrong) {
    throw new EngramError('DTYPE', {
      expected: 'float32 outputs',
      received: wrong.dtype,
      remedy: 'Return what the network computes before argMax or a cast to whole numbers.',
    });
  }
  return list;
}
