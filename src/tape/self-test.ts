/**
 * The start-up self-test: does this TensorFlow.js still work the way the tape reads it? A 2x2 dense layer with known
 * operands goes through everything. If it fails, nothing is lost but time: all variables take the fallback.
 */
import * as tf from '@tensorflow/tfjs-core';
import {EngramError} from '../errors.js';
import {sampleGradients} from './fallback.js';
import {graphOf} from './graph.js';
import {forwardOutputs} from './logits.js';
import {disposeAll, missingParts, refuseNestedTape} from './tfjs.js';
import {trace} from './trace.js';
import {disposeOperands, walk} from './walk.js';

const samples = 2;
const x = [0.5, -1, 2, 0.25];
const weights = [1, -2, 0.5, 3];

/** What is known so far of one backend: why the tape cannot be trusted, or null. */
interface Findings {
  structure: string | null | undefined;
  values: string | null | undefined;
}
const findings = new Map<string, Findings>();

/**
 * Why the tape cannot be trusted, or null: the state fields exist and a dense layer gives a dense record. Runs once for
 * every backend.
 *
 * @throws EngramError NO_GRADIENTS when tfjs-core is loaded without its gradient functions; NESTED_TAPE
 */
export function selfTest(): string | null {
  if (!tf.getGradient('BatchMatMul')) {
    throw new EngramError('NO_GRADIENTS', {
      expected: 'TensorFlow.js with its gradient functions',
      received: '@tensorflow/tfjs-core alone, which registers none in Node',
      remedy: "Add: import '@tensorflow/tfjs-layers' (or '@tensorflow/tfjs'), which registers them.",
    });
  }
  refuseNestedTape();
  const found = findingsHere();
  if (found.structure === undefined) {
    found.structure = attempt(() => {
      const {record, gradient} = dense();
      disposeAll([...record, gradient]);
    });
  }
  return found.structure;
}

/** Why the values on the tape cannot be trusted, or null: the operands multiply to tfjs' gradient. Once a backend. */
export async function valueTest(): Promise<string | null> {
  const found = findingsHere();
  if (found.values !== undefined) return found.values;
  const {record, gradient} = dense();
  const [activations, deltas, expected] = await Promise.all([...record, gradient].map((tensor) => tensor.data()));
  disposeAll([...record, gradient]);
  const wrong = Array.from(expected).some((value, i) => {
    const [p, q] = [i >> 1, i & 1];
    let sum = 0;
    for (let b = 0; b < samples; b++) sum += (activations[b * 2 + p] as number) * (deltas[b * 2 + q] as number);
    return !(Math.abs(sum - (value as number)) <= 1e-4);
  });
  found.values = wrong ? 'its operands of a 2x2 dense layer do not multiply to the gradient of tf.variableGrads' : null;
  return found.values;
}

function findingsHere(): Findings {
  const backend = tf.getBackend();
  if (!findings.has(backend)) findings.set(backend, {structure: missingParts() ?? undefined, values: undefined});
  return findings.get(backend)!;
}

function attempt(body: () => void): string | null {
  try {
    body();
    return null;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

/** A and D of a 2x2 dense layer found by the tape, and the gradient of its weights found by tfjs. */
function dense(): {record: [tf.Tensor, tf.Tensor]; gradient: tf.Tensor} {
  const input = tf.tensor2d(x, [samples, 2]);
  const initial = tf.tensor2d(weights, [2, 2]);
  const variable = tf.variable(initial, true, 'engram_self_test');
  try {
    const network = {forward: () => tf.matMul(input, variable), variables: [variable]};
    const forward = () => forwardOutputs(network, input, 'logits', samples);
    const double = (F: tf.Tensor) => tf.mul(F, 2);
    const recorded = trace(forward);
    try {
      const seeds = recorded.outputs.map(double);
      const variables = [variable];
      const graph = graphOf(recorded, input, variables, samples);
      const operands = walk({trace: recorded, graph, samples, variables}, seeds, true);
      const record = operands.get(variable.name);
      if (typeof record !== 'object' || record.kernel !== 'grad_moment_dense') {
        disposeOperands(operands);
        throw new Error(`a 2x2 dense layer is not recognised${record ? `: ${record}` : ''}`);
      }
      const [gradient] = [...sampleGradients(forward, double, [variable])].flat();
      return {record: [record.activations!, record.deltas], gradient: gradient!};
    } finally {
      recorded.dispose();
    }
  } finally {
    disposeAll([input, initial, variable]);
  }
}
