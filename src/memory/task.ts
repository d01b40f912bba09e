/** The importance of one task before it joins a memory: what is refused, and how it is normalised. */
import * as tf from '@tensorflow/tfjs-core';
import {EngramError} from '../errors.js';
import {nonfiniteIn} from './nonfinite.js';
import {clonesOf} from './theta.js';

const noImportance = 'Take magnitudes (phi "abs") or squares: a sum of signed gradients is no importance.';

/**
 * Refuses what does not fit each other or the memory, before anything is read from the device.
 *
 * @param theta the variables' values by name
 * @param held what the memory holds by name
 * @throws EngramError ARGUMENT, UNKNOWN_VARIABLE, SHAPE, DTYPE, DISPOSED
 */
export function checkTask(
  importance: ReadonlyMap<string, tf.Tensor>,
  theta: ReadonlyMap<string, tf.Tensor>,
  held: ReadonlyMap<string, {readonly importance: tf.Tensor}>,
): void {
  checkTensors('importance', importance);
  checkTensors('theta', theta);
  for (const [name, {shape}] of importance) {
    const variable = theta.get(name);
    if (!variable) {
      throw new EngramError('UNKNOWN_VARIABLE', {
        expected: `importance of ${[...theta.keys()].join(', ') || 'no variable'}`,
        received: `importance of "${name}"`,
        remedy: 'Pass all variables that the importance is about.',
      });
    }
    for (const [what, wanted] of [
      ['variable', variable.shape],
      ['memory of it', held.get(name)?.importance.shape],
    ] as const) {
      if (!wanted || tf.util.arraysEqual(wanted, shape)) continue;
      throw new EngramError('SHAPE', {
        expected: `importance of "${name}" to have the shape [${wanted.join(', ')}] of the ${what}`,
        received: `[${shape.join(', ')}]`,
        remedy: 'Importance has one number for every parameter.',
      });
    }
  }
}

function checkTensors(what: string, tensors: ReadonlyMap<string, tf.Tensor>): void {
  if (!(tensors instanceof Map)) {
    throw new EngramError('ARGUMENT', {
      expected: `${what} as a Map of tensors by variable name`,
      received: tensors === null ? 'null' : typeof tensors,
      remedy: 'Pass what estimateImportance() or accumulation.finish() gave.',
    });
  }
  for (const [name, tensor] of tensors) {
    if (!(tensor instanceof tf.Tensor) || tensor.isDisposed) {
      throw new EngramError(tensor instanceof tf.Tensor ? 'DISPOSED' : 'ARGUMENT', {
        expected: `${what} of "${name}" to be a tensor in use`,
        received: tensor instanceof tf.Tensor ? 'a disposed one' : typeof tensor,
        remedy: 'Dispose tensors only after the call has settled.',
      });
    }
    if (tensor.dtype !== 'float32') {
      throw new EngramError('DTYPE', {
        expected: `${what} of "${name}" to be float32`,
        received: tensor.dtype,
        remedy: 'Cast it with tf.cast(x, "float32").',
      });
    }
  }
}

/**
 * Refuses values that no memory can hold: a negative importance would drive parameters away from their anchor without
 * bound, and NaN would spread.
 *
 * @throws EngramError NON_FINITE, ARGUMENT
 */
export async function checkValues(importance: ReadonlyMap<string, tf.Tensor>): Promise<void> {
  const lost = await nonfiniteIn(importance);
  if (lost.length > 0) {
    throw new EngramError('NON_FINITE', {
      expected: 'finite importance',
      received: `NaN or Infinity in ${lost.join(', ')}`,
      remedy: 'Look for NaN in the data and the weights.',
    });
  }
  for (const [name, values] of importance) {
    if (values.size === 0) continue;
    const smallest = tf.tidy(() => tf.min(values));
    const [least] = await smallest.data().finally(() => smallest.dispose());
    if (least >= 0) continue;
    throw new EngramError('ARGUMENT', {
      expected: `importance of "${name}" not to be negative`,
      received: String(least),
      remedy: noImportance,
    });
  }
}

/**
 * Divides importance by its mean over all parameters, so that one lambda suits every task and network. Importance that
 * is zero everywhere, or too small for that, stays as it is, and so does none at all.
 *
 * @param importance by variable name; the tensors stay the caller's
 * @returns new tensors by variable name, owned by the caller
 * @throws EngramError NON_FINITE if the sum exceeds 32 bits; ARGUMENT, also if it is negative; DTYPE, DISPOSED
 */
export async function normalize(importance: ReadonlyMap<string, tf.Tensor>): Promise<Map<string, tf.Tensor>> {
  checkTensors('importance', importance);
  const own = clonesOf(importance); // the caller may dispose its tensors while the sum is read
  const parts = [...own.values()].filter(({size}) => size > 0); // a GPU sums no empty tensor
  try {
    let factor = 1;
    if (parts.length > 0) {
      const total = tf.tidy(() => tf.addN(parts.map((omega) => tf.sum(omega))));
      const [sum] = await total.data().finally(() => total.dispose());
      if (!Number.isFinite(sum)) {
        throw new EngramError('NON_FINITE', {
          expected: 'importance whose sum is a finite 32-bit float',
          received: String(sum),
          remedy: 'Scale the outputs of the network down, or leave normalize out.',
        });
      }
      if (sum < 0) {
        throw new EngramError('ARGUMENT', {
          expected: 'importance, which is not negative',
          received: `a sum of ${sum}`,
          remedy: noImportance,
        });
      }
      factor = Math.fround(parts.reduce((size, omega) => size + omega.size, 0) / sum);
    }
    const scale = (omega: tf.Tensor) =>
      omega.size === 0 || factor === Number.POSITIVE_INFINITY ? omega.clone() : tf.mul(omega, factor);
    return new Map([...own].map(([name, omega]) => [name, scale(omega)]));
  } finally {
    tf.dispose([...own.values()]);
  }
}
