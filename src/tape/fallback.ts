/**
 * The definition, used where the tape has no rule: one sample at a time, tfjs' own gradient of sum(F · S) with the seed
 * S = dS/dF(F) held constant. Exact for every network that TensorFlow.js can differentiate, at the price of B passes.
 */
import * as tf from '@tensorflow/tfjs-core';
import {type Seed, seedsOf} from './seed.js';
import {contained, disposeAll, keepClone} from './tfjs.js';

/** Longest time, in milliseconds, for which the loop keeps the event loop waiting (or one gradient, if that is longer). */
const slice = 50;

/**
 * @param forward F of sample b, on the active tape
 * @param visit called for every sample, function of the seed and variable that the sample's outputs depend on; owns
 *   nothing: clone to keep
 * @throws the signal's reason; whatever the network throws
 */
export async function eachSample(
  samples: number,
  forward: (b: number) => tf.Tensor[],
  seed: Seed,
  variables: readonly tf.Variable[],
  visit: (name: string, gradient: tf.Tensor) => void,
  signal?: AbortSignal,
): Promise<void> {
  let resumed = performance.now();
  for (let b = 0; b < samples; b++) {
    signal?.throwIfAborted();
    for (const gradients of sampleGradients(() => forward(b), seed, variables)) {
      try {
        variables.forEach(({name}, i) => {
          const gradient = gradients[i];
          if (gradient) visit(name, gradient);
        });
      } finally {
        disposeAll(gradients.filter((gradient) => gradient !== null));
      }
      if (performance.now() - resumed <= slice) continue;
      await new Promise((resolve) => setTimeout(resolve, 0));
      resumed = performance.now();
      signal?.throwIfAborted();
    }
  }
}

/**
 * dS/dvariable of one sample, for each function of the seed; null where the outputs do not depend on the variable. The
 * caller disposes them. Every function has a forward pass of its own, as the definition has it.
 */
export function* sampleGradients(
  forward: () => tf.Tensor[],
  seed: Seed,
  variables: readonly tf.Variable[],
): Generator<(tf.Tensor | null)[]> {
  let functions: Generator<tf.Tensor[], undefined> | undefined;
  let seeds: tf.Tensor[] | undefined;
  let outputs: tf.Tensor[] = [];
  /** The first forward pass tells the outputs that all functions are of. */
  const seedsFor = (F: tf.Tensor[]): tf.Tensor[] => {
    if (!functions) {
      outputs = F.map(keepClone);
      functions = seedsOf(seed, outputs);
      seeds = functions.next().value;
    }
    return seeds!;
  };
  try {
    do {
      yield contained(() => gradientsOf(forward, seedsFor, variables));
      disposeAll(seeds!);
      seeds = functions!.next().value;
    } while (seeds);
  } finally {
    functions?.return(undefined);
    disposeAll([...outputs, ...(seeds ?? [])]);
  }
}

function gradientsOf(
  forward: () => tf.Tensor[],
  seedsFor: (outputs: tf.Tensor[]) => tf.Tensor[],
  variables: readonly tf.Variable[],
): (tf.Tensor | null)[] {
  const weighted = tf.customGrad((...inputs) => {
    const outputs = inputs.slice(0, -1) as tf.Tensor[];
    const save = inputs.at(-1) as unknown as (tensors: tf.Tensor[]) => void;
    const seeds = seedsFor(outputs);
    save(seeds);
    return {
      value: tf.addN(outputs.map((F, i) => tf.sum(tf.mul(F, seeds[i])))),
      gradFunc: (dy, saved) => (saved as tf.Tensor[]).map((S) => tf.mul(dy, S)),
    };
  });
  // What tf.variableGrads calls, without its objection to samples that reach none of the variables.
  const {grads} = tf.engine().gradients(() => weighted(...forward()), [...variables], undefined, true);
  return grads.map((gradient) => (gradient ? keepClone(gradient) : null));
}
